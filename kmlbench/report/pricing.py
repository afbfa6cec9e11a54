# SPDX-License-Identifier: MIT
"""The projection at a processor's prices as sections of the report, one for each price list."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kmlbench.analysis import pricing
from kmlbench.analysis.measurements import Source
from kmlbench.analysis.pricing import PartKind, PricedPart, Projection, Span
from kmlbench.prices.pricelist import CycleKind, Figure, Machine, Operation, Price, PriceList, Range
from kmlbench.report.layout import PROCESS_TITLES
from kmlbench.report.sections import PageSection
from kmlbench.report.tables import Table, TableGroup, TableRow
from kmlbench.stats import format
from kmlbench.stats.format import Cell

# What changes by less than this share of the part that changes most is combined in one row.
MINOR = 0.005

WITHOUT_PRICE = 8

PROJECTION = (
    "This is a projection, not a measurement, and no claim about speed: the instructions that this campaign "
    "counted, at prices of another processor. Costly instructions count with their prices, others with an "
    "assumed number of instructions per cycle. Ranges are those of prices and assumptions alone; counts are "
    "means of the trials."
)

NOTHING = (
    "This campaign has no workload whose instructions were counted in both cells of its comparison: there is "
    "nothing to project."
)

LEFT_OUT = (
    "Left out are caches and TLBs, branch prediction, how far instructions overlap, and what the processor "
    "does by itself: page walks, interrupts, exceptions. Work of mitigations that the measured kernels did "
    "is in their counts; what that processor would need in addition is not."
)

UNPRICED = (
    "Costly instructions without a price are among the others: where kernel mode executes more of them, such "
    "as SWAPGS on each direct call, the projection flatters it."
)

ROUND_TRIP = (
    "A system call is priced as a whole, with the code of the kernel that it was measured on: {length} "
    "instructions{assumed} on the way in and out, which do not count among the others. A costly instruction "
    "that both kernels execute on that way counts twice."
)

OPERATIONS = {
    Operation.SYSTEM_CALL: "a system call that the kernel does not have",
    Operation.GETPID: "getpid by SYSCALL",
    Operation.CALL_RETURN: "a call and its return",
    Operation.ADD: "a dependent addition: one cycle of the core",
    Operation.PAGE_FAULT: "a minor page fault",
    Operation.SIGNAL: "a signal to oneself: tgkill, handler, sigreturn",
    Operation.CONTEXT_SWITCH: "a context switch over a pipe",
}

FIGURES = (
    "Figures are medians over processes with their intervals, then the least and the most of all batches. An "
    "instruction's price is that of the same instruction many times in a row, with the POP after a PUSHF, "
    "the PUSH before a POPF and the RET of a call."
)

CYCLES = {
    CycleKind.CORE: "Cycles are those of the core.",
    CycleKind.TSC: "Cycles are those of the time-stamp counter, which has one rate whatever the core's is.",
}


def pricing_sections(source: Source, lists: Sequence[PriceList]) -> tuple[PageSection, ...]:
    """A section for each list."""
    return tuple(
        _section(source, prices, identifier=f"prices-{number}") for number, prices in enumerate(lists, 1)
    )


def _section(source: Source, prices: PriceList, *, identifier: str) -> PageSection:
    """The main comparison of every workload that was counted, and the prices."""
    shown = [
        projection
        for projection in pricing.project(source, prices)
        if projection.comparison == source.primary
        and projection.process is pricing.whole(projection.workload, source.own)
    ]
    explained = [PROJECTION, LEFT_OUT, *_notes(prices, shown)] if shown else [NOTHING]
    return PageSection(
        identifier=identifier,
        title=f"Projection at the prices of “{prices.name}”: not a measurement",
        note=" ".join([*explained, *_processor(prices)]),
        tables=(*map(_table, shown), price_table(prices)),
        pictures=(),
    )


def _notes(prices: PriceList, shown: Sequence[Projection]) -> Iterator[str]:
    if any(projection.unpriced for projection in shown):
        yield UNPRICED
    if any(part.kind is PartKind.OPERATION for projection in shown for part in projection.parts):
        yield _round_trip(prices)
    yield f"Other instructions: {range_text(prices.ipc)} a cycle, assumed. {CYCLES[prices.cycles]}"


def _processor(prices: PriceList) -> Iterator[str]:
    yield f"The processor: {prices.processor}."
    if prices.measured:
        yield measured_on(prices.measured)
    if prices.remark:
        yield prices.remark


def _round_trip(prices: PriceList) -> str:
    price = prices.of(Operation.SYSTEM_CALL)
    counted = price.instructions if price else None
    length = range_text(counted or pricing.ROUND_TRIP_INSTRUCTIONS)
    return ROUND_TRIP.format(length=length, assumed="" if counted else " (assumed, as nothing counted them)")


def measured_on(machine: Machine) -> str:
    """A sentence about the machine that prices were measured on."""
    return (
        f"Measured {machine.measured_utc} by `kmlbench costs --here`: kernel {machine.kernel}, "
        f"{machine.processor_id}, microcode {machine.microcode}, virtual machine: {machine.virtual_machine}."
    )


def _table(projection: Projection) -> Table:
    comparison = projection.comparison
    whole = PROCESS_TITLES[projection.process]
    groups = [TableGroup(title=f"{whole}: parts that add up", rows=tuple(_rows(projection)))]
    if projection.unpriced:
        groups.append(
            TableGroup(title="without a price: among the other instructions", rows=_unpriced(projection))
        )
    columns = (str(comparison.control), str(comparison.treated), "cycles of one", "projected change, cycles")
    return Table(
        caption=f"Projection for {projection.workload}: a round, {comparison}",
        columns=columns,
        groups=tuple(groups),
        heading="instruction",
    )


def _rows(projection: Projection) -> Iterator[TableRow]:
    *priced, rest = projection.parts
    priced.sort(key=_size, reverse=True)
    largest = max(map(_size, projection.parts))
    major = [part for part in priced if _size(part) >= MINOR * largest]
    minor = [part for part in priced if _size(part) < MINOR * largest]
    yield from map(_row, major)
    if minor:
        yield _combined(minor)
    yield _row(rest)
    cells = (*map(_count, projection.instructions), Cell(text=""), Cell(text=_change(projection.change)))
    yield TableRow(label="all instructions", kind="cell", cells=cells)
    label = f"in percent of the cycles of {projection.comparison.control}"
    cells = (*[Cell(text="")] * 3, Cell(text=_percents(projection.relative)))
    yield TableRow(label=label, kind="cell", cells=cells)


def _size(part: PricedPart) -> float:
    return max(abs(part.change.low), abs(part.change.high))


def _row(part: PricedPart) -> TableRow:
    cells = (_count(part.control), _count(part.treated), Cell(text=range_text(part.price)))
    return TableRow(label=part_label(part), kind="cell", cells=(*cells, Cell(text=_change(part.change))))


def _combined(parts: Sequence[PricedPart]) -> TableRow:
    """Parts that hardly change, as one."""
    change = Span(low=sum(part.change.low for part in parts), high=sum(part.change.high for part in parts))
    counts = (sum(part.control for part in parts), sum(part.treated for part in parts))
    cells = (*map(_count, counts), Cell(text="each its own"), Cell(text=_change(change)))
    return TableRow(label=f"{len(parts)} with smaller changes", kind="cell", cells=cells)


def _unpriced(projection: Projection) -> tuple[TableRow, ...]:
    listed = projection.unpriced[:WITHOUT_PRICE]
    left = projection.unpriced[WITHOUT_PRICE:]
    pairs = [(each.name, each.control, each.treated) for each in listed]
    if left:
        sums = sum(each.control for each in left), sum(each.treated for each in left)
        pairs.append((f"{len(left)} others", *sums))
    return tuple(
        TableRow(
            label=name,
            kind="cell",
            cells=(_count(control), _count(treated), Cell(text="–"), Cell(text="–")),
        )
        for name, control, treated in pairs
    )


def part_label(part: PricedPart) -> str:
    """A part as people call it."""
    if part.kind is PartKind.OPERATION:
        return "system call: SYSCALL, SYSRET, two SWAPGS, and the way between"
    return part.name


def price_table(prices: PriceList, *, sources: bool = True) -> Table:
    """All prices of a list, with where each is from."""

    def row(price: Price) -> TableRow:
        label = OPERATIONS[Operation(price.of)] if price.of in {*Operation} else price.of
        figures = (_figure(price.cycles), _figure(price.nanoseconds))
        place = (Cell(text=source_text(prices, price)),) if sources else ()
        return TableRow(label=label, kind="cell", cells=(*figures, *place))

    return Table(
        caption=f"The prices of “{prices.name}”",
        columns=("cycles", "nanoseconds", *(("source",) if sources else ())),
        groups=(TableGroup(title="one execution", rows=tuple(map(row, prices.price))),),
        heading="price of",
    )


def price_text(price: Price) -> str:
    """What a price is, in one line."""
    figures = ((price.cycles, "cycles"), (price.nanoseconds, "ns"))
    return ", ".join(f"{range_text(figure)} {unit}" for figure, unit in figures if figure)


def source_text(prices: PriceList, price: Price) -> str:
    """Where a price is from, in one line."""
    source = prices.source_of(price)
    return ", ".join(
        part for part in (source.author, source.title, source.date, price.place, source.url) if part
    )


def _figure(figure: Figure | None) -> Cell:
    if figure is None:
        return Cell(text="–")
    if figure.median is None:
        return Cell(text=range_text(figure))
    aside = f"[{_number(figure.low)}, {_number(figure.high)}]"
    if figure.least is not None and figure.most is not None:
        aside += f", all {_number(figure.least)} to {_number(figure.most)}"
    return Cell(text=_number(figure.median), aside=aside)


def range_text(numbers: Range) -> str:
    """27, or 8 to 10."""
    low, high = _number(numbers.low), _number(numbers.high)
    return low if low == high else f"{low} to {high}"


def _number(number: float) -> str:
    text = format.plain(number, max(0, format.decimals(number)))
    return text.rstrip("0").rstrip(".") if "." in text else text


def _count(number: float) -> Cell:
    return Cell(text=format.plain(number, 2 if abs(number) < 1000 else 0))


def _change(span: Span) -> str:
    low, high = (_signed(end) for end in (span.low, span.high))
    return low if low == high else f"{low} to {high}"


def _signed(number: float) -> str:
    text = format.plain(number, 1 if abs(number) < 100 else 0)
    if not text.strip("−0.,"):
        return "0"
    return f"+{text}" if number > 0 else text


def _percents(span: Span) -> str:
    low, high = format.percent(span.low), format.percent(span.high)
    return f"{low} %" if low == high else f"{low} to {high} %"
