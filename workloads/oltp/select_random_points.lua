#!/usr/bin/env sysbench
-- SPDX-License-Identifier: MIT
-- sysbench's own select_random_points, unchanged, with latencies of three digits and a precise report.
require("select_random_points")
dofile(debug.getinfo(1, "S").source:match("^@(.*/)") .. "recorder.lua")
