# SPDX-License-Identifier: MIT
"""What a campaign's instructions would take at a processor's prices: a projection, never a measurement.

Of each costly instruction, the executions that the instrument counted in a round times its price; of all
others, their number divided by assumed instructions per cycle. Every assumption is a range, occurs in one
part only, and is the same in both cells, so the parts of a change add up to the change, end by end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from kmlbench.analysis.measurements import Source
from kmlbench.model import Measure, Process, Variant
from kmlbench.plan.comparisons import Comparison, planned_workloads
from kmlbench.prices.pricelist import Operation, PriceList, Range
from kmlbench.stats.intervals import Absent
from kmlbench.workloads.metrics import COSTLY
from kmlbench.workloads.registry import NONE, Own, has_server, known_adapter

CENSUS, INSTRUCTIONS = "census_", "instructions"

# A price of a whole system call stands for these, and for the kernel's code on the way in and out.
ROUND_TRIP: Mapping[str, float] = {"syscall": 1.0, "sysret": 1.0, "swapgs": 2.0}

# All instructions of a system call that does nothing, where a list does not say how many were counted: Linux
# 6.12 of this project takes about 200 from its SYSCALL to its SYSRET, other kernels other mitigations.
ROUND_TRIP_INSTRUCTIONS = Range(low=100.0, high=300.0)


class PartKind(StrEnum):
    """What a part of a projection is."""

    INSTRUCTION = "instruction"
    OPERATION = "operation"
    REST = "rest"


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Cycles between two numbers."""

    low: float
    high: float

    @classmethod
    def of(cls, ends: Sequence[float]) -> Span:
        """From the least to the largest of some numbers."""
        return cls(low=min(ends), high=max(ends))


