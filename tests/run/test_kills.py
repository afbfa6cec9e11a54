# SPDX-License-Identifier: MIT
"""One campaign whose controller is killed again and again, at random moments, by SIGKILL."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from support.paths import PYTHONPATH, SUPPORT
from support.played_machines import guests_below

import kmlbench
from kmlbench.cli.main import main
from kmlbench.results import reader

pytestmark = pytest.mark.slow

PAIRS = 3
SEED = 20261124


@pytest.mark.parametrize(("kills", "blocks"), [(10, 20), pytest.param(50, 80, marks=pytest.mark.soak)])
def test_kills_cost_no_sample_and_double_none(tmp_path: Path, kills: int, blocks: int) -> None:
    child = subprocess.run(
        (sys.executable, SUPPORT / "kill_child.py", str(tmp_path), *map(str, (PAIRS, kills, SEED, blocks))),
        env={**os.environ, "PYTHONPATH": PYTHONPATH},
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert child.returncode == 0, child.stderr[-2000:]
    killed, controllers, code = map(int, child.stdout.split()[-3:])
    print(f"{PAIRS} pairs, seed {SEED}: {controllers} controllers, {killed} killed")
    assert (killed, code) == (kills, 0), child.stderr[-2000:]

    (directory,) = (path.parent for path in (tmp_path / "results").glob("2*/campaign.json"))
    stored = reader.read_campaign(directory)
    assert stored.notes == ()
    assert len(stored.campaign.plan) == 4 * blocks
    assert Counter(outcome.trial for outcome in stored.outcomes) == Counter(stored.campaign.plan)
    assert stored.failed == ()
    # A kill comes before the first trial, between trials or within one; what began and was cut is on record.
    assert len(stored.resumptions) > kills // 2
    assert len({outcome.resumption for outcome in stored.outcomes}) > kills // 5
    assert sum(len(resumption.trials) for resumption in stored.resumptions) > 0
    frame = kmlbench.load(directory)
    keys = ["block", "kernel", "prefix", "workload", "process", "metric"]
    assert not frame.duplicated(keys).any()
    assert len(frame) == len(stored.campaign.plan) * len(stored.completed[0].samples)
    assert frame.groupby("block")["pair"].nunique().eq(1).all()
    assert main(["verify", str(directory)]) == 0
    assert guests_below(tmp_path) == []
    assert [path.name for path in (tmp_path / "results").iterdir() if path.name.startswith(".")] == []
