-- SPDX-License-Identifier: MIT
-- Of programs that write: the old versions of rows stay until their work has ended, since a second connection could
-- still read them; then the server purges them all, in a window of its own, while the client waits. Otherwise it
-- purges beside the work, now sooner and now later, and how much it has to do is chance (docs/decisions/0059).
--
-- A line "sysbench: purge SECONDS" says how long that took, which is part of the time_total of the closing report.
-- The wait ends when the server, whose PID workloads/measure gives, has hardly used its CPU for RESTS successive
-- moments. Without a PID there is no wait.

local directory = debug.getinfo(1, "S").source:match("^@(.*/)")
local clock = dofile(directory .. "clock.lua")
local marks = dofile(directory .. "marks.lua")

local MOMENT_NS, RESTS, BUSY, LIMIT_NS = 10e6, 5, 0.2, 120e9

-- What it sends itself, by the names of the closing report. Its table is changed at the end: a server that could not
-- purge is woken by a change, not by the end of a transaction that read.
local purge = {sends = {writes = 2, other = 3}}
local view

-- Before the work.
function purge.hold_back()
   view = sysbench.sql.driver():connect()
   view:query("CREATE TABLE IF NOT EXISTS kmlbench_purge (n INTEGER)")
   view:query("INSERT INTO kmlbench_purge VALUES (0)")
   view:query("START TRANSACTION WITH CONSISTENT SNAPSHOT")
end

local function await_rest(server)
   local resting, start = 0, clock.now()
   while resting < RESTS do
      local used, begun = clock.used(server), clock.now()
      clock.sleep_until(begun + MOMENT_NS)
      local now = clock.now()
      resting = clock.used(server) - used < BUSY * (now - begun) and resting + 1 or 0
      assert(now - start < LIMIT_NS, "the server still purged after 120 s")
   end
end

-- After it.
function purge.let_go()
   local start = clock.now()
   marks.mark(marks.PURGE, 0)
   view:query("ROLLBACK")
   view:query("UPDATE kmlbench_purge SET n = n + 1")
   local server = tonumber(os.getenv("KMLBENCH_SERVER_PID"))
   if server then
      await_rest(server)
   end
   marks.mark(marks.FINISH, 0)
   view:disconnect()
   io.write(string.format("sysbench: purge %.9f\n", (clock.now() - start) / 1e9))
end

return purge
