# SPDX-License-Identifier: MIT
"""The effects of stored campaigns as a frame: what the tables of their reports say, and nothing made up."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from support.synthetic_campaigns import Recipe, build, stored_campaign

import kmlbench
from kmlbench.analysis import frames, measurements
from kmlbench.errors import InputError
from kmlbench.model import Measure, Process
from kmlbench.plan.comparisons import PRIMARY, STOCK_USR, planned_workloads
from kmlbench.results import reader
from kmlbench.stats.intervals import Interval

CPU = Measure(workload="wisconsin", metric="cpu_total", process=Process.TOGETHER)
RECIPE = Recipe(workloads=("wisconsin",))
CONTROL = replace(RECIPE, blocks=6, control=True, cells=(STOCK_USR,), seed=11)


def rows(frame: pd.DataFrame, comparison: str) -> pd.DataFrame:
    chosen = (frame["workload"] == CPU.workload) & (frame["metric"] == CPU.metric)
    return frame[chosen & (frame["process"] == "together") & (frame["comparison"] == comparison)]


def test_the_effects_of_a_real_campaign_are_those_of_its_report(tmp_path: Path) -> None:
    path = stored_campaign(tmp_path)
    (row,) = rows(kmlbench.effects(path), str(PRIMARY)).to_dict("records")
    ratio = measurements.source(reader.read_campaign(path)).ratio(CPU, PRIMARY)
    assert isinstance(ratio, Interval)
    assert ratio.low is not None
    assert (row["change_percent"], row["low"]) == (100 * (ratio.estimate - 1), 100 * (ratio.low - 1))
    assert row["blocks"] == ratio.blocks
    assert row["platform"] == "QEMU TCG, instruction clock"
    assert pd.isna(row["control_percent"])


def test_what_was_not_measured_has_a_reason_and_no_number(tmp_path: Path) -> None:
    (row,) = rows(
        kmlbench.effects(build(tmp_path, replace(RECIPE, failing={0, 6, 8, 14}))), str(PRIMARY)
    ).to_dict("records")
    assert row["reason"] != ""
    assert pd.isna(row["change_percent"])
    assert pd.isna(row["verdict"])


def test_one_block_has_an_effect_without_an_interval(tmp_path: Path) -> None:
    (row,) = rows(kmlbench.effects(build(tmp_path, replace(RECIPE, blocks=1))), str(PRIMARY)).to_dict(
        "records"
    )
    assert pd.isna(row["low"])
    assert (row["reason"], row["verdict"]) == ("one block: no interval", "undecided")
    assert row["change_percent"] == pytest.approx(-3.3, abs=2)


def test_the_control_stands_beside_the_effects_of_its_neighbours(tmp_path: Path) -> None:
    control, serious = build(tmp_path, CONTROL), build(tmp_path, RECIPE)
    frame = kmlbench.effects(control, serious)
    (ours,) = rows(frame, "stock:/usr B against stock:/usr A").to_dict("records")
    (theirs,) = rows(frame, str(PRIMARY)).to_dict("records")
    assert (ours["campaign"], theirs["campaign"]) == (control.name, serious.name)
    assert theirs["control_percent"] == pytest.approx((ours["high"] - ours["low"]) / 2, rel=0.1)
    assert pd.isna(ours["control_percent"])


def test_the_campaigns_of_a_directory(tmp_path: Path) -> None:
    older = build(tmp_path, replace(RECIPE, failing={1}))
    newer = build(tmp_path, replace(CONTROL, started_utc="2026-01-01T00:00:00Z"))
    frame = kmlbench.campaigns(tmp_path)
    assert (tmp_path / "latest").is_symlink()
    assert list(frame["campaign"]) == [older.name, newer.name]
    assert list(frame["control"]) == [False, True]
    assert list(frame["completed"]) == [15, 12]
    assert len(kmlbench.campaigns(tmp_path / "nothing")) == 0


def test_what_decides_the_amount_of_work_is_told_of_every_campaign(tmp_path: Path) -> None:
    given = {"server": "mysql", "scale": "0.4", "loops": "8", "rate": "20"}
    build(tmp_path, replace(RECIPE, options=given))
    build(tmp_path, replace(RECIPE, seed=8, options={"scale": "0.4"}))
    work = kmlbench.campaigns(tmp_path)[list(given)]
    assert work.iloc[0].to_dict() == given
    assert work.iloc[1].to_dict() == {**dict.fromkeys(given, "not given"), "scale": "0.4"}


def test_levels_of_threads_are_compared_with_themselves_only(tmp_path: Path) -> None:
    levels = ("oltp_insert", "oltp_insert_4_threads", "oltp_insert_16_threads")
    path = build(tmp_path, replace(RECIPE, workloads=levels))
    effects, samples = kmlbench.effects(path), kmlbench.load(path)
    effects = effects[(effects["metric"] == "throughput") & (effects["comparison"] == str(PRIMARY))]
    assert list(effects["workload"]) == sorted(levels)
    for level in levels:
        frame = samples[(samples["workload"] == level) & (samples["metric"] == "throughput")]
        cells = frame.assign(value=np.log(frame["value"])).groupby(["kernel", "prefix"])["value"].mean()
        change = np.expm1(cells["kml", "/trusted"] - cells["stock", "/usr"]) * 100
        (row,) = effects[effects["workload"] == level].to_dict("records")
        assert (row["change_percent"], row["blocks"]) == (pytest.approx(change), 4)
    assert planned_workloads(reader.read_campaign(path).campaign.plan) == levels


def test_damage_is_told(tmp_path: Path) -> None:
    path = build(tmp_path, RECIPE)
    (path / "campaign.json").write_text("{")
    with pytest.raises(InputError):
        kmlbench.effects(path)


def test_a_copy_under_another_name_is_the_same_campaign(tmp_path: Path) -> None:
    path = build(tmp_path, RECIPE)
    copy = Path(shutil.copytree(path, tmp_path / "copy"))
    outcomes = copy / "outcomes.jsonl"
    outcomes.write_text("".join(outcomes.read_text().splitlines(keepends=True)[:-1]))
    for directory in (path, copy):
        frames.write_parquet(kmlbench.load(directory), directory / "samples.parquet")
    assert set(kmlbench.load(copy)["campaign"]) == {path.name}
    assert list(kmlbench.campaigns(tmp_path)["completed"]) == [16]
    assert kmlbench.sample_files(tmp_path) == [str(path / "samples.parquet")]
    pd.testing.assert_frame_equal(kmlbench.effects(copy, path), kmlbench.effects(path))
