# SPDX-License-Identifier: MIT
"""The examples of docs/many-campaigns.md, on several campaigns at once: as DuckDB and as Dask read them."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from support.paths import REPOSITORY
from support.synthetic_campaigns import Recipe, build

from kmlbench.analysis import measurements
from kmlbench.model import Measure, Process
from kmlbench.plan.comparisons import PRIMARY
from kmlbench.report import write
from kmlbench.results import reader
from kmlbench.stats.intervals import Interval

pytestmark = pytest.mark.slow

DOCUMENT = REPOSITORY / "docs" / "many-campaigns.md"
WORKLOADS = ("oltp_point_select", "wisconsin")
RECIPE = Recipe(blocks=3, workloads=WORKLOADS)


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two campaigns of one platform, one of another, and the link to the newest."""
    root = tmp_path_factory.mktemp("many")
    recipes = [
        RECIPE,
        replace(RECIPE, blocks=2, effect=0.9, failing={0}),
        replace(RECIPE, platform="QEMU KVM"),
    ]
    for number, recipe in enumerate(recipes):
        write.write_report(build(root / "results", replace(recipe, id=f"c{number}")))
    return root / "results"


def example(engine: str, results: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Run the code below the heading of this engine as a reader would; what it calls `changes`."""
    text = DOCUMENT.read_text()
    match = re.search(rf"^## {engine}\n.*?```python\n(.*?)```", text, re.DOTALL | re.MULTILINE)
    assert match
    monkeypatch.chdir(results.parent)
    names: dict[str, Any] = {}
    exec(compile(match[1], f"{DOCUMENT.name}, {engine}", "exec"), names)
    return names["changes"]


def expected(results: Path) -> dict[tuple[str, str], float]:
    """The estimates of the suite itself, in percent."""
    changes = {}
    for path in sorted(results.glob("2*")):
        stored = reader.read_campaign(path)
        if stored.campaign.platform != RECIPE.platform:
            continue
        source = measurements.source(stored)
        for workload in WORKLOADS:
            measure = Measure(workload=workload, metric="cpu_total", process=Process.TOGETHER)
            logs = source.ratio(measure, PRIMARY)
            assert isinstance(logs, Interval)
            changes[path.name, workload] = 100 * (logs.estimate - 1)
    return changes


def test_duckdb_gives_the_changes_of_every_campaign(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frame: pd.DataFrame = example("DuckDB", results, monkeypatch)
    result = frame.set_index(["campaign", "workload"])["change_percent"].to_dict()
    assert result == pytest.approx(expected(results))
    assert len(result) == 4
    assert sorted(frame["blocks"]) == [1, 2, 3, 3]


# Dask 2026.8 still gives reset_index the keyword that pandas 3.1 deprecates.
@pytest.mark.filterwarnings("ignore:The inplace keyword:DeprecationWarning")
def test_dask_gives_the_same(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    series: pd.Series = example("Dask", results, monkeypatch)
    assert series.to_dict() == pytest.approx(expected(results))
