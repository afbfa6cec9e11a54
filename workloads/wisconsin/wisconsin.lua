#!/usr/bin/env sysbench
-- SPDX-License-Identifier: MIT
-- The Wisconsin benchmark as a sysbench script: `--events=1` is one whole run. Each query runs `loops` times
-- back to back and all its rows are fetched, then every modification runs once. Prints one line per statement,
-- "wisconsin: NUMBER KIND ROWS", ROWS being what each execution of a query returned; the rows that the
-- modifications changed show in the closing count of writes (sysbench counts only those that changed one).
-- Each execution is a window of the instrument, but the first of several, which warms up.

sysbench.cmdline.options = {
   loops = {"How many times each query runs", 10},
   statements = {"The file of statements beside this script", "statements.lua"},
   end_query = {"The query whose one row the command check prints", ""},
}

local function fetch(result)
   local rows = 0
   while result:fetch_row() do
      rows = rows + 1
   end
   result:free()
   return rows
end

local directory = debug.getinfo(1, "S").source:match("^@(.*/)")
local statements
dofile(directory .. "../oltp/report.lua")
local marks = dofile(directory .. "../oltp/marks.lua")

local function run_query(number, text)
   local rows
   for execution = 1, sysbench.opt.loops do
      if execution > 1 or sysbench.opt.loops == 1 then
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
   statements = dofile(directory .. sysbench.opt.statements)
   connection = sysbench.sql.driver():connect()
end

function event()
   marks.write_maps()
   for number, statement in ipairs(statements) do
      if statement.kind == "query" then
         print(string.format("wisconsin: %d query %d", number, run_query(number, statement.text)))
      else
         marks.mark(marks.STATEMENT, number)
         connection:query(statement.text)
         marks.mark(marks.FINISH, 0)
         print(string.format("wisconsin: %d modify -", number))
      end
   end
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
