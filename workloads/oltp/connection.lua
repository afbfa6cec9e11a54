-- SPDX-License-Identifier: MIT
-- What the connections go through. Where there is a choice, --transport says which one is meant: then each thread asks the
-- server about its own before the work, and prints "sysbench: connection HOST VERSION CIPHER". HOST is that of the
-- account: localhost through the socket only, 127.0.0.1 through TCP. VERSION and CIPHER are those of TLS, or -.

local ffi = require("ffi")
if not pcall(function() return ffi.C.chdir end) then
   ffi.cdef "int chdir(const char *path);"
end

sysbench.cmdline.options.transport = {"What the connections go through, if there is a choice", ""}
sysbench.cmdline.options.tls_files = {"The directory of the certificate and its key", ""}

-- What each thread asks, by the names of the closing report.
local connection = {sends = {reads = 2}}

-- sysbench 1.0.20 has no option for the certificate: it looks for it in the working directory.
function connection.enter()
   local directory = sysbench.opt.tls_files
   assert(directory == "" or ffi.C.chdir(directory) == 0, "there is no directory " .. directory)
end

local function rows(con, statement)
   local result, found = con:query(statement), {}
   for number = 1, result.nrows do
      found[number] = result:fetch_row()
   end
   result:free()
   return found
end

function connection.tell(con)
   if sysbench.opt.transport == "" then
      return
   end
   local account = rows(con, "SELECT CURRENT_USER()")[1][1]
   local tls = {}
   for _, row in ipairs(rows(con, "SHOW SESSION STATUS WHERE Variable_name IN ('Ssl_cipher', 'Ssl_version')")) do
      tls[row[1]:lower()] = row[2] ~= "" and row[2] or "-"
   end
   -- One write for a line: another thread may write its own.
   local host = account:match("@(.*)")
   io.write(string.format("sysbench: connection %s %s %s\n", host, tls.ssl_version or "-", tls.ssl_cipher or "-"))
end

return connection
