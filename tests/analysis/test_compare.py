# SPDX-License-Identifier: MIT
"""Two campaigns are compared by effect and by cell, never across platforms, and without a guess."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.synthetic_campaigns import Recipe, build, edit

from kmlbench.analysis import compare
from kmlbench.analysis.compare import Both
from kmlbench.cli.main import main
from kmlbench.errors import InputError
from kmlbench.plan.comparisons import STOCK_TRUSTED, STOCK_USR
from kmlbench.results import reader
from kmlbench.stats.intervals import Absent, Interval, ratio_of_effects

FIRST = Recipe(blocks=6, workloads=("getpid", "wisconsin"), noise=0.001, options={"server": "mysql"})
SECOND = replace(FIRST, seed=8, effect=0.95)
EFFECT = "kml:/trusted against stock:/usr"


def both(root: Path, first: Recipe = FIRST, second: Recipe = SECOND) -> Both:
    return compare.compare_campaigns(
        *(reader.read_campaign(build(root / name, each)) for name, each in (("a", first), ("b", second)))
    )


def rows(
    actual: Both, workload: str = "wisconsin", process: str = "together"
) -> dict[str, compare.ComparedRow]:
    (group,) = (
        group
        for group in actual.groups
        if (group.measure.workload, group.measure.metric, group.measure.process)
        == (workload, "cpu_total", process)
    )
    return {str(row.subject): row for row in group.rows}


def test_effects_and_cells_are_compared(tmp_path: Path) -> None:
    """0.967 and 0.95: the second effect is 1.76 % below the first; the other cells are alike."""
    result = rows(both(tmp_path))
    assert list(result) == [
        EFFECT,
        "kml:/trusted against kml:/usr",
        "kml:/usr against stock:/usr",
        "stock:/trusted against stock:/usr",
        *("stock:/usr", "stock:/trusted", "kml:/usr", "kml:/trusted"),
    ]
    assert result[EFFECT].first.text.startswith("−3.")
    assert result[EFFECT].second.text.startswith(("−4.9", "−5."))
    assert result[EFFECT].change.text.startswith("−1.")
    assert result[EFFECT].verdict == result["kml:/trusted"].verdict == "they differ"
    assert result["stock:/usr"].verdict == "no difference larger than 1 %"


def test_equal_effects_in_1000_pairs_of_campaigns_differ_in_5_percent() -> None:
    random, alarms = np.random.default_rng(9), 0
    for _ in range(1000):
        arms = [{block: [math.exp(log)] for block, log in enumerate(random.normal(-0.03, 0.01, size))}
                for size in (3, 8)]  # fmt: skip
        result = ratio_of_effects(*arms)
        assert isinstance(result, Interval)
        assert result.low is not None
        assert result.high is not None
        alarms += not result.low <= 1 <= result.high
    assert 30 <= alarms <= 67


@pytest.mark.parametrize("blocks", [{}, {0: [0.0]}])
def test_an_effect_that_does_not_exist_says_why(blocks: dict[int, list[float]]) -> None:
    assert isinstance(ratio_of_effects(blocks, {0: [1.0]}), Absent)


@pytest.mark.parametrize(
    ("other", "cause"),
    [
        (
            replace(SECOND, platform="QEMU KVM"),
            "ran on different platforms, QEMU TCG, instruction clock and QEMU KVM",
        ),
        (FIRST, "are the same campaign"),
        (replace(SECOND, control=True, cells=(STOCK_USR,)), "is an A/A control"),
        (replace(SECOND, workloads=("oltp_point_select",)), "have no measure in common"),
        (replace(SECOND, failing=range(48)), "have no measure in common"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], other: Recipe, cause: str
) -> None:
    paths = [build(tmp_path / name, each) for name, each in (("a", FIRST), ("b", other))]
    assert main(["compare", *map(str, paths)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert cause in printed.err
    assert "remedy: " in printed.err


@pytest.mark.parametrize(
    ("options", "note"),
    [
        ({"scale": "2"}, "scale: not given against 2"),
        ({"loops": "16"}, "loops: 8 against 16"),
        ({"loops": "8", "rate": "20"}, "rate: not given against 20"),
    ],
)
def test_other_work_leaves_the_effects(tmp_path: Path, options: dict[str, str], note: str) -> None:
    server = {"server": "mysql"}
    first = replace(FIRST, options=server if "scale" in options else {**server, "loops": "8"})
    result = both(tmp_path, first, replace(SECOND, options={**server, **options}))
    assert all("against" in row for row in rows(result))
    assert note in result.notes


def test_other_facts_are_told(tmp_path: Path) -> None:
    result = both(tmp_path, second=replace(SECOND, cpu_model="i486"))
    assert result.notes == (
        "stock: cpu_model: QEMU TCG CPU version 2.5+ against i486",
        "kml: cpu_model: QEMU TCG CPU version 2.5+ against i486",
    )


def test_facts_that_one_campaign_alone_has_are_told_in_one_line(tmp_path: Path) -> None:
    first, second = (build(tmp_path / name, each) for name, each in (("a", FIRST), ("b", SECOND)))
    forget(first, "cpus")
    forget(second, "command_line", "memory_kib")
    assert compare.compare_campaigns(
        reader.read_campaign(first), reader.read_campaign(second)
    ).notes == tuple(
        f"{kernel}: recorded by {each.name} alone: {facts}"
        for kernel in ("stock", "kml")
        for each, facts in ((first, "command_line, memory_kib"), (second, "cpus"))
    )


def test_a_kernel_that_one_campaign_alone_booted_has_no_facts_to_tell(tmp_path: Path) -> None:
    assert both(tmp_path, second=replace(SECOND, cells=(STOCK_USR, STOCK_TRUSTED))).notes == ()


def forget(campaign: Path, *names: str) -> None:
    """Take these facts out of every boot, as if the campaign were of a version that did not record them."""

    def without(record: Any) -> None:
        for name in names:
            del record["facts"][name]

    for path in campaign.glob("raw/boot-*/facts.json"):
        edit(path, without)


@pytest.mark.parametrize(
    ("other", "aside"),
    [
        (replace(SECOND, blocks=1), "one block: no interval"),
        (replace(SECOND, failing=range(3, 48, 4)), "no completed trial"),
        (replace(SECOND, cells=(STOCK_USR, STOCK_TRUSTED)), ""),
    ],
)
def test_what_has_no_interval_is_undecided(tmp_path: Path, other: Recipe, aside: str) -> None:
    result = rows(both(tmp_path, second=other))
    if aside:
        assert any(aside in row.change.aside and row.verdict == "undecided" for row in result.values())
    else:
        assert list(result) == ["stock:/trusted against stock:/usr", "stock:/usr", "stock:/trusted"]


def test_no_variance_anywhere_is_exact(tmp_path: Path) -> None:
    result = rows(both(tmp_path, replace(FIRST, noise=0), replace(SECOND, noise=0)))
    assert {row.verdict for row in result.values()} == {"they differ, exactly", "exactly the same"}


def test_no_variance_in_one_of_both_is_undecided(tmp_path: Path) -> None:
    result = rows(both(tmp_path, replace(FIRST, noise=0), SECOND))
    assert {row.verdict for row in result.values()} == {"undecided"}


def test_two_controls_are_compared_by_their_arms(tmp_path: Path) -> None:
    control = replace(FIRST, control=True, cells=(STOCK_USR,))
    assert list(rows(both(tmp_path, control, replace(control, seed=8)))) == [
        "stock:/usr B against stock:/usr A",
        "stock:/usr A",
        "stock:/usr B",
    ]


def test_the_command_prints_both_and_believes_no_host(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hostile = replace(SECOND, title="\x1b[31mred \udcff", cpu_model="i486\x07")
    paths = [build(tmp_path / name, each) for name, each in (("a", FIRST), ("b", hostile))]
    assert main(["compare", *map(str, paths)]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("A: 20251123T010203Z-5e7, the default campaign, 48 completed trials\nB: ")
    assert r"\x1b[31mred \udcff" in printed
    assert "\x1b" not in printed
    assert "it is not a speed-up" in printed
    assert re.search(
        r"wisconsin: cpu_total of together, 10⁹ instructions\n  kml:/trusted against stock:/usr\n"
        r"    A −3\.\d\d % \[[^]]*\]   B −[45]\.\d\d % \[[^]]*\]   B against A −1\.\d\d % \[.*\]: they",
        printed,
    )


def test_units_are_never_mixed(tmp_path: Path) -> None:
    paths = [build(tmp_path / name, each) for name, each in (("a", FIRST), ("b", SECOND))]

    def rename(record: Any) -> None:
        for sample in record["samples"]:
            sample["unit"] = sample["unit"].replace("1/s", "1/h")

    edit(paths[1] / "outcomes.jsonl", rename)
    with pytest.raises(InputError, match="two units"):
        compare.compare_campaigns(*map(reader.read_campaign, paths))
