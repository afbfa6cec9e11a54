# SPDX-License-Identifier: MIT
"""Campaigns that cannot answer, or know no variation: an error, "undecided" or "exact", no made-up number."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.synthetic_campaigns import Recipe, build, edit

import kmlbench
from kmlbench.cli.main import main
from kmlbench.plan import stopping
from kmlbench.plan.comparisons import STOCK_USR

WORKLOADS = ("wisconsin",)
RULE = stopping.stopping_rule(0.01, workload="wisconsin", served=True)
# What a page must not hold: a number that is none, an interval of no width, a Python error.
MADE_UP = re.compile(r"\bnan\b|\binf\b|Traceback|\[([−+]?[\d.,]+), \1\]")
ALL = range(10_000)

CASES = {
    "one block": Recipe(blocks=1, workloads=WORKLOADS),
    "all trials failed": Recipe(blocks=3, workloads=WORKLOADS, failing=ALL),
    "no trial ended": Recipe(blocks=3, workloads=WORKLOADS, missing=ALL),
    "no variance": Recipe(blocks=3, workloads=WORKLOADS, noise=0),
    "no variance and no effect": Recipe(blocks=12, workloads=WORKLOADS, noise=0, effect=1),
    "one cell failed": Recipe(blocks=3, workloads=WORKLOADS, failing=range(3, 48, 4)),
    "cells in no block together": Recipe(
        blocks=2, workloads=("wisconsin",), failing=(0, 1, 6, 7), missing=()
    ),
    "a control of one block": Recipe(blocks=1, workloads=WORKLOADS, control=True, cells=(STOCK_USR,)),
    "a control that failed": Recipe(
        blocks=3, workloads=WORKLOADS, control=True, cells=(STOCK_USR,), failing=ALL
    ),
    "a control without variance": Recipe(
        blocks=12, workloads=WORKLOADS, control=True, cells=(STOCK_USR,), noise=0
    ),
    "a rule and no trial": Recipe(blocks=8, workloads=WORKLOADS, stopping=RULE, missing=ALL),
    "a rule and all failed": Recipe(blocks=8, workloads=WORKLOADS, stopping=RULE, failing=ALL),
    "a rule and no variance": Recipe(blocks=8, workloads=WORKLOADS, stopping=RULE, noise=0),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """A campaign as it was made and where it lies."""

    recipe: Recipe
    path: Path


@pytest.fixture(scope="module", params=CASES.values(), ids=list(CASES))
def case(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Case:
    return Case(recipe=request.param, path=build(tmp_path_factory.mktemp("case"), request.param))


@pytest.mark.slow
def test_the_report_says_that_it_cannot_answer_or_that_nothing_varied(
    case: Case, capsys: pytest.CaptureFixture[str]
) -> None:
    path = case.path
    assert main(["report", str(path)]) == 0
    page = re.sub(r"<[^>]*>", " ", (path / "report.html").read_text())
    assert not MADE_UP.search(page)
    said = "exactly|no false alarm" if case.recipe.noise == 0 else "undecided|No answer"
    assert re.search(said, page.partition("Contents")[0])
    assert "Traceback" not in capsys.readouterr().err


def test_load_gives_what_was_measured_and_nothing_else(case: Case) -> None:
    frame = kmlbench.load(case.path)
    assert frame.empty is (ALL in (case.recipe.failing, case.recipe.missing))
    assert not frame.isna().any().any()


def test_a_plan_of_it_is_none(case: Case, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["plan", str(case.path), "--half-width", "1%"])
    printed = capsys.readouterr()
    assert code in (0, 2)
    assert not MADE_UP.search(printed.out + printed.err)
    told = "exact: " if case.recipe.noise == 0 else "undecided: "
    assert "remedy: " in printed.err if code else told in printed.out


@pytest.mark.slow
def test_a_comparison_with_it_decides_nothing(
    case: Case, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = build(tmp_path, replace(case.recipe, seed=8))
    code = main(["compare", str(case.path), str(other)])
    printed = capsys.readouterr()
    assert code in (0, 2)
    assert not MADE_UP.search(printed.out + printed.err)
    if code:
        assert "remedy: " in printed.err
    else:
        told = "exactly" if case.recipe.noise == 0 else "undecided"
        assert re.search(rf"kml:/trusted against stock:/usr\n.*: .*{told}|stock:/usr B against", printed.out)


@pytest.mark.parametrize("value", [0, 0.0, -1.0, 1e-60, 1e60, -1e60, math.nan, math.inf, "1", None, True])
def test_a_value_that_no_machine_measures_is_an_error_or_no_ratio(
    tmp_path: Path, value: object, capsys: pytest.CaptureFixture[str]
) -> None:
    path = build(tmp_path, Recipe(blocks=3, workloads=("wisconsin",), stopping=RULE))

    def spoil(record: Any) -> None:
        for sample in record["samples"]:
            if (sample["metric"], sample["process"]) == ("cpu_total", "together"):
                sample["value"] = value

    edit(path / "outcomes.jsonl", spoil)
    for arguments in (["report", str(path)], ["plan", str(path), "--half-width", "1%"]):
        code = main(arguments)
        printed = capsys.readouterr()
        assert code in (0, 2)
        assert not MADE_UP.search(printed.out)
        assert "Traceback" not in printed.err
        assert code == 0 or "remedy: " in printed.err
    if (path / "report.html").exists():
        page = re.sub(r"<[^>]*>", " ", (path / "report.html").read_text())
        assert not MADE_UP.search(page)
        assert re.search("undecided|No answer", page)


@pytest.mark.slow
def test_blocks_that_lie_as_far_apart_as_a_record_allows_decide_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = build(tmp_path, Recipe(blocks=2, workloads=WORKLOADS))
    other = build(tmp_path / "other", Recipe(blocks=2, workloads=WORKLOADS, seed=8))

    def spoil(record: Any) -> None:
        trial = record["trial"]
        large = (trial["kernel"] == "kml") == (trial["block"] == 0)
        for sample in record["samples"]:
            sample["value"] = 1e25 if large else 1.0

    edit(path / "outcomes.jsonl", spoil)
    for arguments in (["report", path], ["plan", path, "--half-width", "1%"], ["compare", path, other]):
        assert main([str(argument) for argument in arguments]) == 0
        assert not re.search(r"\b(nan|inf)\b|Traceback", "".join(capsys.readouterr()))
    page = re.sub(r"<[^>]*>", " ", (path / "report.html").read_text())
    assert not MADE_UP.search(page)
    assert "undecided" in page


@pytest.mark.slow
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.floats(-1e90, 1e90), min_size=1, max_size=8))
def test_any_numbers_give_an_answer_or_none(
    tmp_path_factory: pytest.TempPathFactory, capsys: pytest.CaptureFixture[str], values: list[float]
) -> None:
    recipe = Recipe(blocks=2, workloads=("wisconsin",))
    other = build(tmp_path_factory.mktemp("other"), replace(recipe, seed=3))
    path = build(tmp_path_factory.mktemp("any"), recipe)
    drawn = iter(values * 100)

    def fill(record: Any) -> None:
        record["samples"] = [{**sample, "value": next(drawn)} for sample in record["samples"][:6]]

    edit(path / "outcomes.jsonl", fill)
    for arguments in (["plan", str(path), "--half-width", "1%"], ["compare", str(path), str(other)]):
        assert main(arguments) in (0, 2)
    assert not re.search(r"\b(nan|inf)\b|Traceback", "".join(capsys.readouterr()))
