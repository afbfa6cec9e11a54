# SPDX-License-Identifier: MIT
"""A control is one cell against itself; what it could not tell from nothing stands beside every effect."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import nct
from scipy.stats import t as student
from support.synthetic_campaigns import Recipe, build, edit

from kmlbench.analysis import control, measurements
from kmlbench.cli.main import main
from kmlbench.errors import InputError
from kmlbench.plan import schedule
from kmlbench.plan.comparisons import CELLS, KML_TRUSTED, STOCK_USR, cell_of
from kmlbench.report import evidence, write
from kmlbench.report.answer import answer
from kmlbench.results import reader
from kmlbench.stats.intervals import Interval, smallest_effect

pytestmark = pytest.mark.slow

WORKLOADS = {"getpid": False, "oltp_point_select": True, "wisconsin": True}
CONTROL = Recipe(blocks=6, workloads=("wisconsin",), control=True, cells=(STOCK_USR,), seed=11)
SERIOUS = Recipe(blocks=4, workloads=("wisconsin",), started_utc="2025-11-24T01:02:03Z")


def text(path: Path) -> str:
    return re.sub(r"<[^>]*>|\s+", " ", path.read_text())


@given(st.integers(min_value=0, max_value=2**32 - 1))
def test_a_control_boots_one_cell_twice_in_each_block(seed: int) -> None:
    trials = schedule.make_control(KML_TRUSTED, WORKLOADS, blocks=4, seed=seed)
    listed = schedule.boots(trials, WORKLOADS)
    assert [(boot.block, boot.twin) for boot in listed] == [
        (block, twin) for block in range(4) for twin in range(2)
    ]
    assert {trial.variant for trial in trials} == {KML_TRUSTED}
    orders = [tuple(trial.workload for trial in boot.trials) for boot in listed]
    assert orders[0] == orders[1] == orders[2][::-1] == orders[3][::-1]
    assert [trial.position for trial in trials] == list(range(24))


@given(st.integers(min_value=0, max_value=2**32 - 1))
def test_a_linear_drift_cancels_between_the_arms(seed: int) -> None:
    totals: Counter[tuple[str, str]] = Counter()
    for trial in schedule.make_control(STOCK_USR, WORKLOADS, blocks=2, seed=seed):
        totals[trial.workload, cell_of(trial, control=True).arm] += trial.position
    assert len(set(totals.values())) == 1
    assert {arm for _, arm in totals} == {"A", "B"}


def test_the_boots_of_an_experiment_have_no_twin() -> None:
    boots = schedule.boots(schedule.make_schedule(CELLS, WORKLOADS, blocks=3, seed=1), WORKLOADS)
    assert {boot.twin for boot in boots} == {0}


def test_the_report_of_a_control_says_what_this_machine_can_see(tmp_path: Path) -> None:
    stored = reader.read_campaign(build(tmp_path, CONTROL))
    source = measurements.source(stored)
    reply = answer(source, stored.campaign.platform)
    assert reply.sentence == "A/A control, wisconsin of stock:/usr against itself: no false alarm."
    assert re.search(
        r"With 6 blocks this machine cannot tell an effect within ±0\.\d\d % from none; the smallest that it "
        r"detects in four of five campaigns is ±0\.\d\d %\. Of \d+ measures that vary, \d+ differ",
        reply.figures,
    )
    page = text(write.write_report(stored.directory))
    for words in ("A/A control.", "stock:/usr A", "stock:/usr B against stock:/usr A", "nothing but chance"):
        assert words in page
    assert "kml:/" not in page
    assert "is no" not in reply.sentence


def test_the_proofs_of_a_control_are_those_of_its_cell(tmp_path: Path) -> None:
    stored = reader.read_campaign(build(tmp_path, replace(CONTROL, cells=(KML_TRUSTED,))))
    rows = evidence.proofs(stored)
    assert [(str(row.cell), row.agrees, row.trials) for row in rows] == [
        ("kml:/trusted A", True, 6),
        ("kml:/trusted B", True, 6),
    ]


def test_a_false_alarm_is_called_one(tmp_path: Path) -> None:
    path = build(tmp_path, replace(CONTROL, noise=0.0005))

    def add(record: Any) -> None:
        """Ten percent to arm A: the first boot of even blocks and the second of odd ones."""
        if (record["trial"]["block"] + record["trial"]["boot"]) % 2 == 0:
            for sample in record["samples"]:
                sample["value"] *= 1.1

    edit(path / "outcomes.jsonl", add)
    stored = reader.read_campaign(path)
    sentence = answer(measurements.source(stored), stored.campaign.platform).sentence
    assert "a false alarm, the arms differ" in sentence


@pytest.mark.parametrize(
    ("recipe", "verdict"),
    [
        (replace(CONTROL, blocks=1), "undecided"),
        (replace(CONTROL, blocks=2, noise=0), "undecided"),
        (replace(CONTROL, noise=0), "no false alarm, no variation in 6 blocks"),
    ],
)
def test_a_control_that_shows_no_spread_has_no_width(tmp_path: Path, recipe: Recipe, verdict: str) -> None:
    path = build(tmp_path, recipe)
    stored = reader.read_campaign(path)
    reply = answer(measurements.source(stored), stored.campaign.platform)
    assert verdict in reply.sentence
    assert "smallest" not in reply.figures
    assert control.noise(stored, stored).half_widths == {}
    assert main(["report", str(path)]) == 0


def test_the_control_of_the_same_machine_stands_beside_every_effect(tmp_path: Path) -> None:
    of_control = build(tmp_path, CONTROL)
    stored = reader.read_campaign(build(tmp_path, replace(SERIOUS, workloads=("wisconsin", "getpid"))))
    page = text(write.write_report(stored.directory))
    assert f"{of_control.name}, 6 blocks: its half-width" in page
    widths = control.noise(reader.read_campaign(of_control), stored).half_widths
    measure = next(row for row in widths if (row.metric, row.process) == ("cpu_total", "together"))
    assert page.count(f"A/A ±{widths[measure] * 100:.2f} %") >= 4
    of_getpid = page[page.rindex("getpid: mean and") :]
    assert "kml:/trusted against" in of_getpid
    assert "A/A ±" not in of_getpid[: of_getpid.index("What ran where")]


def test_the_newest_control_counts(tmp_path: Path) -> None:
    build(tmp_path, replace(CONTROL, seed=12))
    newer = build(tmp_path, replace(CONTROL, seed=13, started_utc="2025-11-23T02:00:00Z"))
    (damaged := tmp_path / "20991231-damaged").mkdir()
    (damaged / "campaign.json").write_text("{")
    stored = control.find_control(reader.read_campaign(build(tmp_path, SERIOUS)))
    assert stored is not None
    assert stored.name == newer.name


@pytest.mark.parametrize("empty", [{"missing": range(1, 12)}, {"failing": range(12)}, {"noise": 0.0}])
def test_a_control_without_any_interval_hides_no_older_one(tmp_path: Path, empty: dict[str, Any]) -> None:
    older = build(tmp_path, replace(CONTROL, seed=12))
    build(tmp_path, replace(CONTROL, seed=13, started_utc="2025-11-23T02:00:00Z", **empty))
    path = build(tmp_path, SERIOUS)
    stored = control.find_control(reader.read_campaign(path))
    assert stored is not None
    assert stored.name == older.name
    assert "A/A ±" in text(write.write_report(path))


OTHERS = {
    "another platform": replace(CONTROL, platform="QEMU KVM"),
    "another processor": replace(CONTROL, cpu_model="i486"),
    "another scale": replace(CONTROL, options={"scale": "3"}),
    "other passes": replace(CONTROL, options={"loops": "3"}),
    "another pace": replace(CONTROL, options={"rate": "20"}),
    "no control": replace(CONTROL, control=False),
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_a_control_of_something_else_is_not_found_and_may_not_be_named(
    tmp_path: Path, other: Recipe, capsys: pytest.CaptureFixture[str]
) -> None:
    named, path = build(tmp_path, other), build(tmp_path, SERIOUS)
    assert control.find_control(reader.read_campaign(path)) is None
    assert "runs one" in text(write.write_report(path))
    with pytest.raises(InputError, match="is not a control for"):
        write.write_report(path, beside=named)
    assert main(["report", str(path), "--control", str(named)]) == 2
    assert "remedy: name a campaign of `run-benchmark --control`" in capsys.readouterr().err


def test_a_control_that_lies_elsewhere_can_be_named(tmp_path: Path) -> None:
    named = build(tmp_path / "elsewhere", CONTROL)
    path = build(tmp_path, SERIOUS)
    assert "A/A ±" not in text(write.write_report(path))
    assert main(["report", str(path), "--control", str(named)]) == 0
    assert "A/A ±" in text(path / "report.html")


def test_the_smallest_effect_is_found_in_four_of_five_campaigns() -> None:
    ratio = Interval(estimate=1.0, low=0.99, high=1 / 0.99, blocks=6)
    effect = smallest_effect(ratio)
    assert effect is not None
    critical = student.ppf(0.975, 5)
    error = (ratio.high or 1) - 1
    assert nct.sf(critical, 5, effect / error * critical) == pytest.approx(0.8, abs=0.01)
    assert smallest_effect(Interval(estimate=1.0, low=None, high=None, blocks=1)) is None
