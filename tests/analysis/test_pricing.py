# SPDX-License-Identifier: MIT
"""The projection at a processor's prices: parts add up, ranges contain, words claim nothing."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prices.test_pricelist import price_lists
from run.test_campaign import Rig
from support.synthetic_campaigns import Recipe, build, plan

import kmlbench
from kmlbench.analysis import pricing
from kmlbench.analysis.measurements import Source
from kmlbench.analysis.pricing import PartKind, Projection
from kmlbench.cli.main import main
from kmlbench.errors import InputError
from kmlbench.model import Measure, Process
from kmlbench.plan.comparisons import KML_TRUSTED, PRIMARY, STOCK_USR
from kmlbench.prices import pricelist
from kmlbench.prices.pricelist import CycleKind, Figure, Operation, Price, PriceList, Range
from kmlbench.prices.pricelist import Source as Origin
from kmlbench.report import write

BAD_INPUT, DIFFERS = 2, 7
WORKLOAD = "oltp_point_select"
K8 = pricelist.read(pricelist.find("amd-k8"))
RECIPE = Recipe(blocks=2, workloads=(WORKLOAD,))

# Of a point select, roughly: executions in a round of both processes, in user and in kernel mode.
COUNTED: Mapping[str, tuple[float, float]] = {
    "instructions": (43_900.0, 43_600.0),
    "census_syscall": (3.5, 0.0),
    "census_sysret": (3.5, 0.0),
    "census_swapgs": (11.0, 11.0),
    "census_lock": (147.0, 147.0),
}


def price(name: str, low: float, high: float, *, instructions: Range | None = None) -> Price:
    return Price(of=name, source="book", cycles=Figure(low=low, high=high), instructions=instructions)


def listed(*prices: Price) -> PriceList:
    return PriceList(
        format=1,
        name="A processor",
        processor="A processor",
        cycles=CycleKind.CORE,
        source=(Origin(id="book", title="A book"),),
        price=prices,
    )


def source(counts: Mapping[str, tuple[float, float]]) -> Source:
    """The measurements of one block, of both processes together."""
    return Source(
        values={
            (Measure(workload=WORKLOAD, metric=metric, process=Process.TOGETHER), cell): {0: [pair[index]]}
            for metric, pair in counts.items()
            for index, cell in enumerate((STOCK_USR, KML_TRUSTED))
        },
        stored_units={},
        plan=plan(Recipe(blocks=1, workloads=(WORKLOAD,))),
        units={},
    )


def project(prices: PriceList, counts: Mapping[str, tuple[float, float]]) -> Projection:
    (projection,) = (each for each in pricing.project(source(counts), prices) if each.comparison == PRIMARY)
    return projection


def test_a_point_select_at_the_prices_of_the_articles_processor() -> None:
    projection = project(K8, COUNTED)
    calls = {part.name: part.change for part in projection.parts if part.kind is PartKind.INSTRUCTION}
    assert calls["syscall"].low == calls["syscall"].high == -3.5 * 27
    assert calls["sysret"].low == calls["sysret"].high == -3.5 * 35
    # 43,893 and 43,600 others, of which half or two are executed in a cycle.
    rest = projection.parts[-1]
    assert (rest.control, rest.treated) == (43_893.0, 43_600.0)
    assert (rest.change.low, rest.change.high) == (-2 * 293.0, -293.0 / 2)
    assert projection.change.low == -3.5 * 62 - 586
    assert [each.name for each in projection.unpriced] == ["lock", "swapgs"]


def test_a_system_call_as_a_whole_stands_for_its_instructions_and_what_it_takes_of_others() -> None:
    prices = listed(price(Operation.SYSTEM_CALL, 200, 250, instructions=Range(low=100, high=300)))
    projection = project(prices, COUNTED)
    call, rest = projection.parts
    assert (call.kind, call.control, call.treated) == (PartKind.OPERATION, 3.5, 0.0)
    assert (call.change.low, call.change.high) == (-3.5 * 250, -3.5 * 200)
    # 300 fewer in all, of which 350 to 1,050 were in the calls: 50 to 750 more remain, at 0.5 to 2 a cycle.
    assert (rest.change.low, rest.change.high) == (50 / 2, 750 * 2)
    # Two of three SWAPGS of a process are in its calls in user mode, none of kernel mode's.
    unpriced = {each.name: (each.control, each.treated) for each in projection.unpriced}
    assert unpriced["swapgs"] == (4.0, 11.0)


def test_a_price_of_syscall_itself_comes_before_that_of_a_whole_call() -> None:
    prices = listed(price(Operation.SYSTEM_CALL, 200, 250), price("syscall", 27, 27))
    assert [part.name for part in project(prices, COUNTED).parts] == ["syscall", "other instructions"]


def test_without_a_count_of_its_instructions_a_whole_call_is_assumed_to_be_as_long_as_is_said() -> None:
    counted, assumed = (
        project(listed(price(Operation.SYSTEM_CALL, 200, 250, instructions=length)), COUNTED)
        for length in (pricing.ROUND_TRIP_INSTRUCTIONS, None)
    )
    assert counted.change == assumed.change


def test_a_guess_that_is_longer_than_all_that_was_executed_leaves_one_instruction() -> None:
    prices = listed(price(Operation.SYSTEM_CALL, 0, 0))
    projection = project(prices, {"instructions": (1e8, 9e7), "census_syscall": (333_334.0, 0.0)})
    rest = projection.parts[-1]
    # Of 100 to 300 instructions each, the mean of what is left.
    assert rest.control == pytest.approx((1e8 - 333_334 * 100 + 1) / 2)
    assert projection.relative.low > 0


def test_fewer_instructions_than_whole_calls_have_are_none_besides() -> None:
    prices = listed(price(Operation.SYSTEM_CALL, 0, 0), price("swapgs", 0, 5e7))
    counted = {"instructions": (1e8, 9e7), "census_syscall": (1.0, 0.0), "census_swapgs": (1.0, 0.0)}
    projection = project(prices, counted)
    assert [part.name for part in projection.parts] == ["system_call", "other instructions"]
    assert projection.relative.low > 0


counts = st.floats(min_value=0, max_value=1e6)


@given(prices=price_lists(), pairs=st.lists(st.tuples(counts, counts), min_size=8, max_size=8))
def test_parts_add_up_to_the_projected_sum(prices: PriceList, pairs: list[tuple[float, float]]) -> None:
    names = [each.of for each in prices.price if each.of not in {*Operation}]
    census = {f"census_{name}": pair for name, pair in zip((*names, "syscall"), pairs, strict=False)}
    projection = project(prices, {"instructions": (1e8, 9e7), **census})
    for end in ("low", "high"):
        parts = math.fsum(getattr(part.change, end) for part in projection.parts)
        assert math.isclose(getattr(projection.change, end), parts, rel_tol=1e-9, abs_tol=1e-3)
    assert projection.change.low <= projection.change.high


ranges = st.tuples(st.floats(0.1, 100), st.floats(0, 50)).map(lambda pair: Range(low=pair[0], high=sum(pair)))


@given(st.lists(st.tuples(st.floats(1, 1e4), st.floats(0, 1e4), ranges), min_size=1, max_size=5))
def test_the_extremes_are_those_of_all_corners(terms: list[tuple[float, float, Range]]) -> None:
    corners = [
        sum(treated * cost for (_, treated, _), cost in zip(terms, costs, strict=True))
        / sum(control * cost for (control, _, _), cost in zip(terms, costs, strict=True))
        for costs in itertools.product(*((price.low, price.high) for _, _, price in terms))
    ]
    found = [pricing.extreme_ratio(terms, largest=largest) for largest in (False, True)]
    assert found == pytest.approx([min(corners), max(corners)], rel=1e-9, abs=1e-12)


def test_what_was_not_counted_is_not_projected() -> None:
    assert pricing.project(source({"cpu_total": (1.0, 0.9)}), K8) == ()


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    recipe = Recipe(blocks=2, workloads=(WORKLOAD,), counted=COUNTED, noise=0.0)
    return build(tmp_path_factory.mktemp("pricing"), recipe)


@pytest.fixture(scope="module")
def uncounted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("uncounted"), RECIPE)


def test_a_frame_has_every_part_and_their_sum(campaign: Path) -> None:
    frame = kmlbench.project(campaign, "amd-k8", ipc=(1.0, 1.0))
    shown = frame[(frame.process == "together") & (frame.comparison == str(PRIMARY))]
    of = shown.set_index("kind")
    parts = shown[shown.kind.isin(["instruction", "operation", "rest"])]
    assert parts.change_low.sum() == pytest.approx(of.loc["sum"].change_low)
    # Twice 3.5 calls of 62 cycles, and twice 293 other instructions at one a cycle.
    assert of.loc["sum"].change_low == of.loc["sum"].change_high == pytest.approx(-2 * (3.5 * 62 + 293))
    assert of.loc["relative"].unit == "percent"
    assert set(shown[shown.kind == "without a price"].part) == {"swapgs", "lock"}
    assert set(frame.process) == {"server", "client", "together"}


def test_a_frame_of_what_was_not_counted_is_empty_with_its_columns(uncounted: Path, campaign: Path) -> None:
    nothing, something = (kmlbench.project(path, "amd-k8") for path in (uncounted, campaign))
    assert nothing.empty
    assert dict(nothing.dtypes) == dict(something.dtypes)


def test_the_command_prints_a_projection_that_is_called_one(
    campaign: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["costs", str(campaign), "--prices", "amd-k8", "--ipc", "1"]) == 0
    printed = capsys.readouterr().out
    assert printed.startswith("Projection at the prices of “AMD K8”: not a measurement\n")
    assert "no claim about speed" in printed
    assert "Left out are caches and TLBs" in printed
    assert "Other instructions: 1 a cycle, assumed." in printed
    sums = next(line for line in printed.splitlines() if line.lstrip().startswith("all instructions"))
    assert sums.split()[-1] == "−1,020"
    assert "SYSCALL 0Fh" not in printed
    assert "Software Optimization Guide for AMD64 Processors" in printed


def test_the_command_prints_the_same_for_programs(campaign: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["costs", str(campaign), "--prices", "amd-k8", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    frame = kmlbench.project(campaign, "amd-k8")
    assert [row["part"] for row in printed] == list(frame.part)


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        ([], "name a campaign, or give --here or --list"),
        (["DIR", "--here"], "one of these"),
        (["--list", "--prices", "amd-k8"], "name the campaign that is to be projected"),
        (["DIR", "--ipc", "1"], "--ipc: it says something about --prices"),
        (["DIR", "--prices", "amd-k8", "--ipc", "2:1"], "'2:1' is not a number of instructions"),
        (["DIR", "--prices", "amd-k8", "--ipc", "many"], "'many' is not a number of instructions"),
        (["DIR", "--prices", "amd-k7"], "'amd-k7' is no file"),
        (["DIR", "--output", "x"], "only the prices of --here are written"),
        (["DIR", "--json"], "the costs of a campaign are JSON already"),
    ],
)
def test_options_that_do_not_go_together_are_refused(
    campaign: Path, words: list[str], fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["costs", *(str(campaign) if word == "DIR" else word for word in words)]) == BAD_INPUT
    assert fault in capsys.readouterr().err


def test_a_campaign_that_counted_nothing_says_so(uncounted: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["costs", str(uncounted), "--prices", "amd-k8"]) == 0
    assert "there is nothing to project" in capsys.readouterr().out


@pytest.mark.slow
def test_a_report_keeps_copies_of_its_prices(tmp_path: Path) -> None:
    directory = build(tmp_path, Recipe(blocks=2, workloads=(WORKLOAD,), counted=COUNTED))
    words = ["report", str(directory), "--prices", "amd-k8", "--prices", "intel-skylake", "--ipc", "1:2"]
    assert main(words) == 0
    kept = write.kept_prices(directory)
    assert [(prices.name, prices.ipc.low) for prices in kept] == [("AMD K8", 1.0), ("Intel Skylake", 1.0)]
    sections = json.loads((directory / "report.json").read_text())["sections"]
    titles = [section["title"] for section in sections if section["identifier"].startswith("prices-")]
    assert titles == [f"Projection at the prices of “{prices.name}”: not a measurement" for prices in kept]

    assert main(["report", str(directory)]) == 0
    assert not (directory / "prices").exists()
    assert "prices-1" not in (directory / "report.json").read_text()


@pytest.mark.slow
def test_verify_derives_the_projection_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = Rig(directory=tmp_path / "here").run().directory
    assert main(["report", str(whole), "--prices", "amd-k8"]) == 0
    assert main(["verify", str(whole)]) == 0
    first = whole / "prices" / "01.toml"
    first.write_text(first.read_text().replace("27.0", "28.0"))
    assert main(["verify", str(whole)]) == DIFFERS
    assert "'27' is there, '28' is derived" in capsys.readouterr().err


def test_a_damaged_copy_is_named(tmp_path: Path) -> None:
    (tmp_path / "prices").mkdir()
    (tmp_path / "prices" / "01.toml").write_text("format = 1\n")
    with pytest.raises(InputError, match=r'01\.toml:1: field "name" is missing'):
        write.kept_prices(tmp_path)
