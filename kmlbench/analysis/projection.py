# SPDX-License-Identifier: MIT
"""What a campaign's calls would save at another machine's costs: a projection, never a measurement."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kmlbench.analysis import explanation, syscall_costs
from kmlbench.analysis.cost_model import CostModel
from kmlbench.analysis.explanation import NO_COUNTERS, NO_SAVING, PROCESSES, WORTH, Quantity
from kmlbench.analysis.measurements import Source
from kmlbench.analysis.syscall_costs import ByBlock, Savings, combine
from kmlbench.model import Process
from kmlbench.plan.comparisons import Comparison
from kmlbench.stats import intervals
from kmlbench.stats.intervals import Absent, Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Projected:
    """CALLS is the campaign's own. SAVED, PREDICTED and FOR_WORTH are nanoseconds and rates of the other
    machine; their intervals are over the blocks of its costs alone, with the calls at their mean. FOR_WORTH
    does not know what is lost elsewhere.
    """

    workload: str
    process: Process
    comparison: Comparison
    found: Mapping[Quantity, Estimate]


def projected(source: Source, model: CostModel) -> tuple[Projected, ...]:
    """Every workload that explanation.explained has, by the comparisons whose cells the costs have."""
    return tuple(
        _project(source, workload, comparison, process, saved)
        for workload in explanation.explainable(source)
        for comparison in explanation.explainable_comparisons(source)
        if (saved := model.savings(comparison)) is not None
        for process in PROCESSES
    )


def _project(
    source: Source, workload: str, comparison: Comparison, process: Process, saved: Savings
) -> Projected:
    parts = [_part(source, workload, comparison, one, saved) for one in process.parts]
    predicted = combine(lambda *some: sum(some), *(by_block for _, by_block in parts))
    calls = sum(count for count, _ in parts)
    price = combine(lambda value: value / calls, predicted)
    saves = all(value > 0 for value in price.values())
    values = {
        Quantity.SAVED: price,
        Quantity.PREDICTED: predicted,
        Quantity.FOR_WORTH: combine(lambda value: WORTH / value * 1e9, price) if saves else {},
    }
    reason = NO_COUNTERS if saves else NO_SAVING
    of_campaign = explanation.explain_comparison(source, workload, comparison, process).found[Quantity.CALLS]
    return Projected(
        workload=workload,
        process=process,
        comparison=comparison,
        found={
            Quantity.CALLS: of_campaign,
            **{name: syscall_costs.estimate_mean(source, found, reason) for name, found in values.items()},
        },
    )


def _part(
    source: Source, workload: str, comparison: Comparison, process: Process, saved: Savings
) -> tuple[float, ByBlock]:
    """A process's calls per query, and what they save by block of the costs; nothing without any."""
    calls = explanation.explain_comparison(source, workload, comparison, process).found[Quantity.CALLS]
    if isinstance(calls, Absent):
        return 0.0, {}
    mixed = {
        name: dict.fromkeys(saved[syscall_costs.UNKNOWN], intervals.mean(list(counts.values())))
        for name, counts in syscall_costs.mix(source, workload, comparison.control, process).items()
    }
    price = syscall_costs.price(mixed, saved)
    return calls.estimate, combine(lambda one: calls.estimate * one, price)
