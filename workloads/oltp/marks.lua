-- SPDX-License-Identifier: MIT
-- Marks for the instrument that may record the guest (instrument/README.md); without its library they do nothing.

local ffi = require("ffi")
ffi.cdef [[
int kmlbench_mark(unsigned int kind, unsigned int number);
unsigned int kmlbench_next(void);
]]
local present, library = pcall(ffi.load, "/usr/lib/kmlbench/libkmlbench-mark.so")

local marks = {FINISH = 0, MEASURED = 2, STATEMENT = 3, PURGE = 4}

function marks.mark(kind, number)
   if present then
      library.kmlbench_mark(kind, number)
   end
end

-- Ends the window, collects garbage, and has no more collected before the next such call: a collection takes as many
-- instructions as hundreds of events, and how much of it fell into which window was chance (docs/decisions/0059).
-- Without the library the collector goes on by itself.
function marks.rest()
   if present then
      library.kmlbench_mark(marks.FINISH, 0)
      collectgarbage("collect")
      collectgarbage("stop")
   end
end

-- How many events this program's threads have begun together; nil without the library.
function marks.next()
   return present and library.kmlbench_next() or nil
end

-- Where this program's code is, for whoever reads the windows; workloads/measure asks for it.
function marks.write_maps()
   local path = os.getenv("KMLBENCH_MAPS")
   if path then
      local maps, copy = assert(io.open("/proc/self/maps")), assert(io.open(path, "w"))
      copy:write(maps:read("*a"))
      copy:close()
      maps:close()
   end
end

return marks
