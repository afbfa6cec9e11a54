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


def sections(directory: Path) -> Mapping[str, Any]:
    write.write_report(directory)
    data = json.loads((directory / "report.json").read_text())
    return {section["identifier"]: section for section in data["sections"]}


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    """The sections of a report on a campaign with the instrument, whose ticks say something else."""
    directory = build(tmp_path_factory.mktemp("counted"), Recipe(blocks=3, workloads=WORKLOADS))
    edit(directory / "outcomes.jsonl", count_wisconsin)
    return sections(directory)


def rows(table: Any, group: int) -> dict[str, list[Any]]:
    return {row["label"]: row["cells"] for row in table["groups"][group]["rows"]}


def test_user_and_system_are_the_counted_instructions_with_their_intervals(
    counted: Mapping[str, Any],
) -> None:
    (table,) = counted["table-2"]["tables"]
    assert table["columns"] == ["all, instructions", "User, instructions", "System, instructions"]
    titles = [group["title"] for group in table["groups"]]
    assert [title.partition(":")[0] for title in titles] == [
        *("server and client together", "Linux Journal, 2005", "server", "client")
    ]
    together = rows(table, 0)
    assert [cell["text"] for cell in together["stock:/usr"]] == ["100,000", "80,000", "20,000"]
    assert [cell["aside"] for cell in together["stock:/usr"]] == [
        *("[99,500, 100,500]", "[79,750, 80,250]", "[19,750, 20,250]")
    ]
    change = together["kml:/trusted against stock:/usr"]
    assert [cell["text"] for cell in change] == ["−2.00 %", "0.00 %", "−10.00 %"]
    assert change[2]["aside"].startswith("[−10.14, −9.86]")
    server = rows(table, 2)
    assert [cell["text"] for cell in server["stock:/usr"]] == ["70,000", "56,000", "14,000"]


def test_the_changes_and_the_seconds_of_2005_stand_beside_them(counted: Mapping[str, Any]) -> None:
    (table,) = counted["table-2"]["tables"]
    change = rows(table, 0)["kml:/trusted against stock:/usr"]
    assert [cell["beside"] for cell in change] == ["2005: −3.35 %", "2005: −0.95 %", "2005: −13.7 %"]
    article = rows(table, 1)
    for label, seconds in (
        ("Original Linux 2.6.11, seconds", ["753.86", "611.78", "142.08"]),
        ("KML 2.6.11, seconds", ["728.61", "605.95", "122.66"]),
        ("KML against Original", ["−3.35 %", "−0.95 %", "−13.7 %"]),
    ):
        assert [cell["text"] for cell in article[label]] == seconds


def test_ticks_are_not_what_the_table_rests_on(counted: Mapping[str, Any]) -> None:
    note = counted["table-2"]["note"]
    assert "Counted is every instruction of a round" in note
    assert "ticks a second" not in note
    assert [picture["data"] for picture in counted["table-2"]["pictures"]] == ["wisconsin-instructions.csv"]


def test_nothing_is_shown_twice_and_the_clock_is_where_that_of_others_is(counted: Mapping[str, Any]) -> None:
    assert counted["instructions"]["tables"] == []
    captions = [table["caption"] for table in counted["cpu"]["tables"]]
    assert [caption.partition(":")[0] for caption in captions] == ["getpid", "wisconsin"]
    assert "2005" not in json.dumps(counted["cpu"])


def test_without_the_instrument_ticks_split_it_and_the_table_says_how_few(tmp_path: Path) -> None:
    result = sections(build(tmp_path, Recipe(blocks=2, workloads=WORKLOADS)))
    (table,) = result["table-2"]["tables"]
    assert [column.partition(",")[0] for column in table["columns"]] == [
        *("CPU", "User", "System", "CPU per pass")
    ]
    assert "a run of wisconsin (stock:/usr) has about" in result["table-2"]["note"]
    assert "Counted is" not in result["table-2"]["note"]
    assert len(result["cpu"]["tables"]) == 1


def test_each_workload_is_split_by_what_it_has(tmp_path: Path) -> None:
    """A client whose guests had no instrument beside one whose guests had it."""
    directory = build(tmp_path, Recipe(blocks=2, workloads=("wisconsin", "wisconsin_python")))
    edit(directory / "outcomes.jsonl", count_wisconsin)
    result = sections(directory)
    by_count, by_ticks = result["table-2"]["tables"]
    assert by_count["columns"][2] == "System, instructions"
    assert by_ticks["columns"][2].startswith("System, 10⁹ instructions")
    assert "Counted is" in result["table-2"]["note"]
    assert "a run of wisconsin_python (stock:/usr) has about" in result["table-2"]["note"]