@dataclass(frozen=True, slots=True, kw_only=True)
class PricedPart:
    """Executions in a round of each cell, what one costs, and what the difference costs; in cycles.

    Of the rest, `price` is the inverse of the assumed instructions per cycle.
    """

    kind: PartKind
    name: str
    control: float
    treated: float
    price: Range
    change: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Unpriced:
    """Costly instructions of a round for which the list has no price: they are in the rest."""

    name: str
    control: float
    treated: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """A process of a workload in two cells. `change` is the sum of the parts' changes.

    `relative` bounds treated / control, of all cycles that are projected.
    """

    workload: str
    process: Process
    comparison: Comparison
    prices: PriceList
    instructions: tuple[float, float]
    parts: tuple[PricedPart, ...]
    change: Span
    relative: Span
    unpriced: tuple[Unpriced, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counts:
    """All instructions of a round in the control and in the treated cell, and the costly ones by name."""

    instructions: tuple[float, float]
    costly: Mapping[str, tuple[float, float]]

    def without(self, priced: Mapping[str, float], times: tuple[float, float]) -> _Counts:
        """The counts less what `times` operations execute of each, where they execute all of it."""

        def left(name: str, count: float, operations: float) -> float:
            return max(0.0, count - priced.get(name, 0.0) * operations)

        costly = {
            name: (left(name, pair[0], times[0]), left(name, pair[1], times[1]))
            for name, pair in self.costly.items()
        }
        return _Counts(instructions=self.instructions, costly=costly)


def project(source: Source, prices: PriceList) -> tuple[Projection, ...]:
    """Every workload, comparison and process whose instructions were counted in both cells."""
    return tuple(
        _project(workload, process, comparison, prices, counts)
        for workload in planned_workloads(source.plan)
        for comparison in source.comparisons
        for process in Process
        if (counts := _counts(source, workload, process, comparison)) is not None
    )


def whole(workload: str, own: Own = NONE) -> Process:
    """The process that a workload is shown by."""
    adapter = known_adapter(workload, own)
    return Process.whole(served=adapter is not None and has_server(adapter))


def _counts(source: Source, workload: str, process: Process, comparison: Comparison) -> _Counts | None:
    cells = (comparison.control, comparison.treated)

    def pair(metric: str) -> tuple[float, float] | None:
        measure = Measure(workload=workload, metric=metric, process=process)
        control, treated = (_mean(source, measure, cell) for cell in cells)
        if control is None and treated is None:
            return None
        return control or 0.0, treated or 0.0

    instructions = pair(INSTRUCTIONS)
    if instructions is None or 0.0 in instructions:
        return None
    found = {name: pair(CENSUS + name) for name in COSTLY}
    return _Counts(
        instructions=instructions, costly={name: counts for name, counts in found.items() if counts}
    )


def _mean(source: Source, measure: Measure, cell: Variant) -> float | None:
    estimate = source.mean(measure, cell)
    return None if isinstance(estimate, Absent) else estimate.estimate


def _project(
    workload: str, process: Process, comparison: Comparison, prices: PriceList, counts: _Counts
) -> Projection:
    calls, apart = _round_trips(prices, counts)
    priced = (*calls, *_instructions(prices, apart))
    rest = _rest(prices, counts, priced)
    parts = (*priced, rest)
    return Projection(
        workload=workload,
        process=process,
        comparison=comparison,
        prices=prices,
        instructions=counts.instructions,
        parts=parts,
        change=_sum(part.change for part in parts),
        relative=_relative(prices, counts, priced),
        unpriced=tuple(_unpriced(prices, apart)),
    )


def _round_trips(prices: PriceList, counts: _Counts) -> tuple[tuple[PricedPart, ...], _Counts]:
    """System calls as a whole, where the list has no price of SYSCALL; and what is left of the counts."""
    price = prices.of(Operation.SYSTEM_CALL)
    times = counts.costly.get("syscall")
    if price is None or price.cycles is None or times is None or prices.of("syscall"):
        return (), counts
    part = _part(PartKind.OPERATION, Operation.SYSTEM_CALL, times, price.cycles)
    return (part,), counts.without(ROUND_TRIP, times)


def _instructions(prices: PriceList, counts: _Counts) -> Iterator[PricedPart]:
    for name, pair in counts.costly.items():
        price = prices.of(name)
        if price is not None and price.cycles is not None and any(pair):
            yield _part(PartKind.INSTRUCTION, name, pair, price.cycles)


def _unpriced(prices: PriceList, counts: _Counts) -> Iterator[Unpriced]:
    """The largest change first."""
    left = [
        Unpriced(name=name, control=pair[0], treated=pair[1])
        for name, pair in counts.costly.items()
        if any(pair) and ((price := prices.of(name)) is None or price.cycles is None)
    ]
    yield from sorted(left, key=lambda each: (-abs(each.treated - each.control), each.name))


def _part(kind: PartKind, name: str, counts: tuple[float, float], price: Range) -> PricedPart:
    difference = counts[1] - counts[0]
    return PricedPart(
        kind=kind,
        name=str(name),
        control=counts[0],
        treated=counts[1],
        price=price,
        change=Span.of([difference * price.low, difference * price.high]),
    )


def _rest(prices: PriceList, counts: _Counts, priced: Sequence[PricedPart]) -> PricedPart:
    """All other instructions. How many a round trip executed is a range, so their difference is one, too."""
    inverse = Range(low=1 / prices.ipc.high, high=1 / prices.ipc.low)
    others = [_others(counts, priced, length) for length in _lengths(prices, priced)]
    changes = [pair[1] - pair[0] for pair in others]
    middle = [sum(column) / len(others) for column in zip(*others, strict=True)]
    return PricedPart(
        kind=PartKind.REST,
        name="other instructions",
        control=middle[0],
        treated=middle[1],
        price=inverse,
        change=Span.of([change * price for change in changes for price in (inverse.low, inverse.high)]),
    )


def _lengths(prices: PriceList, priced: Sequence[PricedPart]) -> tuple[float, float]:
    """The fewest and the most instructions of a round trip; nothing where none is priced as a whole."""
    if not any(part.kind is PartKind.OPERATION for part in priced):
        return 0.0, 0.0
    price = prices.of(Operation.SYSTEM_CALL)
    length = (price and price.instructions) or ROUND_TRIP_INSTRUCTIONS
    return length.low, length.high


def _others(counts: _Counts, priced: Sequence[PricedPart], length: float) -> tuple[float, float]:
    """Instructions in the two cells that no price covers, if a round trip executes `length` of them.

    One at least: `length` may be a guess that is longer than what was executed.
    """

    def left(instructions: float, of: Callable[[PricedPart], float]) -> float:
        taken = {PartKind.OPERATION: length, PartKind.INSTRUCTION: 1.0}
        return max(1.0, instructions - sum(taken[part.kind] * of(part) for part in priced))

    control, treated = counts.instructions
    return left(control, lambda part: part.control), left(treated, lambda part: part.treated)


def _sum(spans: Iterator[Span]) -> Span:
    every = list(spans)
    return Span(low=sum(span.low for span in every), high=sum(span.high for span in every))


def _relative(prices: PriceList, counts: _Counts, priced: Sequence[PricedPart]) -> Span:
    """The least and the largest ratio of treated to control that prices within their ranges give."""
    inverse = Range(low=1 / prices.ipc.high, high=1 / prices.ipc.low)
    ratios = []
    for length in _lengths(prices, priced):
        control, treated = _others(counts, priced, length)
        terms = [(part.control, part.treated, part.price) for part in priced] + [(control, treated, inverse)]
        ratios += [extreme_ratio(terms, largest=largest) for largest in (False, True)]
    return Span.of(ratios)


def extreme_ratio(terms: Sequence[tuple[float, float, Range]], *, largest: bool) -> float:
    """The extreme of sum(treated x price) / sum(control x price), the prices within their ranges.

    By Dinkelbach's method ("On nonlinear fractional programming", Management Science 13, 1967), which ends,
    since only the corners of the ranges matter. Raises ValueError if the control's sum is not positive.
    """
    ratio = 0.0
    for _ in range(2 + len(terms) * 8):
        chosen = [
            price.high if (treated - ratio * control > 0) is largest else price.low
            for control, treated, price in terms
        ]
        above = sum(treated * price for (_, treated, _), price in zip(terms, chosen, strict=True))
        below = sum(control * price for (control, _, _), price in zip(terms, chosen, strict=True))
        if below <= 0:
            raise ValueError("the control takes no cycles at these prices")
        if above / below == ratio:
            break
        ratio = above / below
    return ratio
