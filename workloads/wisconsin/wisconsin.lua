#!/usr/bin/env sysbench
-- SPDX-License-Identifier: MIT
-- The Wisconsin benchmark as a sysbench script: `--events=1` is one whole run. Each query runs `loops` times
-- back to back and all its rows are fetched, then every modification runs once. Prints one line per statement,
-- "wisconsin: NUMBER KIND ROWS", ROWS being what each execution of a query returned; the rows that the
-- modifications changed show in the closing count of writes (sysbench counts only those that changed one).
-- Each execution is a window of the instrument, but the first of several, which warms up; what the server purges
-- after the modifications is another. Nothing is printed meanwhile: it would go to the controller over the network.

sysbench.cmdline.options = {
   loops = {"How many times each query runs", 10},
   statements = {"The file of statements beside this script", "statements.lua"},
   end_query = {"The query whose one row the command check prints", ""},
   purge = {"Whether the server purges after the work, not beside it", true},
}

local ffi = require("ffi")

-- Takes every row from the driver, as a C program would. sysbench's own fetch_row makes a Lua table of strings of
-- each, which was two fifths of all instructions and differed by chance (docs/decisions/0059).
local function fetch(result)
   local rows = 0
   while ffi.C.db_fetch_row(result) ~= nil do
      rows = rows + 1
   end
   result:free()
   return rows
end

local directory = debug.getinfo(1, "S").source:match("^@(.*/)")
local statements
dofile(directory .. "../oltp/report.lua")
local marks = dofile(directory .. "../oltp/marks.lua")
local purge = dofile(directory .. "../oltp/purge.lua")
local way = dofile(directory .. "../oltp/connection.lua")

local function run_query(number, text)
   local rows
   for execution = 1, sysbench.opt.loops do
      if execution > 1 or sysbench.opt.loops == 1 then
         marks.rest()
         marks.mark(marks.STATEMENT, number)
      end
      local fetched = fetch(connection:query(text))
      assert(rows == nil or rows == fetched, "a query returned different numbers of rows: " .. text)
      rows = fetched
   end
   marks.mark(marks.FINISH, 0)
   return rows
end

function thread_init()
   collectgarbage("restart")
   statements = dofile(directory .. sysbench.opt.statements)
   way.enter()
   connection = sysbench.sql.driver():connect()
   way.tell(connection)
   if sysbench.opt.purge then
      purge.hold_back()
   end
end

function event()
   local lines = {}
   marks.write_maps()
   for number, statement in ipairs(statements) do
      if statement.kind == "query" then
         lines[number] = string.format("wisconsin: %d query %d", number, run_query(number, statement.text))
      else
         marks.rest()
         marks.mark(marks.STATEMENT, number)
         connection:query(statement.text)
         marks.mark(marks.FINISH, 0)
         lines[number] = string.format("wisconsin: %d modify -", number)
      end
   end
   if sysbench.opt.purge then
      purge.let_go()
   end
   print(table.concat(lines, "\n"))
end

-- What tenk1 holds: `sysbench wisconsin.lua check`, unmeasured, after a run.
local function check()
   local connection = sysbench.sql.driver():connect()
   print("wisconsin: end " .. table.concat({connection:query_row(sysbench.opt.end_query)}, " "))
   connection:disconnect()
end

sysbench.cmdline.commands = {check = {check}}

function thread_done()
   connection:disconnect()
end
