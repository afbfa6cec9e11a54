-- SPDX-License-Identifier: MIT
-- Of programs that write: the server's purge is stopped before the work, and the old versions of rows stay until the
-- work has ended; then it purges them all, in a window of its own, while the client waits. Otherwise it purges beside the
-- work, now sooner and now later, and how much it has to do is chance (docs/decisions/0059).
--
-- A line "sysbench: purge SECONDS" says how long that took, which is part of the time_total of the closing report.
-- The server has purged when it has hardly used its CPU for RESTS successive moments; workloads/measure gives its PID.
-- Without a PID there is no wait.

local directory = debug.getinfo(1, "S").source:match("^@(.*/)")
local clock = dofile(directory .. "clock.lua")
local marks = dofile(directory .. "marks.lua")

local MOMENT_NS, RESTS, BUSY, LIMIT_NS = 10e6, 5, 0.2, 120e9

-- What it sends itself, by the names of the closing report.
local purge = {sends = {reads = 1, writes = 2, other = 7}}
local stopper, truncates

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

local function await_purge()
   local server = tonumber(os.getenv("KMLBENCH_SERVER_PID"))
   if server then
      await_rest(server)
   end
end

-- After how many batches of purge the server also shortens its lists of undo logs: by default after 128, which a run
-- comes to or does not. Where there is no such variable, a statement that does nothing keeps the number of statements.
local function truncate_after(batches)
   stopper:query(truncates and "SET GLOBAL innodb_purge_rseg_truncate_frequency = " .. batches or "DO 0")
end

-- Before the work. What went before is purged; then the export of a table stops the purge of all.
function purge.hold_back()
   stopper = sysbench.sql.driver():connect()
   truncates = stopper:query("SHOW GLOBAL VARIABLES LIKE 'innodb_purge_rseg_truncate_frequency'").nrows > 0
   truncate_after(1)
   stopper:query("CREATE TABLE IF NOT EXISTS kmlbench_purge (n INTEGER)")
   stopper:query("INSERT INTO kmlbench_purge VALUES (0)")
   await_purge()
   truncate_after("DEFAULT")
   stopper:query("FLUSH TABLES kmlbench_purge FOR EXPORT")
end

-- After it. A server that could not purge is woken by a change.
function purge.let_go()
   local start = clock.now()
   marks.mark(marks.PURGE, 0)
   stopper:query("UNLOCK TABLES")
   truncate_after(1)
   stopper:query("UPDATE kmlbench_purge SET n = n + 1")
   await_purge()
   marks.mark(marks.FINISH, 0)
   truncate_after("DEFAULT")
   stopper:disconnect()
   io.write(string.format("sysbench: purge %.9f\n", (clock.now() - start) / 1e9))
end

return purge
