# SPDX-License-Identifier: MIT
"""A pilot says how many blocks a half-width needs and how long they take, or that nobody can know."""

from __future__ import annotations

import json
import math
import re
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.synthetic_campaigns import Recipe, build, edit, stored_campaign

from kmlbench.analysis import measurements, pilot
from kmlbench.analysis.primary import main_measure
from kmlbench.cli.main import main
from kmlbench.results import reader
from kmlbench.stats.intervals import Absent, Interval, ratio_interval


def test_a_real_pilot(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The stored campaign: 3 blocks in 640 s."""
    assert main(["plan", str(stored_campaign(tmp_path)), "--half-width", "0.5%"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "pilot: 20261123T052014Z-1370b77d, QEMU TCG, instruction clock, 4 minutes a block"
    assert printed[1] == "kml:/trusted against stock:/usr, cpu_total, for ±0.50 %:"
    assert printed[3] == (
        "  oltp_point_select (together): 4 blocks, 14 minutes; 6 blocks, 22 minutes to reach it with 80 % "
        "probability; now ±0.48 % with 3 blocks"
    )
    assert len(printed) == 6


def later(path: Path, hours: float, boots: range) -> None:
    """Have the clock of the day go on by so much before these boots."""

    def change(record: Any) -> None:
        if record["trial"]["boot"] in boots:
            moment = datetime.fromisoformat(record["started_utc"]) + timedelta(hours=hours)
            record["started_utc"] = moment.isoformat(timespec="milliseconds")

    edit(path / "outcomes.jsonl", change)


@pytest.mark.parametrize("hours", [10, -3])
def test_a_clock_that_jumps_is_not_planned_with(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], hours: float
) -> None:
    path = stored_campaign(tmp_path)
    later(path, hours, range(2, 6))
    assert main(["plan", str(path), "--half-width", "0.5%"]) == 0
    printed = capsys.readouterr().out
    assert "4 minutes a block" in printed
    assert "4 blocks, 14 minutes; 6 blocks" in printed


def test_a_night_between_a_campaign_and_its_resumption_is_not_planned_with(tmp_path: Path) -> None:
    """Also where half of the boots waited for it."""
    path = stored_campaign(tmp_path)
    for boot in (2, 3, 4):
        later(path, 10, range(boot, 6))
    *lines, last = (path / "outcomes.jsonl").read_text().splitlines()
    resumed = {"status": "resumed", "started_utc": "later", "lost_trials": [], "lost_boots": []}
    for number, position in enumerate((16, 24, 32)):
        lines.insert(position + number, json.dumps({**resumed, "number": number + 1}))
    (path / "outcomes.jsonl").write_text("".join(f"{line}\n" for line in (*lines, last)))
    assert pilot.block_s(reader.read_campaign(path)) == pytest.approx(640.2 / 3, rel=0.02)


@pytest.mark.parametrize("started_utc", ["2025-11-24T01:02:03Z", "2025-11-22T01:02:03Z"])
def test_a_record_that_does_not_tell_how_long_a_boot_takes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], started_utc: str
) -> None:
    """All its trials began at one moment, and the campaign on another day."""
    path = build(tmp_path, Recipe(blocks=4, workloads=("wisconsin",), started_utc=started_utc))
    assert main(["plan", str(path), "--half-width", "0.5%"]) == 0
    pilot_told, _, workload = capsys.readouterr().out.splitlines()
    assert pilot_told.endswith(", time unknown")
    assert re.fullmatch(r"  wisconsin \(together\): \d+ blocks; \d+ blocks to reach it .*", workload)


def test_a_block_is_the_time_of_all_pairs_of_hosts(tmp_path: Path) -> None:
    path = stored_campaign(tmp_path)
    one_s = pilot.block_s(reader.read_campaign(path))
    campaign = json.loads((path / "campaign.json").read_text())
    for trial in campaign["plan"]:
        trial["pair"] = trial["block"] % 2
    (path / "campaign.json").write_text(json.dumps(campaign))
    edit(path / "outcomes.jsonl", lambda record: record["trial"].update(pair=record["trial"]["block"] % 2))
    for facts in path.glob("raw/boot-*/facts.json"):
        boot = json.loads(facts.read_text())
        facts.write_text(json.dumps({**boot, "pair": boot["boot"] // 2 % 2}))
    later(path, -213.4 / 3600, range(2, 4))
    later(path, -213.4 / 3600, range(4, 6))
    assert one_s is not None
    assert pilot.block_s(reader.read_campaign(path)) == pytest.approx(one_s / 2, rel=0.05)


@pytest.mark.parametrize(
    ("metric", "message"),
    [("wal", "'wal'; did you mean 'wall'?"), ("nope", "'nope'; known: cpu_system, cpu_total, cpu_user,")],
)
def test_a_metric_that_no_workload_has(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], metric: str, message: str
) -> None:
    assert main(["plan", str(stored_campaign(tmp_path)), "--half-width", "1%", "--metric", metric]) == 2
    printed = capsys.readouterr()
    assert f"--metric: no workload of this campaign has {message}" in printed.err
    assert printed.out == ""


def test_any_metric_of_any_process_can_be_planned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--half-width", "1%", "--metric", "pass_cpu", "--process", "server"]
    assert main(["plan", str(stored_campaign(tmp_path)), *options]) == 0
    printed = capsys.readouterr().out
    assert "getpid (server): undecided: kml:/trusted: not measured" in printed
    assert re.search(r"wisconsin \(server\): \d+ blocks, .*; now ±\d\.\d\d % with 3 blocks", printed)


def test_a_process_that_nobody_knows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["plan", str(tmp_path), "--half-width", "1%", "--process", "kernel"]) == 2
    assert "kernel" in capsys.readouterr().err


def test_a_block_takes_what_it_took(tmp_path: Path) -> None:
    assert pilot.block_s(reader.read_campaign(stored_campaign(tmp_path))) == pytest.approx(
        640.2 / 3, rel=0.02
    )


@pytest.mark.slow
@pytest.mark.parametrize("noise", [0.002, 0.004])
def test_the_planned_blocks_reach_the_half_width_more_often_than_not(tmp_path: Path, noise: float) -> None:
    stored = reader.read_campaign(
        build(tmp_path / "pilot", Recipe(blocks=12, workloads=("wisconsin",), noise=noise))
    )
    source = measurements.source(stored)
    measure = main_measure(source, "wisconsin")
    planned = pilot.plan(source.ratio(measure, source.primary), half_width=0.005)
    assert isinstance(planned, pilot.Plan)
    assert planned.likely is not None
    assert planned.assured is not None
    assert planned.likely % 2 == 0
    assert planned.likely <= planned.assured
    reached = [width(tmp_path / str(seed), planned.assured, noise, seed) <= 0.005 for seed in range(20, 28)]
    assert sum(reached) >= 5


def width(root: Path, blocks: int, noise: float, seed: int) -> float:
    recipe = Recipe(blocks=blocks, workloads=("wisconsin",), noise=noise, seed=seed)
    source = measurements.source(reader.read_campaign(build(root, recipe)))
    measure = main_measure(source, "wisconsin")
    ratio = ratio_interval(
        source.of(measure, source.primary.treated), source.of(measure, source.primary.control)
    )
    assert isinstance(ratio, Interval)
    assert ratio.low is not None
    assert ratio.high is not None
    return math.sqrt(ratio.high / ratio.low) - 1


@pytest.mark.parametrize(
    ("recipe", "reason"),
    [
        (Recipe(blocks=1, workloads=("wisconsin",)), "undecided: one block: no interval"),
        (Recipe(blocks=3, workloads=("wisconsin",), noise=0), "exact: no variation in 3 blocks"),
        (Recipe(blocks=2, workloads=("wisconsin",), noise=0), "undecided: no variance: no interval"),
        (
            Recipe(blocks=2, workloads=("wisconsin",), failing=range(8)),
            "undecided: kml:/trusted: no ",
        ),
    ],
)
def test_a_pilot_that_shows_no_spread_plans_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], recipe: Recipe, reason: str
) -> None:
    assert main(["plan", str(build(tmp_path, recipe)), "--half-width", "0.5%"]) == 0
    assert reason in capsys.readouterr().out


def test_a_wild_pilot_needs_more_than_anybody_has(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = build(tmp_path, Recipe(blocks=3, workloads=("wisconsin",), noise=1))
    assert main(["plan", str(path), "--half-width", "0.01%"]) == 0
    assert "more than 1000 blocks" in capsys.readouterr().out


def test_a_campaign_in_which_no_block_ended_is_no_pilot(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = build(tmp_path, Recipe(blocks=1, workloads=("wisconsin",), missing={3}))
    assert main(["plan", str(path), "--half-width", "0.5%"]) == 2
    assert re.search("no block of this campaign ended.*\n  remedy: ", capsys.readouterr().err)


@pytest.mark.parametrize("text", ["0.5", "0%", "-1%", "100%", "nan%", "x%", "%"])
def test_a_half_width_is_a_percentage(tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str) -> None:
    assert main(["plan", str(tmp_path), f"--half-width={text}"]) == 2
    assert "is not a percentage between 0 and 100" in capsys.readouterr().err


def test_what_is_absent_has_its_reason(tmp_path: Path) -> None:
    source = measurements.source(reader.read_campaign(build(tmp_path, Recipe(blocks=2, missing=range(64)))))
    ratio = source.ratio(main_measure(source, "wisconsin"), source.primary)
    assert pilot.plan(ratio, half_width=0.01) == Absent(reason="kml:/trusted: no completed trial")


@pytest.mark.parametrize("confidence", [0.95, 0.97])
def test_a_plan_is_made_at_the_level_of_its_pilot(confidence: float) -> None:
    ratio = Interval(estimate=1.0, low=0.99, high=1 / 0.99, blocks=20, confidence=confidence)
    planned = pilot.plan(ratio, half_width=1 / 0.989999 - 1)
    assert isinstance(planned, pilot.Plan)
    assert planned.likely == 20
