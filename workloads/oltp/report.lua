-- SPDX-License-Identifier: MIT
-- What all scripts share. LuaJIT interprets: which traces it compiles, and when, is chance (docs/decisions/0059). And
-- no garbage is collected before a thread begins: sysbench 1.0.20 keeps the defaults of a script's options as pointers
-- to strings that are garbage, so when it was collected meanwhile, options had no value, and statements were left out.
--
-- Replaces sysbench's closing report by its counts and its time at full precision: lines "sysbench: NAME VALUE",
-- the time in seconds. Latencies are recorder.lua's. What purge.lua sends is no part of the mix.

local names = {"time_total", "events", "reads", "writes", "other", "errors", "reconnects"}

jit.off()
collectgarbage("stop")
local purge = dofile(debug.getinfo(1, "S").source:match("^@(.*/)") .. "purge.lua")

function sysbench.hooks.report_cumulative(statistics)
   for _, name in ipairs(names) do
      local own = sysbench.opt.purge and purge.sends[name] or 0
      print(string.format("sysbench: %s %.9f", name, statistics[name] - own))
   end
end
