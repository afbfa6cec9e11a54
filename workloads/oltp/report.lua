-- SPDX-License-Identifier: MIT
-- Replaces sysbench's closing report by its counts and its time at full precision: lines "sysbench: NAME VALUE",
-- the time in seconds. Latencies are recorder.lua's.

local names = {"time_total", "events", "reads", "writes", "other", "errors", "reconnects"}

function sysbench.hooks.report_cumulative(statistics)
   for _, name in ipairs(names) do
      print(string.format("sysbench: %s %.9f", name, statistics[name]))
   end
end
