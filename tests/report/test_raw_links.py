# SPDX-License-Identifier: MIT
"""Which raw output the report links to: what was kept, by trial and by boot."""

from __future__ import annotations

from pathlib import Path

from support.synthetic_campaigns import Recipe, build

from kmlbench.report import evidence
from kmlbench.results import reader


def test_every_planned_trial_has_its_state_and_what_was_kept(tmp_path: Path) -> None:
    path = build(tmp_path, Recipe(blocks=1, workloads=("getpid",), failing={1}, missing={3}))
    (path / "raw" / "0001-stock-trusted-getpid").mkdir()
    stored = evidence.trials(reader.read_campaign(path))
    assert [each.state for each in stored] == ["completed", "failed: measure", "completed", "never ended"]
    assert [each.raw for each in stored] == ["", "raw/0001-stock-trusted-getpid/", "", ""]
    assert [each.boot for each in stored] == ["raw/boot-0000/"] * 2 + ["raw/boot-0001/"] * 2
