#!/usr/bin/env sysbench
-- SPDX-License-Identifier: MIT
-- sysbench's own oltp_point_select, unchanged, with latencies of three digits and a precise report.
require("oltp_point_select")
dofile(debug.getinfo(1, "S").source:match("^@(.*/)") .. "recorder.lua")
