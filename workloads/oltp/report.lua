-- SPDX-License-Identifier: MIT
-- Replaces sysbench's closing report, which rounds latencies to 0.01 ms (a point select takes 0.07 ms), by the
-- same statistics at full precision: lines "sysbench: NAME VALUE", times in seconds.

local names = {
   "time_total", "events", "reads", "writes", "other", "errors", "reconnects",
   "latency_min", "latency_max", "latency_sum", "latency_pct",
}

function sysbench.hooks.report_cumulative(statistics)
   for _, name in ipairs(names) do
      print(string.format("sysbench: %s %.9f", name, statistics[name]))
   end
end
