-- SPDX-License-Identifier: MIT
-- What all scripts share. LuaJIT interprets: which traces it compiles, and when, is chance (docs/decisions/0059). And
-- no garbage is collected before a thread begins: sysbench 1.0.20 keeps the defaults of a script's options as pointers
-- to strings that are garbage, so when it was collected meanwhile, options had no value, and statements were left out.
--
-- Replaces sysbench's closing report by its counts and its time at full precision: lines "sysbench: NAME VALUE",
-- the time in seconds. Latencies are recorder.lua's. What purge.lua and connection.lua send is no part of
-- the mix.

local names = {"time_total", "events", "reads", "writes", "other", "errors", "reconnects"}

jit.off()
collectgarbage("stop")
local directory = debug.getinfo(1, "S").source:match("^@(.*/)")
local purge = dofile(directory .. "purge.lua")
local connection = dofile(directory .. "connection.lua")

-- How many of a kind are not of the mix.
local function own(name)
   local purges = sysbench.opt.purge and purge.sends[name] or 0
   return purges + (sysbench.opt.transport ~= "" and connection.sends[name] or 0) * sysbench.opt.threads
end

function sysbench.hooks.report_cumulative(statistics)
   for _, name in ipairs(names) do
      print(string.format("sysbench: %s %.9f", name, statistics[name] - own(name)))
   end
end
