# SPDX-License-Identifier: MIT
"""The workload files of the package in guests: every answer is right from both prefixes on both kernels."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.paths import REPOSITORY

from kmlbench.cli.main import main, run_benchmark
from kmlbench.plan.comparisons import CELLS
from kmlbench.results import reader
from kmlbench.workloads.registry import ADAPTERS, definitions

pytestmark = [pytest.mark.guest, pytest.mark.soak]

OPTIONS = ("--hosts", str(REPOSITORY / "hosts.yaml"), "--blocks", "1", "--scale", "0.2")


@pytest.mark.parametrize("packages", sorted({each.packages for each in definitions(ADAPTERS).values()}))
def test_the_files_that_need_these_packages_run_in_all_cells(
    packages: tuple[str, ...], tmp_path: Path
) -> None:
    """Each set has an image of its own, which the first run builds."""
    names = [name for name, each in definitions(ADAPTERS).items() if each.packages == packages]
    chosen = [word for name in names for word in ("--workload", name)]
    assert run_benchmark([*OPTIONS, "--results", str(tmp_path), *chosen]) == 0
    stored = reader.read_campaign(tmp_path / "latest")
    ran = {(outcome.trial.variant, outcome.trial.workload) for outcome in stored.completed}
    assert ran == {(cell, name) for cell in CELLS for name in names}
    assert main(["verify", str(stored.directory)]) == 0
