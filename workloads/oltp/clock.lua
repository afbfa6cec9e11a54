-- SPDX-License-Identifier: MIT
-- Clocks in nanoseconds, and a sleep until a moment of the monotonic one.

local ffi = require("ffi")
if not pcall(ffi.typeof, "kmlbench_time") then
   ffi.cdef [[
   typedef struct { long seconds; long nanoseconds; } kmlbench_time;
   int clock_gettime(int clock, kmlbench_time *now);
   int clock_nanosleep(int clock, int flags, const kmlbench_time *until, kmlbench_time *left);
   ]]
end
local MONOTONIC, ABSOLUTE = 1, 1

local clock = {}
local time = ffi.new("kmlbench_time")
local origin

-- Since the first call, so that a double holds them exactly.
function clock.now()
   ffi.C.clock_gettime(MONOTONIC, time)
   origin = origin or tonumber(time.seconds)
   return (tonumber(time.seconds) - origin) * 1e9 + tonumber(time.nanoseconds)
end

function clock.sleep_until(nanoseconds)
   time.seconds = origin + math.floor(nanoseconds / 1e9)
   time.nanoseconds = nanoseconds % 1e9
   ffi.C.clock_nanosleep(MONOTONIC, ABSOLUTE, time, nil)
end

-- What a process has run so far, in all its threads; the clock's id is Linux's, see workloads/measure.
function clock.used(pid)
   ffi.C.clock_gettime(bit.bor(bit.lshift(bit.bnot(pid), 3), 2), time)
   return tonumber(time.seconds) * 1e9 + tonumber(time.nanoseconds)
end

return clock
