# SPDX-License-Identifier: MIT
"""Why a workload takes less: its calls times what a call saves, beside what was measured, and what is left.

Everything is computed inside a block, from cells that shared its hour, and then stands for the block: the
interval of a product, a difference or a quotient is that of its blocks (kmlbench.stats.intervals).

The calls of a run are the direct calls that the kernel counted in the measured trial itself; what came by
SYSCALL in spite of kernel mode (less than 1 % of a server's) is taken to save nothing. What kinds of calls
they were is counted by a trial of its own under strace (adapters.calls), in the cell that is compared with;
without one all are priced as getpid, and so are kinds of which `syscalls` has no loop: what a call saves
lies in its entry and exit, and hardly depends on its body.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum

from kmlbench.analysis import syscall_costs
from kmlbench.analysis.measurements import Source
from kmlbench.analysis.syscall_costs import NO_PRICES, ByBlock, combine
from kmlbench.model import Measure, Process
from kmlbench.plan.comparisons import Comparison, planned_workloads
from kmlbench.stats.intervals import Estimate, Interval
from kmlbench.workloads.syscall_counts import COUNTING, is_counting

WORTH = 0.10

PROCESSES = (Process.TOGETHER, *Process.TOGETHER.parts)

NO_COUNTERS = "no direct calls were counted"

NO_SAVING = "a call saves nothing"

NO_CPU = "CPU or queries were not measured in both cells"


class Quantity(StrEnum):
    """What is explained; UNITS has the stored units."""

    CALLS = "calls_per_query"
    SAVED = "saved_per_call"
    PREDICTED = "predicted_per_query"
    MEASURED = "measured_per_query"
    RESIDUE = "residue_per_query"
    PREDICTED_SHARE = "predicted_share"
    MEASURED_SHARE = "measured_share"
    RESIDUE_SHARE = "residue_share"
    RATE = "calls_per_cpu_second"
    BREAK_EVEN = "break_even"
    FOR_WORTH = "for_ten_percent"


UNITS: Mapping[Quantity, str] = {
    Quantity.CALLS: "1",
    **dict.fromkeys((Quantity.SAVED, Quantity.PREDICTED, Quantity.MEASURED, Quantity.RESIDUE), "ns"),
    **dict.fromkeys((Quantity.PREDICTED_SHARE, Quantity.MEASURED_SHARE, Quantity.RESIDUE_SHARE), "1"),
    **dict.fromkeys((Quantity.RATE, Quantity.BREAK_EVEN, Quantity.FOR_WORTH), "1/s"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """A comparison of a workload's process explained, each quantity or why there is none.

    Savings are the control's minus the treated cell's, in nanoseconds of CPU per query; shares are of the
    control's CPU. RATE is how many direct calls the treated program makes in a CPU second of the control;
    BREAK_EVEN the rate at which what the calls save is what is lost elsewhere (the residue), FOR_WORTH the
    one at which WORTH of the CPU is saved beyond that.
    """

    workload: str
    process: Process
    comparison: Comparison
    found: Mapping[Quantity, Estimate]


def explained(source: Source) -> tuple[Explained, ...]:
    """Every workload that has queries, by comparison with kernel mode and by process."""
    return tuple(
        explain_comparison(source, workload, comparison, process)
        for workload in explainable(source)
        for comparison in explainable_comparisons(source)
        for process in PROCESSES
    )


def explainable(source: Source) -> tuple[str, ...]:
    """The workloads that count their queries, without those that only count calls."""
    return tuple(
        name
        for name in planned_workloads(source.plan)
        if not is_counting(name) and source.unit(syscall_costs.queries(name)) is not None
    )


def explainable_comparisons(source: Source) -> tuple[Comparison, ...]:
    """The comparisons in which kernel mode is what differs, or a part of it."""
    return tuple(one for one in source.comparisons if one.treated.kernel_mode and not source.control)


def explain_comparison(source: Source, workload: str, comparison: Comparison, process: Process) -> Explained:
    """The explanation of one comparison, of the blocks that have every part where some have."""
    parts = _parts(source, workload, comparison, process)
    if whole := parts.per_query(parts.residue):
        parts = parts.within(whole)
    no_price = NO_PRICES if parts.calls else NO_COUNTERS
    saves = all(saved > 0 for saved in parts.price.values())
    no_rate = no_price if saves else NO_SAVING
    values = {
        Quantity.CALLS: (parts.per_query(parts.calls), NO_COUNTERS),
        Quantity.SAVED: (parts.price, no_price),
        Quantity.PREDICTED: (parts.per_query(parts.predicted), no_price),
        Quantity.MEASURED: (parts.per_query(parts.measured), NO_CPU),
        Quantity.RESIDUE: (parts.per_query(parts.residue), no_price),
        Quantity.PREDICTED_SHARE: (parts.share(parts.predicted), no_price),
        Quantity.MEASURED_SHARE: (parts.share(parts.measured), NO_CPU),
        Quantity.RESIDUE_SHARE: (parts.share(parts.residue), no_price),
        Quantity.RATE: (parts.rate, NO_COUNTERS),
        Quantity.BREAK_EVEN: (parts.enough(0.0) if saves else {}, no_rate),
        Quantity.FOR_WORTH: (parts.enough(WORTH) if saves else {}, no_rate),
    }
    found = {
        name: syscall_costs.estimate_mean(source, by_block, why) for name, (by_block, why) in values.items()
    }
    return Explained(workload=workload, process=process, comparison=comparison, found=found)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """What an explanation is made of, by block: counts, CPU seconds, nanoseconds that calls should save."""

    queries: ByBlock
    calls: ByBlock
    predicted: ByBlock
    before: ByBlock
    after: ByBlock

    def within(self, blocks: ByBlock) -> _Parts:
        columns = asdict(self).items()
        return _Parts(**{name: combine(lambda one, _: one, column, blocks) for name, column in columns})

    @property
    def measured(self) -> ByBlock:
        return combine(lambda old, new: (old - new) * 1e9, self.before, self.after)

    @property
    def residue(self) -> ByBlock:
        return combine(lambda real, told: real - told, self.measured, self.predicted)

    @property
    def price(self) -> ByBlock:
        return combine(lambda saved, count: saved / count, self.predicted, self.calls)

    @property
    def rate(self) -> ByBlock:
        return combine(lambda count, seconds: count / seconds, self.calls, self.before)

    def per_query(self, values: ByBlock) -> ByBlock:
        return combine(lambda value, count: value / count, values, self.queries)

    def share(self, nanoseconds: ByBlock) -> ByBlock:
        return combine(lambda value, seconds: value / 1e9 / seconds, nanoseconds, self.before)

    def enough(self, worth: float) -> ByBlock:
        """The calls in a second that save this share of it beyond what is lost elsewhere."""
        lost = self.share(self.residue)
        return combine(lambda left, saved: (worth - left) / saved * 1e9, lost, self.price)


def _parts(source: Source, workload: str, comparison: Comparison, process: Process) -> _Parts:
    calls, predicted = _of_process(source, workload, comparison, process)
    cpu = Measure(workload=workload, metric="cpu_total", process=process)
    return _Parts(
        queries=syscall_costs.positive(source, syscall_costs.queries(workload), comparison.treated),
        calls=calls,
        predicted=predicted,
        before=syscall_costs.positive(source, cpu, comparison.control),
        after=syscall_costs.positive(source, cpu, comparison.treated),
    )


def _of_process(
    source: Source, workload: str, comparison: Comparison, process: Process
) -> tuple[ByBlock, ByBlock]:
    """Direct calls of the treated cell and the nanoseconds they should save; TOGETHER is the sum."""
    if process is Process.TOGETHER:
        apart = [_of_process(source, workload, comparison, one) for one in process.parts]
        calls, predicted = (combine(lambda *both: sum(both), *some) for some in zip(*apart, strict=True))
        return calls, predicted
    direct = Measure(workload=workload, metric="syscalls_direct", process=process)
    calls = syscall_costs.positive(source, direct, comparison.treated)
    mixed = syscall_costs.mix(source, workload, comparison.control, process)
    saved = syscall_costs.price(mixed, syscall_costs.savings(source, comparison))
    return calls, combine(lambda count, one: count * one, calls, saved)


NO_QUERIES = "no trial counted them with their queries"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallKind:
    """Calls of one name: how many a query makes, what one costs in both cells and saves, in nanoseconds."""

    name: str
    priced: str
    calls: Estimate
    control: Estimate
    treated: Estimate
    saved: Estimate
    saved_per_query: Estimate


def kinds(source: Source, workload: str, comparison: Comparison, process: Process) -> tuple[CallKind, ...]:
    """The calls of a process by name, the most frequent first; empty where nobody counted them."""
    queries = syscall_costs.positive(source, syscall_costs.queries(COUNTING + workload), comparison.control)
    mixed = syscall_costs.mix(source, workload, comparison.control, process)
    found = [
        _kind(source, name, comparison, combine(lambda count, asked: count / asked, counts, queries))
        for name, counts in mixed.items()
    ]
    return tuple(sorted(found, key=lambda one: (-_size(one.calls), one.name)))


def _kind(source: Source, name: str, comparison: Comparison, calls: ByBlock) -> CallKind:
    priced = syscall_costs.kind_of(name)
    costs = [
        syscall_costs.costs_by_block(source, priced, cell)
        for cell in (comparison.control, comparison.treated)
    ]
    saved = combine(lambda old, new: old - new, *costs)
    per_query = combine(lambda count, one: count * one, calls, saved)
    return CallKind(
        name=name,
        priced=priced,
        calls=syscall_costs.estimate_mean(source, calls, NO_QUERIES),
        control=syscall_costs.estimate_mean(source, costs[0], NO_PRICES),
        treated=syscall_costs.estimate_mean(source, costs[1], NO_PRICES),
        saved=syscall_costs.estimate_mean(source, saved, NO_PRICES),
        saved_per_query=syscall_costs.estimate_mean(source, per_query, NO_PRICES),
    )


def _size(found: Estimate) -> float:
    return found.estimate if isinstance(found, Interval) else 0.0
