# SPDX-License-Identifier: MIT
"""What others published of a workload, as a part of its section beside what this campaign measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kmlbench.analysis import published
from kmlbench.analysis.measurements import Source
from kmlbench.analysis.primary import main_measure
from kmlbench.analysis.published import Figure, Peer
from kmlbench.model import Measure
from kmlbench.report.layout import PROCESS_TITLES
from kmlbench.report.sections import PageSection
from kmlbench.report.tables import Table, TableGroup, TableRow
from kmlbench.stats import format
from kmlbench.stats.format import Cell
from kmlbench.workloads.registry import METRICS

NOTE = (
    "Not of this campaign, and no part of its verdict: what others report of the same load, each on a "
    "platform and against a control of its own. Only direction and order of magnitude compare. An interval "
    "stands where there is one; “up to” is the largest of several."
)

COLUMNS = ("change", "of", "against", "platform and source")


def published_sections(source: Source, platform: str, workloads: Sequence[str]) -> tuple[PageSection, ...]:
    """A part of each workload that was measured here and published elsewhere; none of an A/A control."""
    if source.control:
        return ()
    found = ((workload, tuple(published.elsewhere(workload))) for workload in workloads)
    return tuple(
        _section(source, platform, main_measure(source, workload), peers)
        for workload, peers in found
        if peers and source.unit(main_measure(source, workload))
    )


def _section(
    source: Source, platform: str, measure: Measure, peers: Sequence[tuple[Peer, tuple[Figure, ...]]]
) -> PageSection:
    groups = (_own(source, platform, measure), *(_group(peer, figures) for peer, figures in peers))
    return PageSection(
        identifier="published",
        title="Published elsewhere",
        note=NOTE,
        tables=(
            Table(
                caption=f"{measure.workload}: published elsewhere",
                columns=COLUMNS,
                groups=groups,
                heading="load",
            ),
        ),
        pictures=(),
        workload=measure.workload,
    )


def _own(source: Source, platform: str, measure: Measure) -> TableGroup:
    """What this campaign answers, for comparison."""
    comparison = source.primary
    heading = METRICS[measure.metric].heading if measure.metric in METRICS else measure.metric
    cells = (
        format.change(source.ratio(measure, comparison)),
        Cell(text=f"{heading}, {PROCESS_TITLES[measure.process]}"),
        Cell(text=str(comparison.control)),
        Cell(text=platform, aside="this campaign"),
    )
    row = TableRow(label=measure.workload, kind="words", cells=cells)
    return TableGroup(title=f"this campaign: {comparison.treated}", rows=(row,))


def _group(peer: Peer, figures: Sequence[Figure]) -> TableGroup:
    rows = tuple(
        TableRow(label=figure.load, kind="words history", cells=tuple(_cells(peer, figure)))
        for figure in figures
    )
    return TableGroup(title=f"{peer.name}: {peer.about}", rows=rows)


def _cells(peer: Peer, figure: Figure) -> Iterator[Cell]:
    yield change(figure)
    yield Cell(text=figure.measure)
    yield Cell(text=figure.against)
    yield Cell(text=figure.platform, aside=source_text(peer, figure))


def source_text(peer: Peer, figure: Figure) -> str:
    """Where a figure stands."""
    source = peer.source_of(figure)
    named = (source.author, source.title, source.date, figure.place, figure.computed)
    return ", ".join(filter(None, named))


def change(figure: Figure) -> Cell:
    """The effect: +0.94 % [+0.32, +1.72]; +4.4 to +10.8 %; up to +7.6 %; −97.2 %, 432 → 12 cycles."""
    if figure.interval and figure.percent is not None:
        numbers = (figure.percent, figure.interval.low, figure.interval.high)
        middle, low, high = (format.percent(1 + number / 100) for number in numbers)
        return Cell(text=f"{middle} %", aside=f"[{low}, {high}]")
    if figure.range:
        ends = (format.short_percent(end) for end in (figure.range.low, figure.range.high))
        return Cell(text=f"{' to '.join(ends)} %")
    if figure.at_most is not None:
        return Cell(text=f"up to {format.short_percent(figure.at_most)} %")
    if figure.amounts:
        amounts = figure.amounts
        return Cell(
            text=f"{format.short_percent(amounts.percent)} %",
            aside=f"{amounts.control:,g} → {amounts.treated:,g} {amounts.unit}",
        )
    return Cell(text=f"{format.short_percent(figure.percent or 0)} %")
