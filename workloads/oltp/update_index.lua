#!/usr/bin/env sysbench
-- SPDX-License-Identifier: MIT
-- sysbench's own oltp_update_index, unchanged, with latencies of three digits and a precise report.
require("oltp_update_index")
dofile(debug.getinfo(1, "S").source:match("^@(.*/)") .. "recorder.lua")
