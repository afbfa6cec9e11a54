# SPDX-License-Identifier: MIT
"""The explanation adds up: calls times what a call saves, beside what was measured, and the rest is said."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from support.synthetic_campaigns import COSTS, Recipe, build, edit, plan, stored_campaign

import kmlbench
from kmlbench.analysis import explanation, measurements, syscall_costs
from kmlbench.analysis.explanation import Explained, Quantity
from kmlbench.analysis.measurements import Source
from kmlbench.model import Process
from kmlbench.plan.comparisons import CELLS, KML_TRUSTED, PRIMARY, STOCK_USR
from kmlbench.results import reader
from kmlbench.stats import intervals
from kmlbench.stats.intervals import Absent, Estimate, Interval

WORKLOAD = "oltp_point_select"
EXACT = Recipe(workloads=(WORKLOAD, "syscalls", f"calls_{WORKLOAD}"), noise=0.0)
NOISY = replace(EXACT, noise=0.01, blocks=12)


def source_of(root: Path, recipe: Recipe) -> Source:
    return measurements.source(reader.read_campaign(build(root, recipe)))


def explained(root: Path, recipe: Recipe, process: Process = Process.TOGETHER) -> Explained:
    return explanation.explain_comparison(source_of(root, recipe), WORKLOAD, PRIMARY, process)


def numbers(actual: Mapping[Quantity, Estimate]) -> dict[Quantity, float]:
    return {name: each.estimate for name, each in actual.items() if isinstance(each, Interval)}


def test_the_books_balance(tmp_path: Path) -> None:
    """2,000 queries, 16,000 direct calls, 100 ns each; 3.3 % of 1.3 s were saved."""
    explained_rows = numbers(explained(tmp_path, EXACT).estimates)
    measured = 0.033 * 1.3e9 / 2000
    loss = (measured - 800) * 2000 / 1.3e9
    assert explained_rows == {
        Quantity.CALLS: pytest.approx(8),
        Quantity.SAVED: pytest.approx(100),
        Quantity.PREDICTED: pytest.approx(800),
        Quantity.MEASURED: pytest.approx(measured),
        Quantity.RESIDUE: pytest.approx(measured - 800),
        Quantity.PREDICTED_SHARE: pytest.approx(16000 * 100e-9 / 1.3),
        Quantity.MEASURED_SHARE: pytest.approx(0.033),
        Quantity.RESIDUE_SHARE: pytest.approx(loss),
        Quantity.RATE: pytest.approx(16000 / 1.3),
        Quantity.BREAK_EVEN: pytest.approx(-loss / 100e-9),
        Quantity.FOR_WORTH: pytest.approx((0.1 - loss) / 100e-9),
    }


def test_server_and_client_apart_add_up(tmp_path: Path) -> None:
    source = source_of(tmp_path, EXACT)
    both, server, client = (
        numbers(explanation.explain_comparison(source, WORKLOAD, PRIMARY, process).estimates)
        for process in (Process.TOGETHER, Process.SERVER, Process.CLIENT)
    )
    for quantity in (Quantity.CALLS, Quantity.PREDICTED, Quantity.MEASURED, Quantity.RESIDUE):
        assert both[quantity] == pytest.approx(server[quantity] + client[quantity])
    assert server[Quantity.CALLS] == pytest.approx(3.5)


def test_what_is_lost_elsewhere_takes_a_rate_of_calls_to_pay(tmp_path: Path) -> None:
    """2 % lost elsewhere at 100 ns a call: at 200,000 calls in a second kernel mode pays."""
    lost = 0.02
    share = 16000 * 100e-9 / 1.3
    explained_rows = numbers(explained(tmp_path, replace(EXACT, effect=1 + lost - share)).estimates)
    assert explained_rows[Quantity.RESIDUE_SHARE] == pytest.approx(-lost)
    assert explained_rows[Quantity.BREAK_EVEN] == pytest.approx(lost / 100e-9)
    assert explained_rows[Quantity.FOR_WORTH] == pytest.approx((lost + 0.1) / 100e-9)


def test_at_the_break_even_rate_nothing_is_saved(tmp_path: Path) -> None:
    explained_rows = numbers(explained(tmp_path, replace(EXACT, effect=1.0)).estimates)
    assert explained_rows[Quantity.MEASURED] == pytest.approx(0, abs=1e-6)
    assert explained_rows[Quantity.BREAK_EVEN] == pytest.approx(explained_rows[Quantity.RATE])


def test_the_interval_is_that_of_the_blocks(tmp_path: Path) -> None:
    source = source_of(tmp_path, NOISY)
    explained_rows = explanation.explain_comparison(source, WORKLOAD, PRIMARY, Process.CLIENT)
    cpu = next(
        measure
        for measure, _ in source.values
        if (measure.workload, measure.metric, measure.process) == (WORKLOAD, "cpu_total", Process.CLIENT)
    )
    before, after = (intervals.block_means(source.of(cpu, cell)) for cell in (STOCK_USR, KML_TRUSTED))
    saved = {
        block: sum(
            count
            * (
                syscall_costs.costs_by_block(source, syscall_costs.kind_of(name), STOCK_USR)[block]
                - syscall_costs.costs_by_block(source, syscall_costs.kind_of(name), KML_TRUSTED)[block]
            )
            for name, count in NOISY.kinds.items()
        )
        / sum(NOISY.kinds.values())
        for block in before
    }
    by_hand = intervals.mean_interval(
        {block: ((before[block] - after[block]) * 1e9 - 9000 * saved[block]) / 2000 for block in before}
    )
    residue = explained_rows.estimates[Quantity.RESIDUE]
    assert isinstance(residue, Interval)
    assert isinstance(by_hand, Interval)
    assert residue.low is not None
    assert by_hand.low is not None
    assert (residue.estimate, residue.low) == pytest.approx((by_hand.estimate, by_hand.low))
    assert residue.blocks == 12


@pytest.mark.parametrize("lacking", ["syscalls", WORKLOAD])
def test_the_books_balance_where_a_block_lacks_a_part(tmp_path: Path, lacking: str) -> None:
    recipe = replace(NOISY, blocks=4)
    failing = [trial.position for trial in plan(recipe) if (trial.workload, trial.block) == (lacking, 1)]
    frame = kmlbench.explain(build(tmp_path, replace(recipe, failing=failing)))
    for _, rows in frame.groupby(["comparison", "process"]):
        result = rows.set_index("quantity")
        assert set(result["blocks"]) == {3}
        for quantity in ("{}_per_query", "{}_share"):
            measured, predicted, residue = (
                result["estimate"][quantity.format(part)] for part in ("measured", "predicted", "residue")
            )
            assert measured - predicted == pytest.approx(residue)


def test_exact_blocks_have_no_interval(tmp_path: Path) -> None:
    explained_rows = explained(tmp_path, EXACT).estimates
    assert {estimate.unbounded for estimate in explained_rows.values() if isinstance(estimate, Interval)} == {
        "no variation in 4 blocks"
    }


def test_a_mix_is_priced_by_its_kinds(tmp_path: Path) -> None:
    """A send costs half of what send and recv cost; a kind without a loop is priced as getpid."""
    saved = {"send_recv": {0: 60.0}, "futex_wake": {0: 10.0}, "getpid": {0: 1.0}}
    counts = {"sendto": {0: 2.0}, "futex": {0: 1.0}, "statmount": {0: 1.0}}
    assert syscall_costs.price(counts, saved) == {0: (2 * 60 + 10 + 1) / 4}
    assert syscall_costs.price({}, saved) == {0: 1.0}
    assert syscall_costs.price({"read": {0: 1.0}}, saved) == {}
    assert syscall_costs.price({"futex": {0: 0.0}}, saved) == {}
    source = source_of(tmp_path, EXACT)
    assert syscall_costs.costs_by_block(source, "send_recv", STOCK_USR)[0] == pytest.approx(
        COSTS["send_recv"] / 2
    )
    assert syscall_costs.ranges(source, PRIMARY) == pytest.approx([100] * len(syscall_costs.KINDS))


def test_the_kinds_of_calls_are_listed_by_how_many_they_are(tmp_path: Path) -> None:
    kinds = explanation.kinds(source_of(tmp_path, EXACT), WORKLOAD, PRIMARY, Process.SERVER)
    assert [(kind.name, kind.priced) for kind in kinds] == [
        ("recvfrom", "send_recv"),
        ("futex", "futex_wake"),
    ]
    first = kinds[0]
    values = [
        each.estimate
        for each in (first.calls, first.control, first.treated, first.saved, first.saved_per_query)
        if isinstance(each, Interval)
    ]
    assert values == pytest.approx([2, 1787, 1687, 100, 200])


def test_a_kind_that_a_block_did_not_see_was_called_no_time_in_it(tmp_path: Path) -> None:
    path = build(tmp_path, EXACT)

    def drop(record: Any) -> None:
        if record["trial"]["block"] % 2:
            record["samples"] = [sample for sample in record["samples"] if sample["metric"] != "calls_futex"]

    edit(path / "outcomes.jsonl", drop)
    kinds = explanation.kinds(
        measurements.source(reader.read_campaign(path)), WORKLOAD, PRIMARY, Process.CLIENT
    )
    futex = next(kind.calls for kind in kinds if kind.name == "futex")
    assert isinstance(futex, Interval)
    assert futex.estimate == pytest.approx(0.5)
    assert futex.blocks == 4


WITHOUT = {
    "no syscalls": (replace(EXACT, workloads=(WORKLOAD,)), Quantity.PREDICTED, syscall_costs.NO_PRICES),
    "no direct calls": (replace(EXACT, direct=(0, 0)), Quantity.CALLS, explanation.NO_COUNTERS),
    "nothing saved": (replace(EXACT, saved_ns=-5.0), Quantity.BREAK_EVEN, explanation.NO_SAVING),
    "one arm": (replace(EXACT, cells=CELLS[:3]), None, ""),
}


@pytest.mark.parametrize(("recipe", "quantity", "reason"), WITHOUT.values(), ids=WITHOUT)
def test_what_was_not_measured_is_no_number(
    tmp_path: Path, recipe: Recipe, quantity: Quantity | None, reason: str
) -> None:
    source = source_of(tmp_path, recipe)
    if quantity is None:
        assert explanation.explained(source) == ()
        return
    explained_rows = explanation.explain_comparison(source, WORKLOAD, PRIMARY, Process.TOGETHER).estimates
    assert explained_rows[quantity] == Absent(reason=reason)
    assert isinstance(explained_rows[Quantity.MEASURED], Interval)


def test_without_counted_kinds_all_calls_are_priced_as_getpid(tmp_path: Path) -> None:
    recipe = replace(EXACT, workloads=(WORKLOAD, "syscalls"))
    explained_rows = explained(tmp_path, recipe).estimates
    assert numbers(explained_rows)[Quantity.SAVED] == pytest.approx(100)
    source = measurements.source(reader.read_campaign(tmp_path / "latest"))
    assert explanation.kinds(source, WORKLOAD, PRIMARY, Process.SERVER) == ()


def test_a_control_and_a_workload_without_queries_explain_nothing(tmp_path: Path) -> None:
    control = replace(EXACT, control=True, cells=(KML_TRUSTED,))
    assert explanation.explained(source_of(tmp_path / "control", control)) == ()
    assert explanation.explained(source_of(tmp_path, replace(EXACT, workloads=("getpid",)))) == ()


def test_a_campaign_that_really_ran(tmp_path: Path) -> None:
    """It had no syscalls: its calls are counted, and nothing is predicted."""
    source = measurements.source(reader.read_campaign(stored_campaign(tmp_path)))
    explained_rows = explanation.explain_comparison(source, "wisconsin", PRIMARY, Process.TOGETHER).estimates
    assert numbers(explained_rows)[Quantity.CALLS] == pytest.approx(58.6, abs=0.1)
    assert explained_rows[Quantity.RESIDUE] == Absent(reason=syscall_costs.NO_PRICES)
