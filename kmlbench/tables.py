# SPDX-License-Identifier: MIT
"""The report's tables as data: cells and comparisons, every number with its interval or a reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from kmlbench import numerals, stats
from kmlbench.comparisons import Comparison, planned_cells, planned_comparisons
from kmlbench.frames import Measure, by_block, unit
from kmlbench.model import Process, Trial, Variant
from kmlbench.numerals import Cell
from kmlbench.stats import Absent, Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """What a column shows of a workload: a metric of a process."""

    heading: str
    metric: str
    process: Process


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Columns that stand below one heading. All sections of a table have the same headings."""

    title: str
    columns: tuple[Column, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row. `kind` is cell, comparison or history."""

    label: str
    kind: str
    cells: tuple[Cell, ...]
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Rows below one heading."""

    title: str
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table: column headings with their units, and groups of rows."""

    caption: str
    columns: tuple[str, ...]
    groups: tuple[Group, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What every table is made of: the samples, the plan, and the reader's names of stored units."""

    frame: pd.DataFrame
    plan: tuple[Trial, ...]
    units: Mapping[str, str]

    def unit(self, measure: Measure) -> str | None:
        """The unit of a measure as the reader sees it; None where it was never measured."""
        stored = unit(self.frame, measure)
        return None if stored is None else self.units.get(stored, stored)

    def mean(self, measure: Measure, variant: Variant) -> Estimate:
        """The mean of a measure in a cell, or why there is none."""
        values = by_block(self.frame, measure, variant)
        return stats.mean_interval(values) if values else self._hole(measure.workload, variant)

    def ratio(self, measure: Measure, comparison: Comparison) -> Estimate:
        """The ratio of a measure between two cells, or why there is none."""
        treated = by_block(self.frame, measure, comparison.treated)
        return stats.ratio_interval(treated, by_block(self.frame, measure, comparison.control))

    def block_ratios(self, measure: Measure, comparison: Comparison) -> tuple[float, ...]:
        """The ratios of the single blocks: the points behind `ratio`."""
        treated = by_block(self.frame, measure, comparison.treated)
        return tuple(stats.block_ratios(treated, by_block(self.frame, measure, comparison.control)).values())

    def _hole(self, workload: str, variant: Variant) -> Absent:
        rows = self.frame[self.frame["workload"] == workload]
        ended = ((rows["kernel"] == variant.kernel) & (rows["prefix"] == variant.prefix)).any()
        return Absent(reason="not measured" if ended else "no completed trial")


def table(source: Source, workload: str, sections: Sequence[Section], *, caption: str) -> Table | None:
    """The table of one workload without the columns and sections nobody measured; None: nothing is left."""
    measured = [[_heading(source, workload, column) for column in section.columns] for section in sections]
    headings = [next((text for text in texts if text), None) for texts in zip(*measured, strict=True)]
    kept = [index for index, heading in enumerate(headings) if heading]
    groups = [
        _group(source, workload, section.title, [section.columns[index] for index in kept])
        for section, texts in zip(sections, measured, strict=True)
        if any(texts)
    ]
    columns = tuple(heading for heading in headings if heading)
    return Table(caption=caption, columns=columns, groups=tuple(groups)) if groups else None


def _heading(source: Source, workload: str, column: Column) -> str | None:
    unit_name = source.unit(_measure(workload, column))
    if unit_name is None:
        return None
    return column.heading if unit_name == "1" else f"{column.heading}, {unit_name}"


def _group(source: Source, workload: str, title: str, columns: Sequence[Column]) -> Group:
    measures = [_measure(workload, column) for column in columns]
    cells = [_cell_row(source, measures, variant) for variant in planned_cells(source.plan)]
    changes = [_change_row(source, measures, one) for one in planned_comparisons(source.plan)]
    return Group(title=title, rows=(*cells, *changes))


def _cell_row(source: Source, measures: Sequence[Measure], variant: Variant) -> Row:
    cells = tuple(numerals.value(source.mean(measure, variant)) for measure in measures)
    return Row(label=str(variant), kind="cell", cells=cells)


def _change_row(source: Source, measures: Sequence[Measure], comparison: Comparison) -> Row:
    cells = tuple(numerals.change(source.ratio(measure, comparison)) for measure in measures)
    return Row(label=str(comparison), kind="comparison", cells=cells, note=comparison.isolates)


def _measure(workload: str, column: Column) -> Measure:
    return Measure(workload=workload, metric=column.metric, process=column.process)
