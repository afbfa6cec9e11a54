-- SPDX-License-Identifier: MIT
-- Times each event of the script that was loaded before, in the buckets of an HDR histogram of three digits
-- (2,048 steps to each power of two; sysbench's own steps by 1.8 %), and prints lines "sysbench: NAME
-- LOWEST_NS COUNT" when the thread ends, with the exact sum before them. Each thread of several prints its own.
--
-- --pace=N: event number i is meant to start at i / N seconds. The time that an event waits for a late one before
-- it counts: `intended` begins when an event should have begun, `service` when it did. Several threads take turns:
-- each has events of its own at its share of the pace.
--
-- --window=N: after --warm_up events every N events are a window of the instrument, as many as fit. Events of several
-- threads are numbered in the order in which they begin, and the thread that begins the first of a window marks it.
-- --purge=on: the server purges what the events leave behind after them, in a window of its own. Of several threads the
-- first sees to it.

sysbench.cmdline.options = sysbench.cmdline.options or {}
sysbench.cmdline.options.pace = {"Events to start in a second, 0: one after the other", 0.0}
sysbench.cmdline.options.warm_up = {"Events before the first window", 0}
sysbench.cmdline.options.window = {"Events in a window, 0: there is none", 0}
sysbench.cmdline.options.purge = {"Whether the server purges after the events, not beside them", false}

local directory = debug.getinfo(1, "S").source:match("^@(.*/)")
dofile(directory .. "report.lua")
local marks = dofile(directory .. "marks.lua")
local purge = dofile(directory .. "purge.lua")
local clock = dofile(directory .. "clock.lua")
local connection = dofile(directory .. "connection.lua")

local function histogram()
   local counts, sum = {}, 0

   local function record(nanoseconds)
      local _, bits = math.frexp(nanoseconds)
      local step = 2 ^ math.max(0, bits - 11)
      local lowest = nanoseconds - nanoseconds % step
      counts[lowest] = (counts[lowest] or 0) + 1
      sum = sum + nanoseconds
   end

   local function show(name)
      -- One write for a line: another thread may write its own.
      io.write(string.format("sysbench: %s_sum %.9f\n", name, sum / 1e9))
      for lowest, count in pairs(counts) do
         io.write(string.format("sysbench: %s %d %d\n", name, lowest, count))
      end
   end

   return record, show
end

local serve, show_service = histogram()
local intend, show_intended = histogram()
local begin_thread, run_event, end_thread = thread_init, event, thread_done
local start, started = nil, 0

-- The number of the event that comes next, of all threads; nil where it cannot be marked.
local function next_number()
   if sysbench.opt.window == 0 then
      return nil
   end
   return sysbench.opt.threads == 1 and started or marks.next()
end

-- Begins the window of the event that comes next, and ends the one before.
local function mark_window()
   local number, size = next_number(), sysbench.opt.window
   local past = number and number - sysbench.opt.warm_up
   if not past or past < 0 or past % size ~= 0 then
      return
   end
   if past == 0 then
      marks.write_maps()
   end
   if number + size <= sysbench.opt.events then
      -- Events of other threads are under way, which have a collector each.
      if sysbench.opt.threads == 1 then
         marks.rest()
      end
      marks.mark(marks.MEASURED, past / size)
   else
      marks.mark(marks.FINISH, 0)
   end
end

function event()
   mark_window()
   local pace = sysbench.opt.pace
   start = start or clock.now()
   local turn = started * sysbench.opt.threads + sysbench.tid
   local meant = pace > 0 and start + turn * 1e9 / pace or nil
   if meant and meant > clock.now() then
      clock.sleep_until(meant)
   end
   local begun = clock.now()
   run_event()
   local ended = clock.now()
   serve(ended - begun)
   if meant then
      intend(ended - meant)
   end
   started = started + 1
end

local function purges()
   return sysbench.opt.purge and sysbench.tid == 0
end

function thread_init()
   collectgarbage("restart")
   connection.enter()
   begin_thread()
   connection.tell(con)
   if purges() then
      purge.hold_back()
   end
end

function thread_done()
   mark_window()
   if purges() then
      purge.let_go()
   end
   end_thread()
   show_service("service")
   if sysbench.opt.pace > 0 then
      show_intended("intended")
   end
end
