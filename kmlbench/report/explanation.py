# SPDX-License-Identifier: MIT
"""The explanation and the projection as sections of the report."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby

from kmlbench.analysis import explanation, projection, syscall_costs
from kmlbench.analysis.cost_model import CostModel
from kmlbench.analysis.explanation import CallKind, Explained, Quantity
from kmlbench.analysis.measurements import Source
from kmlbench.analysis.platforms import meaning
from kmlbench.analysis.projection import Projected
from kmlbench.model import Process
from kmlbench.report.layout import PROCESS_TITLES as TITLES
from kmlbench.report.sections import PageSection
from kmlbench.report.tables import Table, TableGroup, TableRow
from kmlbench.stats import format
from kmlbench.stats.format import Cell
from kmlbench.stats.intervals import Absent, Estimate, Interval
from kmlbench.workloads.syscall_counts import COUNTING

Columns = tuple[tuple[str, Quantity, Callable[[Estimate], Cell]], ...]

RARE = 0.01  # kinds with a smaller share of a process's calls are combined in one row

WORTH = f"{explanation.WORTH * 100:g} %"

HOW = (
    "Predicted is what the calls should save: the direct calls of the measured trial, as counted by the "
    "kernel, times what a call saves, as measured by this campaign's syscalls in both cells. Measured is the "
    "difference in CPU. The residue is measured less predicted: everything but the cost of calls, such as "
    "page faults, interrupts and caches; below zero, kernel mode loses it elsewhere. Calls by the "
    "instruction SYSCALL are assumed to save nothing. Break-even is the rate of calls at which they save "
    "as much as is lost elsewhere."
)

NO_SYSCALLS = (
    "This campaign did not measure what a call costs, so nothing is predicted: add syscalls to --workloads."
)

PROJECTION = (
    "This is a projection, not a measurement: the calls that this campaign counted, times costs "
    "measured on another machine. It does not include what else kernel mode gains or loses there, and its "
    "intervals are those of the costs alone. What share of CPU time that is, only a campaign on that "
    "machine can show."
)

NOTHING = (
    "This campaign has no workload whose queries were counted in kernel mode: there is nothing to project."
)


def explanation_sections(source: Source, model: CostModel | None) -> tuple[PageSection, ...]:
    """The explanation of each workload, and the projection at another machine's costs."""
    by_workload = groupby(explanation.explained(source), key=lambda entry: entry.workload)
    explained = tuple(_explanation(source, workload, list(some)) for workload, some in by_workload)
    return (*explained, *([_projection(source, model)] if model else []))


def _explanation(source: Source, workload: str, explained: Sequence[Explained]) -> PageSection:
    return PageSection(
        identifier="explanation",
        title="The explanation: what the calls save",
        note=" ".join([HOW, *_notes(source, workload)]),
        tables=(
            _per_query(source, workload, explained),
            _rates(source, workload, explained),
            *_calls(source, workload),
        ),
        pictures=(),
        workload=workload,
    )


def _notes(source: Source, workload: str) -> Iterable[str]:
    """What this campaign lacks for a better explanation of a workload."""
    comparisons = explanation.explainable_comparisons(source)
    ranges = syscall_costs.ranges(source, comparisons[0])
    if not ranges:
        yield NO_SYSCALLS
    counted = any(
        syscall_costs.mix(source, workload, comparison.control, process)
        for comparison in comparisons
        for process in Process.TOGETHER.parts
    )
    if ranges and not counted:
        low, high = (format.plain(saving, format.decimals(saving)) for saving in (min(ranges), max(ranges)))
        yield (
            f"The calls of {workload} were not counted by kind, so all are priced as getpid; depending on "
            f"the kind, a call saves {low} to {high} {_unit(source.units, 'ns')} ({comparisons[0]}). "
            f"{COUNTING}{workload} in --workloads would count them."
        )


def _per_query(source: Source, workload: str, explained: Sequence[Explained]) -> Table:
    unit = _unit(source.units, "ns")
    columns: Columns = (
        ("direct calls", Quantity.CALLS, format.value),
        (f"saved by a call, {unit}", Quantity.SAVED, format.value),
        (f"predicted saving, {unit}", Quantity.PREDICTED, format.value),
        (f"measured saving, {unit}", Quantity.MEASURED, format.value),
        (f"residue, {unit}", Quantity.RESIDUE, format.value),
    )
    return _table(f"{workload}: per query, {_level(source)}", columns, explained)


def _rates(source: Source, workload: str, explained: Sequence[Explained]) -> Table:
    columns: Columns = (
        ("predicted saving", Quantity.PREDICTED_SHARE, format.share_text),
        ("measured saving", Quantity.MEASURED_SHARE, format.share_text),
        ("residue", Quantity.RESIDUE_SHARE, format.share_text),
        (f"direct calls per {_second(source.units)}", Quantity.RATE, format.value),
        ("break-even", Quantity.BREAK_EVEN, _rate),
        (f"to save {WORTH}", Quantity.FOR_WORTH, _rate),
    )
    return _table(f"{workload}: share of CPU, and rates of calls, {_level(source)}", columns, explained)


