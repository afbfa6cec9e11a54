# SPDX-License-Identifier: MIT
"""The report's tables as data: cells and comparisons, every number with its interval or a reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from kmlbench import numerals, stats
from kmlbench.comparisons import Comparison, planned_cells, planned_comparisons, primary
from kmlbench.frames import Measure
from kmlbench.model import Process, Trial, Variant
from kmlbench.numerals import Cell
from kmlbench.stats import Absent, Estimate, Values


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """What a column shows of a workload: a metric of a process."""

    heading: str
    metric: str
    process: Process


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """Columns that stand below one heading. All sections of a table have the same headings and metrics."""

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
    """A table: column headings with their units, the metrics they show, and groups of rows.

    `heading` is that of the rows' labels.
    """

    caption: str
    columns: tuple[str, ...]
    metrics: tuple[str, ...]
    groups: tuple[Group, ...]
    heading: str = "cell"


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """What an A/A control could not tell from nothing: relative half-widths of its intervals, by measure.

    `place` is the control's directory, seen from that of the campaign that it stands beside.
    """

    name: str
    blocks: int
    place: str
    half_widths: Mapping[Measure, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What tables and figures are made of.

    `values` holds the numbers by measure and cell, then by block; `stored_units` their units; `units` the
    reader's names of units, see platforms.Meaning. `control` marks an A/A campaign, whose cells are arms;
    `confidence` is the level of all intervals, `noise` that of this machine's control, if any.
    """

    values: Mapping[tuple[Measure, Variant], Values]
    stored_units: Mapping[Measure, str]
    plan: tuple[Trial, ...]
    units: Mapping[str, str]
    control: bool = False
    confidence: float = stats.CONFIDENCE
    noise: Noise | None = None

    @property
    def cells(self) -> tuple[Variant, ...]:
        """The planned cells, in the order in which they are shown."""
        return planned_cells(self.plan, control=self.control)

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        """The comparisons whose two cells are planned."""
        return planned_comparisons(self.plan, control=self.control)

    @property
    def primary(self) -> Comparison:
        """The comparison that answers the campaign's question."""
        return primary(self.plan, control=self.control)

    def unit(self, measure: Measure) -> str | None:
        """The unit of a measure as the reader sees it; None where it was never measured."""
        stored = self.stored_units.get(measure)
        return None if stored is None else self.units.get(measure.metric, self.units.get(stored, stored))

    def of(self, measure: Measure, variant: Variant) -> Values:
        """The values of a measure in a cell, by block; empty where there are none."""
        return self.values.get((measure, variant), {})

    def mean(self, measure: Measure, variant: Variant) -> Estimate:
        """The mean of a measure in a cell, or why there is none."""
        values = self.of(measure, variant)
        if not values:
            return self._hole(measure.workload, variant)
        return stats.mean_interval(values, confidence=self.confidence)

    def ratio(self, measure: Measure, comparison: Comparison) -> Estimate:
        """The ratio of a measure between two cells, or why there is none."""
        for variant in (comparison.treated, comparison.control):
            if not self.of(measure, variant):
                return Absent(reason=f"{variant}: {self._hole(measure.workload, variant).reason}")
        cells = (self.of(measure, cell) for cell in (comparison.treated, comparison.control))
        return stats.ratio_interval(*cells, confidence=self.confidence)

    def block_ratios(self, measure: Measure, comparison: Comparison) -> tuple[float, ...]:
        """The ratios of the single blocks: the points behind `ratio`."""
        treated, control = self.of(measure, comparison.treated), self.of(measure, comparison.control)
        return tuple(stats.block_ratios(treated, control).values())

    def _hole(self, workload: str, variant: Variant) -> Absent:
        ended = any(one.workload == workload and cell == variant for one, cell in self.values)
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
    metrics = tuple(sections[0].columns[index].metric for index in kept)
    return Table(caption=caption, columns=columns, metrics=metrics, groups=tuple(groups)) if groups else None


def _heading(source: Source, workload: str, column: Column) -> str | None:
    unit_name = source.unit(_measure(workload, column))
    if unit_name is None:
        return None
    return column.heading if unit_name == "1" else f"{column.heading}, {unit_name}"


def _group(source: Source, workload: str, title: str, columns: Sequence[Column]) -> Group:
    measures = [_measure(workload, column) for column in columns]
    cells = [_cell_row(source, measures, variant) for variant in source.cells]
    changes = [_change_row(source, measures, one) for one in source.comparisons]
    return Group(title=title, rows=(*cells, *changes))


def _cell_row(source: Source, measures: Sequence[Measure], variant: Variant) -> Row:
    cells = tuple(numerals.value(source.mean(measure, variant)) for measure in measures)
    return Row(label=str(variant), kind="cell", cells=cells)


def _change_row(source: Source, measures: Sequence[Measure], comparison: Comparison) -> Row:
    cells = tuple(_change(source, measure, comparison) for measure in measures)
    return Row(label=str(comparison), kind="comparison", cells=cells, note=comparison.isolates)


def _change(source: Source, measure: Measure, comparison: Comparison) -> Cell:
    ratio = source.ratio(measure, comparison)
    width = source.noise.half_widths.get(measure) if source.noise else None
    if width is None or isinstance(ratio, Absent):
        return numerals.change(ratio)
    return replace(numerals.change(ratio), beside=f"A/A {numerals.half_width(width)}")


def _measure(workload: str, column: Column) -> Measure:
    return Measure(workload=workload, metric=column.metric, process=column.process)
