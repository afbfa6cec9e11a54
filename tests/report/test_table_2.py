# SPDX-License-Identifier: MIT
"""Table 2 splits User and System by counted instructions, and by ticks only where nothing was counted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from support.synthetic_campaigns import Recipe, build, edit

from kmlbench.report import write

WORKLOADS = ("getpid", "wisconsin")
SPLIT = {"user": 80_000.0, "kernel": 20_000.0}
SAVED = {"user": 0.0, "kernel": 2_000.0}
SHARES = {"together": 1.0, "server": 0.7, "client": 0.3}


def count(record: Any) -> None:
    """In kernel mode a tenth less at kernel addresses; blocks differ by a hundred, there by one more."""
    trial = record["trial"]
    treated = (trial["kernel"], trial["prefix"]) == ("kml", "/trusted")
    sides = {
        side: SPLIT[side] - treated * SAVED[side] + (trial["block"] - 1) * (100 + treated) for side in SPLIT
    }
    values = {"instructions": sum(sides.values()), **{f"instructions_{side}": sides[side] for side in sides}}
    for process, share in SHARES.items():
        record["samples"] += [
            {"metric": metric, "unit": "instructions", "value": value * share}
            | {"process": process, "driver": "sysbench"}
            for metric, value in values.items()
        ]


def count_wisconsin(record: Any) -> None:
    if record["trial"]["workload"] == "wisconsin":
        count(record)


def parts(directory: Path, workload: str = "wisconsin") -> Mapping[str, Any]:
    """The parts of a workload's section."""
    write.write_report(directory)
    data = json.loads((directory / "report.json").read_text())
    return {part["identifier"]: part for part in data["sections"] if part["workload"] == workload}


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    """Of a campaign with the instrument, whose ticks say something else."""
    directory = build(tmp_path_factory.mktemp("counted"), Recipe(blocks=3, workloads=WORKLOADS))
    edit(directory / "outcomes.jsonl", count_wisconsin)
    return parts(directory)


def rows(table: Any, group: int) -> dict[str, dict[str, Any]]:
    """The cells of each row by column."""
    return {
        row["label"]: dict(zip(table["columns"], row["cells"], strict=True))
        for row in table["groups"][group]["rows"]
    }


def column(table: Any, name: str, group: int = 0, part: str = "text") -> list[str]:
    return [cells[name][part] for cells in rows(table, group).values()]


EFFECT = "kml:/trusted against stock:/usr"


def test_user_and_system_are_the_counted_instructions_with_their_intervals(
    counted: Mapping[str, Any],
) -> None:
    table, _ = counted["table-2"]["tables"]
    assert list(rows(table, 0)) == ["all, instructions", "User, instructions", "System, instructions"]
    assert [group["title"] for group in table["groups"]] == [
        *("server and client together", "server", "client")
    ]
    assert column(table, "stock:/usr") == ["100,000", "80,000", "20,000"]
    assert column(table, "stock:/usr", part="aside") == [
        *("[99,500, 100,500]", "[79,750, 80,250]", "[19,750, 20,250]")
    ]
    assert column(table, EFFECT) == ["−2.00 %", "0.000 %", "−10.00 %"]
    assert column(table, EFFECT, part="aside")[2].startswith("[−10.14, −9.86]")
    assert column(table, "stock:/usr", group=1) == ["70,000", "56,000", "14,000"]


def test_the_changes_and_the_seconds_of_2005_stand_beside_them(counted: Mapping[str, Any]) -> None:
    table, article = counted["table-2"]["tables"]
    assert column(table, EFFECT, part="beside") == ["2005: −3.35 %", "2005: −0.95 %", "2005: −13.7 %"]
    for name, seconds in (
        ("Original Linux 2.6.11, seconds", ["753.86", "611.78", "142.08"]),
        ("KML 2.6.11, seconds", ["728.61", "605.95", "122.66"]),
        ("KML against Original", ["−3.35 %", "−0.95 %", "−13.7 %"]),
    ):
        assert column(article, name) == seconds


def test_ticks_are_not_what_the_table_rests_on(counted: Mapping[str, Any]) -> None:
    note = counted["table-2"]["note"]
    assert "Counted is every instruction of a round" in note
    assert "ticks a second" not in note
    assert [picture["data"] for picture in counted["table-2"]["pictures"]] == [
        *("wisconsin-instructions.csv", "wisconsin-instructions-change.csv")
    ]


def test_nothing_is_shown_twice_and_the_clock_is_where_that_of_others_is(counted: Mapping[str, Any]) -> None:
    assert not {"instructions", "published"} & counted.keys()
    assert "2005" not in json.dumps(counted["cpu"])


def test_without_the_instrument_ticks_split_it_and_the_table_says_how_few(tmp_path: Path) -> None:
    result = parts(build(tmp_path, Recipe(blocks=2, workloads=WORKLOADS)))
    table, _ = result["table-2"]["tables"]
    assert [label.partition(",")[0] for label in rows(table, 0)] == ["CPU", "User", "System", "CPU per pass"]
    assert "a run of wisconsin (stock:/usr) has about" in result["table-2"]["note"]
    assert "Counted is" not in result["table-2"]["note"]
    assert "cpu" not in result


def test_each_workload_is_split_by_what_it_has(tmp_path: Path) -> None:
    """A client whose guests had no instrument beside one whose guests had it."""
    directory = build(tmp_path, Recipe(blocks=2, workloads=("wisconsin", "wisconsin_python")))
    edit(directory / "outcomes.jsonl", count_wisconsin)
    by_count, by_ticks = (
        parts(directory, workload)["table-2"] for workload in ("wisconsin", "wisconsin_python")
    )
    assert list(rows(by_count["tables"][0], 0))[2] == "System, instructions"
    assert list(rows(by_ticks["tables"][0], 0))[2] == "System, 10⁹ instructions"
    assert "Counted is" in by_count["note"]
    assert "a run of wisconsin_python (stock:/usr) has about" in by_ticks["note"]