def _rate(rate: Estimate) -> Cell:
    """A rate; below zero it is "any rate": nothing is lost elsewhere."""
    if isinstance(rate, Absent) or rate.estimate > 0:
        return format.value(rate)
    return replace(format.value(rate), text="any rate")


def _calls(source: Source, workload: str) -> tuple[Table, ...]:
    """The calls by name for the first comparison, the report's main one."""
    comparison = explanation.explainable_comparisons(source)[0]
    unit = _unit(source.units, "ns")
    groups = [
        TableGroup(title=TITLES[process], rows=tuple(_kind_row(kind) for kind in common) + rest)
        for process in Process.TOGETHER.parts
        if (kinds := explanation.kinds(source, workload, comparison, process))
        for common, rest in [_rare_apart(kinds)]
    ]
    columns = (
        *("calls", "priced as"),
        *(f"{what}, {unit}" for what in (comparison.control, comparison.treated, "saved by a call", "saved")),
    )
    if not groups:
        return ()
    caption = f"{workload}: calls by kind per query, {_level(source)}"
    return (Table(caption=caption, columns=columns, groups=tuple(groups), heading="call"),)


def _kind_row(kind: CallKind) -> TableRow:
    costs = (kind.control, kind.treated, kind.saved, kind.saved_per_query)
    cells = (format.value(kind.calls), Cell(text=kind.priced), *map(format.value, costs))
    return TableRow(label=kind.name, cells=cells)


def _rare_apart(kinds: Sequence[CallKind]) -> tuple[list[CallKind], tuple[TableRow, ...]]:
    """The common kinds, and one row for the others."""
    counts = [kind.calls.estimate if isinstance(kind.calls, Interval) else 0.0 for kind in kinds]
    common = [kind for kind, count in zip(kinds, counts, strict=True) if count >= RARE * sum(counts)]
    left = len(kinds) - len(common)
    if not left:
        return common, ()
    total = sum(counts[len(common) :])
    cells = (Cell(text=format.plain(total, format.decimals(total))), *[Cell(text="–")] * 5)
    return common, (TableRow(label=f"{left} rarer kinds", cells=cells),)


def _projection(source: Source, model: CostModel) -> PageSection:
    units = meaning(model.platform).units
    unit = _unit(units, "ns")
    columns: Columns = (
        ("direct calls", Quantity.CALLS, format.value),
        (f"saved by a call, {unit}", Quantity.SAVED, format.value),
        (f"projected saving, {unit}", Quantity.PREDICTED, format.value),
        (f"calls per {_second(units)} that save {WORTH}", Quantity.FOR_WORTH, format.value),
    )
    tables = [
        _table(f"Projection for {workload}: per query, {_level(source)}", columns, list(some))
        for workload, some in groupby(projection.projected(source, model), key=lambda entry: entry.workload)
    ]
    where = (
        f"The costs: “{model.name}”, {model.measured_utc}, platform {model.platform}, processor "
        f"{model.cpu_model}, blocks: {model.blocks}. {meaning(model.platform).warning}"
    )
    return PageSection(
        identifier="projection",
        title=f"Projection with the costs of “{model.name}”: not a measurement",
        note=" ".join([PROJECTION, *([] if tables else [NOTHING]), where]),
        tables=(*tables, _costs(source, model, unit)),
        pictures=(),
    )


def _costs(source: Source, model: CostModel, unit: str) -> Table:
    """The costs themselves."""
    cells = tuple(model.costs)

    def row(kind: str) -> TableRow:
        costs = (syscall_costs.estimate_mean(source, dict(model.by_block(cell, kind)), "") for cell in cells)
        return TableRow(label=kind, cells=tuple(map(format.value, costs)))

    group = TableGroup(title="a call of each kind", rows=tuple(map(row, syscall_costs.KINDS)))
    columns = tuple(f"{cell}, {unit}" for cell in cells)
    caption = f"Costs of “{model.name}”, {_level(source)}"
    return Table(caption=caption, columns=columns, groups=(group,), heading="call")


def _table(caption: str, columns: Columns, entries: Sequence[Explained | Projected]) -> Table:
    """A group for each comparison, a row for each process."""

    def row(entry: Explained | Projected) -> TableRow:
        cells = tuple(shown(entry.estimates[quantity]) for _, quantity, shown in columns)
        return TableRow(label=TITLES[entry.process], cells=cells)

    groups = tuple(
        TableGroup(title=f"{comparison}: {comparison.isolates}", rows=tuple(row(entry) for entry in some))
        for comparison, some in groupby(entries, key=lambda entry: entry.comparison)
    )
    headings = tuple(heading for heading, _, _ in columns)
    return Table(caption=caption, columns=headings, groups=groups, heading="process")


def _level(source: Source) -> str:
    return f"mean and {source.confidence * 100:g} % interval"


def _unit(units: Mapping[str, str], stored: str) -> str:
    return units.get(stored, stored)


def _second(units: Mapping[str, str]) -> str:
    """A second of CPU as a platform has it."""
    return units.get("s", "CPU second")
