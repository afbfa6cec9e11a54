#!/usr/bin/env sysbench
-- SPDX-License-Identifier: MIT
-- sysbench's own oltp_read_write, unchanged, with latencies of three digits and a precise report.
require("oltp_read_write")
dofile(debug.getinfo(1, "S").source:match("^@(.*/)") .. "recorder.lua")
