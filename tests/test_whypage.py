# SPDX-License-Identifier: MIT
"""The explanation in the report: its numbers, its reasons for none, and what would give more."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

from campaigns import Recipe, build
from test_explanation import EXACT, WORKLOAD
from test_report import Page

from kmlbench import report
from kmlbench.comparisons import CELLS


def page(root: Path, recipe: Recipe) -> Page:
    return Page(report.write(build(root, recipe)))


def explanation(found: Page) -> str:
    part = found.source.partition('<section id="explanation">')[2].partition("</section>")[0]
    return re.sub(r"<[^>]*>|\s+", " ", part).replace("  ", " ")


def test_the_explanation_stands_behind_the_cpu_it_explains(tmp_path: Path) -> None:
    found = page(tmp_path, EXACT)
    order = re.findall(r'<section id="([a-z0-9-]+)">', found.source)
    assert order.index("cpu") + 1 == order.index("explanation")
    text = re.sub(" +", " ", explanation(found))
    assert "predicted saving, instructions measured saving, instructions residue, instructions" in text
    assert "server and client together 8 no variance: no interval 100" in text
    assert "recvfrom 2 no variance: no interval send_recv 1,787" in text
    assert "calls by kind per query" in text
    assert "not counted" not in text
    assert "any rate" in text


def test_trials_that_count_calls_are_in_no_other_table(tmp_path: Path) -> None:
    found = page(tmp_path, EXACT)
    captions = re.findall(r"<caption>(.*?)</caption>", found.source)
    assert not [caption for caption in captions if caption.startswith("calls_")]


def test_without_syscalls_it_says_so_instead_of_a_number(tmp_path: Path) -> None:
    text = explanation(page(tmp_path, replace(EXACT, workloads=(WORKLOAD,))))
    assert "This campaign did not measure what a call costs" in text
    assert "add syscalls to --workloads" in text
    assert "syscalls did not run in both cells" in text


def test_without_counted_kinds_it_says_how_much_that_matters(tmp_path: Path) -> None:
    text = explanation(page(tmp_path, replace(EXACT, workloads=(WORKLOAD, "syscalls"))))
    assert f"What kinds of calls {WORKLOAD} made was not counted, so that all are priced as getpid" in text
    assert re.search(r"a call saves 100(\.0)? to 100(\.0)? instructions", text)
    assert f"calls_{WORKLOAD} in --workloads would count them" in text


def test_rare_kinds_share_a_row(tmp_path: Path) -> None:
    kinds = {"recvfrom": 4000, "mmap": 20, "brk": 10}
    text = re.sub(" +", " ", explanation(page(tmp_path, replace(EXACT, kinds=kinds))))
    assert "2 rarer kinds 0.01500" in text
    assert "mmap" not in text


def test_nothing_to_explain_is_no_section(tmp_path: Path) -> None:
    assert not explanation(page(tmp_path / "stock", replace(EXACT, cells=CELLS[:2])))
    assert not explanation(page(tmp_path, Recipe(workloads=("getpid",))))


def test_seconds_on_hardware(tmp_path: Path) -> None:
    text = explanation(page(tmp_path, replace(EXACT, platform="real hosts")))
    assert "direct calls per CPU second" in text
    assert "saved by a call, ns" in text
