# SPDX-License-Identifier: MIT
"""The report's tables as data: a row for each metric, a column for each cell and comparison.

Every number has its interval or a reason.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from kmlbench.analysis.measurements import Source
from kmlbench.model import Measure, Process
from kmlbench.plan.comparisons import Comparison
from kmlbench.stats import format
from kmlbench.stats.format import Cell
from kmlbench.stats.intervals import Absent


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What a row shows of a workload: a metric of a process."""

    heading: str
    metric: str
    process: Process


@dataclass(frozen=True, slots=True, kw_only=True)
class LineGroup:
    """Lines under one title."""

    title: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRow:
    """One row. `kind` is its style: cell, history (what others measured), words (texts, not numbers)."""

    label: str
    cells: tuple[Cell, ...]
    kind: str = "cell"


@dataclass(frozen=True, slots=True, kw_only=True)
class TableGroup:
    """Rows under one heading."""

    title: str
    rows: tuple[TableRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table: column headings and groups of rows. `heading` is that of the rows' labels.

    From the column `first_change` on it shows changes, the first of them the main one. `fold` names what is
    folded away until it is asked for; what has no name is shown.
    """

    caption: str
    columns: tuple[str, ...]
    groups: tuple[TableGroup, ...]
    heading: str = ""
    first_change: int | None = None
    fold: str = ""


def make_table(source: Source, workload: str, groups: Sequence[LineGroup], *, caption: str) -> Table | None:
    """The table of one workload, without what was not measured; None if nothing is left."""
    shown = [group for group in (_group(source, workload, group) for group in groups) if group.rows]
    if not shown:
        return None
    return Table(
        caption=caption,
        columns=(*map(str, source.cells), *map(str, source.comparisons)),
        groups=tuple(shown),
        first_change=len(source.cells),
    )


def of_lines(groups: Sequence[LineGroup], wanted: Callable[[Line], bool]) -> tuple[LineGroup, ...]:
    """The same groups with these lines alone."""
    return tuple(replace(group, lines=tuple(filter(wanted, group.lines))) for group in groups)


def measure_of(workload: str, line: Line) -> Measure:
    """What a line shows of a workload."""
    return Measure(workload=workload, metric=line.metric, process=line.process)


def _group(source: Source, workload: str, group: LineGroup) -> TableGroup:
    rows = (_row(source, measure_of(workload, line), line.heading) for line in group.lines)
    return TableGroup(title=group.title, rows=tuple(row for row in rows if row))


def _row(source: Source, measure: Measure, heading: str) -> TableRow | None:
    unit = source.unit(measure)
    if unit is None:
        return None
    means = (format.value(source.mean(measure, cell)) for cell in source.cells)
    changes = (_change(source, measure, comparison) for comparison in source.comparisons)
    return TableRow(label=heading if unit == "1" else f"{heading}, {unit}", cells=(*means, *changes))


def _change(source: Source, measure: Measure, comparison: Comparison) -> Cell:
    ratio = source.ratio(measure, comparison)
    width = source.noise.half_widths.get(measure) if source.noise else None
    if width is None or isinstance(ratio, Absent):
        return format.change(ratio)
    return replace(format.change(ratio), beside=f"A/A {format.half_width_text(width)}")
