# SPDX-License-Identifier: MIT
"""The explanation in the report: its numbers, its reasons for none, and what would give more."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from analysis.test_explanation import EXACT, WORKLOAD
from report.test_write import Page
from support.synthetic_campaigns import Recipe, build

from kmlbench.analysis import measurements
from kmlbench.plan.comparisons import CELLS
from kmlbench.report import explanation as whypage
from kmlbench.report import write
from kmlbench.report.sections import PageSection
from kmlbench.results import reader


def explanation(root: Path, recipe: Recipe) -> str:
    """The text of the section, without the page around it; empty where there is none."""
    sections = whypage.explanation_sections(
        measurements.source(reader.read_campaign(build(root, recipe))), None
    )
    return " ".join(text for section in sections for text in (section.title, section.note, *_texts(section)))


def _texts(section: PageSection) -> Iterator[str]:
    for table in section.tables:
        yield from (table.caption, table.heading, *table.columns)
        for group in table.groups:
            yield group.title
            for row in group.rows:
                cells = (text for cell in row.cells for text in (cell.text, cell.aside))
                yield from (row.label, *filter(None, cells))


@pytest.mark.slow
def test_the_explanation_stands_behind_the_cpu_it_explains(tmp_path: Path) -> None:
    written = Page(write.write_report(build(tmp_path, EXACT)))
    order = re.findall(rf'<div id="workload-{WORKLOAD}-([a-z0-9-]+)" class="part">', written.source)
    assert order.index("cpu") < order.index("counters") < order.index("explanation") == len(order) - 1
    for words in ("residue, instructions", "server and client together 8 no variation in 4 blocks 100"):
        assert words in written.text
    captions = re.findall(r"<caption>(.*?)</caption>", written.source)
    assert not [caption for caption in captions if caption.startswith("calls_")]


def test_calls_what_they_save_and_their_kinds(tmp_path: Path) -> None:
    text = explanation(tmp_path, EXACT)
    assert "predicted saving, instructions measured saving, instructions residue, instructions" in text
    assert "recvfrom 2 no variation in 4 blocks send_recv 1,787" in text
    assert "calls by kind per query" in text
    assert "not counted" not in text
    assert "any rate" in text


def test_without_syscalls_it_says_so_instead_of_a_number(tmp_path: Path) -> None:
    text = explanation(tmp_path, replace(EXACT, workloads=(WORKLOAD,)))
    assert "This campaign did not measure what a call costs" in text
    assert "add syscalls to --workloads" in text
    assert "syscalls did not run in both cells" in text


def test_without_counted_kinds_it_says_how_much_that_matters(tmp_path: Path) -> None:
    text = explanation(tmp_path, replace(EXACT, workloads=(WORKLOAD, "syscalls")))
    assert f"The calls of {WORKLOAD} were not counted by kind, so all are priced as getpid" in text
    assert re.search(r"a call saves 100(\.0)? to 100(\.0)? instructions", text)
    assert f"calls_{WORKLOAD} in --workloads would count them" in text


def test_rare_kinds_share_a_row(tmp_path: Path) -> None:
    kinds = {"recvfrom": 4000, "mmap": 20, "brk": 10}
    text = re.sub(" +", " ", explanation(tmp_path, replace(EXACT, kinds=kinds)))
    assert "2 rarer kinds 0.01500" in text
    assert "mmap" not in text


def test_nothing_to_explain_is_no_section(tmp_path: Path) -> None:
    assert not explanation(tmp_path / "stock", replace(EXACT, cells=CELLS[:2]))
    assert not explanation(tmp_path, Recipe(workloads=("getpid",)))


def test_seconds_on_hardware(tmp_path: Path) -> None:
    text = explanation(tmp_path, replace(EXACT, platform="real hosts"))
    assert "direct calls per CPU second" in text
    assert "saved by a call, ns" in text
