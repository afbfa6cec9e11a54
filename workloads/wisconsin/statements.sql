-- SPDX-License-Identifier: MIT
-- The Wisconsin benchmark's 24 statements, in order, one a line. A line "-- query ROWS" or "-- modify ROWS" says
-- what the next statement is and how many rows it returns or changes. wisconsin.lua runs them, and
-- kmlbench/wisconsin.py reads what to expect of them.
-- query 100
SELECT unique1, unique2, two, four, ten, twenty, hundred, thousand, twothousand, fivethous, tenthous, odd, even, stringu1, stringu2, string4 FROM tenk1 WHERE unique2 > 301 AND unique2 < 402;
-- query 1000
SELECT unique1, unique2, two, four, ten, twenty, hundred, thousand, twothousand, fivethous, tenthous, odd, even, stringu1, stringu2, string4 FROM tenk1 WHERE unique1 > 647 AND unique1 < 1648;
-- query 1
SELECT unique1, unique2, two, four, ten, twenty, hundred, thousand, twothousand, fivethous, tenthous, odd, even, stringu1, stringu2, string4 FROM tenk1 WHERE unique2 = 2001;
-- query 100
SELECT unique1, unique2, two, four, ten, twenty, hundred, thousand, twothousand, fivethous, tenthous, odd, even, stringu1, stringu2, string4 FROM tenk1 WHERE unique2 > 301 AND unique2 < 402;
-- query 1000
SELECT t1.unique1, t1.unique2, t1.two, t1.four, t1.ten, t1.twenty, t1.hundred, t1.thousand, t1.twothousand, t1.fivethous, t1.tenthous, t1.odd, t1.even, t1.stringu1, t1.stringu2, t1.string4, t2.unique1 AS t2_unique1, t2.unique2 AS t2_unique2, t2.two AS t2_two, t2.four AS t2_four, t2.ten AS t2_ten, t2.twenty AS t2_twenty, t2.hundred AS t2_hundred, t2.thousand AS t2_thousand, t2.twothousand AS t2_twothousand, t2.fivethous AS t2_fivethous, t2.tenthous AS t2_tenthous, t2.odd AS t2_odd, t2.even AS t2_even, t2.stringu1 AS t2_stringu1, t2.stringu2 AS t2_stringu2, t2.string4 AS t2_string4 FROM tenk1 t1 JOIN tenk1 t2 ON t1.unique2 = t2.unique2 WHERE t2.unique2 < 1000;
-- query 1000
SELECT t.unique1, t.unique2, t.two, t.four, t.ten, t.twenty, t.hundred, t.thousand, t.twothousand, t.fivethous, t.tenthous, t.odd, t.even, t.stringu1, t.stringu2, t.string4, b.unique1 AS b_unique1, b.unique2 AS b_unique2, b.two AS b_two, b.four AS b_four, b.ten AS b_ten, b.twenty AS b_twenty, b.hundred AS b_hundred, b.thousand AS b_thousand, b.twothousand AS b_twothousand, b.fivethous AS b_fivethous, b.tenthous AS b_tenthous, b.odd AS b_odd, b.even AS b_even, b.stringu1 AS b_stringu1, b.stringu2 AS b_stringu2, b.string4 AS b_string4 FROM tenk1 t JOIN Bprime b ON t.unique2 = b.unique2;
-- query 1000
SELECT t1.unique1, t1.unique2, t1.two, t1.four, t1.ten, t1.twenty, t1.hundred, t1.thousand, t1.twothousand, t1.fivethous, t1.tenthous, t1.odd, t1.even, t1.stringu1, t1.stringu2, t1.string4, o.unique1 AS o_unique1, o.unique2 AS o_unique2, o.two AS o_two, o.four AS o_four, o.ten AS o_ten, o.twenty AS o_twenty, o.hundred AS o_hundred, o.thousand AS o_thousand, o.twothousand AS o_twothousand, o.fivethous AS o_fivethous, o.tenthous AS o_tenthous, o.odd AS o_odd, o.even AS o_even, o.stringu1 AS o_stringu1, o.stringu2 AS o_stringu2, o.string4 AS o_string4 FROM onek o JOIN tenk1 t1 ON o.unique2 = t1.unique2 JOIN tenk1 t2 ON t1.unique2 = t2.unique2 WHERE t1.unique2 < 1000 AND t2.unique2 < 1000;
-- query 10000
SELECT two, four, ten, twenty, hundred, string4 FROM tenk1;
-- query 1000
SELECT unique1, unique2, two, four, ten, twenty, hundred, thousand, twothousand, fivethous, tenthous, odd, even, stringu1, stringu2, string4 FROM onek;
-- query 1
SELECT MIN(unique2) FROM tenk1;
-- modify 1
INSERT INTO tenk1 (unique1, unique2, two, four, ten, twenty, hundred, thousand, twothousand, fivethous, tenthous, odd, even, stringu1, stringu2, string4) VALUES (10001, 74001, 0, 2, 0, 10, 50, 688, 1950, 4950, 9950, 1, 100, 'ron may choi', 'jae kwang choi', 'u. c. berkeley');
-- modify 1
INSERT INTO tenk1 (unique1, unique2, two, four, ten, twenty, hundred, thousand, twothousand, fivethous, tenthous, odd, even, stringu1, stringu2, string4) VALUES (19991, 60001, 0, 2, 0, 10, 50, 688, 1950, 4950, 9950, 1, 100, 'ron may choi', 'jae kwang choi', 'u. c. berkeley');
-- modify 1
DELETE FROM tenk1 WHERE unique2 = 877;
-- modify 1
DELETE FROM tenk1 WHERE unique2 = 876;
-- modify 1
UPDATE tenk1 SET unique2 = 10001 WHERE unique2 = 1491;
-- modify 1
UPDATE tenk1 SET unique2 = 10023 WHERE unique2 = 1480;
-- modify 1
INSERT INTO tenk1 (unique1, unique2, two, four, ten, twenty, hundred, thousand, twothousand, fivethous, tenthous, odd, even, stringu1, stringu2, string4) VALUES (20002, 70002, 0, 2, 0, 10, 50, 688, 1950, 4950, 9950, 1, 100, 'ron may choi', 'jae kwang choi', 'u. c. berkeley');
-- modify 1
INSERT INTO tenk1 (unique1, unique2, two, four, ten, twenty, hundred, thousand, twothousand, fivethous, tenthous, odd, even, stringu1, stringu2, string4) VALUES (50002, 40002, 0, 2, 0, 10, 50, 688, 1950, 4950, 9950, 1, 100, 'ron may choi', 'jae kwang choi', 'u. c. berkeley');
-- modify 1
DELETE FROM tenk1 WHERE unique2 = 10001;
-- modify 1
DELETE FROM tenk1 WHERE unique2 = 900;
-- modify 1
UPDATE tenk1 SET unique2 = 10088 WHERE unique2 = 187;
-- modify 1
UPDATE tenk1 SET unique2 = 10003 WHERE unique2 = 2000;
-- modify 1
UPDATE tenk1 SET unique2 = 10020 WHERE unique2 = 1974;
-- modify 1
UPDATE tenk1 SET unique2 = 16001 WHERE unique2 = 1140;
