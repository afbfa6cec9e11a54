# SPDX-License-Identifier: MIT
"""Where the instructions went: parts that add up, in the report, in its figure, and for DuckDB."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import duckdb
import pytest
from support.synthetic_campaigns import Recipe, build, plan

import kmlbench
from kmlbench.analysis import modes
from kmlbench.analysis.modes import Spread
from kmlbench.model import Trial
from kmlbench.plan.comparisons import PRIMARY, STOCK_USR
from kmlbench.progress import Silent
from kmlbench.report import write
from kmlbench.results.profiles import PROFILE, WINDOW_TABLE
from kmlbench.results.reader import StoredCampaign

Row = tuple[str, str, str, str, str, float]

pytestmark = pytest.mark.slow

RECIPE = Recipe(blocks=2, workloads=("oltp_point_select",))


def rows(trial: Trial) -> Sequence[Row]:
    """In kernel mode a way into the kernel is another and the scheduler a little dearer; boots vary."""
    direct = trial.variant.kernel_mode
    way = ("kernel mode", "kml_direct_call", 61.0) if direct else ("entry and exit", "do_syscall_64", 101.0)
    return [
        ("client", "kernel", way[0], "kernel", way[1], way[2] + trial.block),
        ("server", "kernel", "scheduler", "kernel", "__switch_to", 10.0 + 0.5 * direct),
        ("server", "user", "user code", "mysqld", "dispatch_command", 500.0 - 0.01 * direct),
        ("other", "kernel", "memory", "kernel", "khugepaged", 9000.0 * direct),
    ]


def windows(trial: Trial) -> dict[str, Sequence[object]]:
    """Ten windows; the server of one trial sleeps between queries in three of them."""
    sleeping = trial.variant == STOCK_USR and trial.block == 1
    values = [600.0 + window % 2 + 50.0 * (sleeping and window > 6) for window in range(10)]
    return {
        "window": [*range(10), *range(10)],
        "work": ["event"] * 20,
        "process": ["server"] * 10 + ["other"] * 10,
        "side": ["kernel"] * 20,
        "instructions": [*values, *([7000.0] * 10)],
    }


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = build(tmp_path_factory.mktemp("whereabouts"), RECIPE)
    for trial in plan(RECIPE):
        names = ("process", "side", "subsystem", "object", "function", "instructions")
        columns = dict(zip(names, zip(*rows(trial), strict=True), strict=True))
        PROFILE.write(directory, trial, PROFILE.table(trial, columns))
        WINDOW_TABLE.write(directory, trial, WINDOW_TABLE.table(trial, windows(trial)))
    write.write_report(directory)
    return directory


class Notes(Silent):
    def __init__(self) -> None:
        self.texts: list[str] = []

    def note(self, text: str) -> None:
        self.texts.append(text)


def section(campaign: Path, identifier: str = "whereabouts") -> Any:
    data = json.loads((campaign / "report.json").read_text())
    (result,) = (output for output in data["sections"] if output["identifier"] == identifier)
    return result


def cells(table: Any) -> dict[str, list[str]]:
    (group,) = table["groups"]
    return {row["label"]: [cell["text"] for cell in row["cells"]] for row in group["rows"]}


def test_the_parts_add_up_to_the_change_and_nobody_elses_work_is_in_it(campaign: Path) -> None:
    subsystems, functions = section(campaign)["tables"]
    # The mean of block 0 and block 1.
    assert cells(subsystems) == {
        "entry and exit": ["101.5", "0.0", "−101.5", "−16.60 %"],
        "kernel mode": ["0.0", "61.5", "+61.5", "+10.06 %"],
        "scheduler": ["10.0", "10.5", "+0.5", "+0.08 %"],
        "user code": ["500.0", "500.0", "0.0", "0.00 %"],
        "all": ["611.5", "572.0", "−39.5", "−6.46 %"],
    }
    assert list(cells(functions)) == [
        "do_syscall_64",
        "kml_direct_call",
        "__switch_to",
        "mysqld: dispatch_command",
        "all",
    ]


def test_the_figure_has_a_bar_for_each_and_their_sum(campaign: Path) -> None:
    (picture,) = section(campaign)["pictures"]
    with (campaign / "figures" / picture["data"]).open(newline="") as stream:
        bars = {row["bar"]: float(row["value"]) for row in csv.DictReader(stream)}
    whole = bars.pop("all")
    assert whole == pytest.approx(-39.51)
    assert sum(bars.values()) == pytest.approx(whole)
    assert "entry and exit −101.5; kernel mode +61.5" in picture["alternative"]
    assert (campaign / "figures" / "oltp_point_select-whereabouts-dark.svg").exists()


def test_the_warning_of_the_page_is_told_and_its_windows_are_read_once(
    campaign: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[Path] = []

    def spreads(stored: StoredCampaign) -> tuple[Spread, ...]:
        read.append(stored.directory)
        return found(stored)

    found = modes.spreads
    monkeypatch.setattr(modes, "spreads", spreads)
    notes = Notes()
    write.write_report(campaign, progress=notes)
    assert notes.texts == section(campaign, "windows")["warnings"]
    assert read == [campaign]


def test_windows_in_another_mode_are_counted_and_warned_of(campaign: Path) -> None:
    result = section(campaign, "windows")
    varies, table = result["tables"]
    # Every other window has one instruction more in every trial: that is its place.
    assert cells(table)["standard deviation in a trial"] == ["2.731 %", "0.000 %", "0.000 %", "0.000 %"]
    assert cells(table)["windows in another mode"] == ["3", "0", "0", "0"]
    assert cells(table)["their distance"] == ["+8.32 %", "–", "–", "–"]
    assert table["columns"][0] == "stock:/usr"
    # A single start of the server differs from all others.
    assert cells(varies)["instructions of a round"] == ["0.000 %", "0.000 %", "0.758 %", "1.366 %"]
    (warning,) = result["warnings"]
    assert warning == (
        "oltp_point_select ran in more than one mode (windows in another one: stock:/usr: 3 of 20); "
        "without them kml:/trusted against stock:/usr is 0.00 %, with them −1.23 %."
    )
    assert result["folded"]


def test_a_campaign_without_the_instrument_has_no_such_section(tmp_path: Path) -> None:
    directory = build(tmp_path, RECIPE)
    write.write_report(directory)
    data = json.loads((directory / "report.json").read_text())
    assert "whereabouts" not in {output["identifier"] for output in data["sections"]}
    assert kmlbench.profile(directory).empty


def test_the_profile_is_tidy_and_duckdb_reads_its_files(campaign: Path) -> None:
    frame = kmlbench.profile(campaign)
    assert len(frame) == 4 * len(plan(RECIPE))
    assert set(frame["cell"]) == {"stock:/usr", "stock:/trusted", "kml:/usr", "kml:/trusted"}
    result = duckdb.execute(
        "select cell, sum(instructions) / count(distinct trial) as instructions "
        f"from '{campaign}/{PROFILE.folder}/*.parquet' where process <> 'other' group by cell"
    ).df()
    sums = dict(zip(result["cell"], result["instructions"], strict=True))
    assert sums[str(STOCK_USR)] == pytest.approx(611.5)
    assert sums[str(PRIMARY.treated)] == pytest.approx(571.99)
