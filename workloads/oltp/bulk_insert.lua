#!/usr/bin/env sysbench
-- SPDX-License-Identifier: MIT
-- sysbench's own bulk_insert, unchanged, with latencies of three digits and a precise report.
require("bulk_insert")
dofile(debug.getinfo(1, "S").source:match("^@(.*/)") .. "recorder.lua")
