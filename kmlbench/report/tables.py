# SPDX-License-Identifier: MIT
"""The report's tables as data: cells and comparisons, every number with its interval or a reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from kmlbench.analysis.measurements import Source
from kmlbench.model import Measure, Process, Variant
from kmlbench.plan.comparisons import Comparison
from kmlbench.stats import format
from kmlbench.stats.format import Cell
from kmlbench.stats.intervals import Absent


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """What a column shows of a workload: a metric of a process."""

    heading: str
    metric: str
    process: Process


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSection:
    """Columns under one heading. All sections of a table have the same headings and metrics."""

    title: str
    columns: tuple[Column, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableRow:
    """One row. `kind` is cell, comparison or history; `comparison` is the one that it shows, if any."""

    label: str
    kind: str
    cells: tuple[Cell, ...]
    note: str = ""
    comparison: Comparison | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TableGroup:
    """Rows under one heading."""

    title: str
    rows: tuple[TableRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table: column headings with their units, the metrics they show, and groups of rows.

    `heading` is that of the rows' labels.
    """

    caption: str
    columns: tuple[str, ...]
    metrics: tuple[str, ...]
    groups: tuple[TableGroup, ...]
    heading: str = "cell"


def make_table(
    source: Source, workload: str, sections: Sequence[TableSection], *, caption: str
) -> Table | None:
    """The table of one workload, without what was not measured; None if nothing is left."""
    measured = [[_heading(source, workload, column) for column in section.columns] for section in sections]
    headings = [next((text for text in texts if text), None) for texts in zip(*measured, strict=True)]
    kept = [index for index, heading in enumerate(headings) if heading]
    groups = [
        _group(source, workload, section.title, [section.columns[index] for index in kept])
        for section, texts in zip(sections, measured, strict=True)
        if any(texts)
    ]
    columns = tuple(heading for heading in headings if heading)
    metrics = tuple(sections[0].columns[index].metric for index in kept)
    return Table(caption=caption, columns=columns, metrics=metrics, groups=tuple(groups)) if groups else None


def _heading(source: Source, workload: str, column: Column) -> str | None:
    unit_name = source.unit(_measure(workload, column))
    if unit_name is None:
        return None
    return column.heading if unit_name == "1" else f"{column.heading}, {unit_name}"


def _group(source: Source, workload: str, title: str, columns: Sequence[Column]) -> TableGroup:
    measures = [_measure(workload, column) for column in columns]
    cells = [_cell_row(source, measures, variant) for variant in source.cells]
    changes = [_change_row(source, measures, one) for one in source.comparisons]
    return TableGroup(title=title, rows=(*cells, *changes))


def _cell_row(source: Source, measures: Sequence[Measure], variant: Variant) -> TableRow:
    cells = tuple(format.value(source.mean(measure, variant)) for measure in measures)
    return TableRow(label=str(variant), kind="cell", cells=cells)


def _change_row(source: Source, measures: Sequence[Measure], comparison: Comparison) -> TableRow:
    cells = tuple(_change(source, measure, comparison) for measure in measures)
    return TableRow(
        label=str(comparison),
        kind="comparison",
        cells=cells,
        note=comparison.isolates,
        comparison=comparison,
    )


def _change(source: Source, measure: Measure, comparison: Comparison) -> Cell:
    ratio = source.ratio(measure, comparison)
    width = source.noise.half_widths.get(measure) if source.noise else None
    if width is None or isinstance(ratio, Absent):
        return format.change(ratio)
    return replace(format.change(ratio), beside=f"A/A {format.half_width_text(width)}")


def _measure(workload: str, column: Column) -> Measure:
    return Measure(workload=workload, metric=column.metric, process=column.process)
