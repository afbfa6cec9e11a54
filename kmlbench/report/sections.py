# SPDX-License-Identifier: MIT
"""The report as data: its sections in order, each with a note, tables and pictures."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kmlbench.analysis.measurements import Source
from kmlbench.model import Measure, Process
from kmlbench.plan.comparisons import planned_workloads
from kmlbench.plan.question import is_wisconsin
from kmlbench.report import layout
from kmlbench.report.figures import Picture, Plot, picture
from kmlbench.report.tables import Table, make_table
from kmlbench.stats.intervals import Interval
from kmlbench.workloads.base import Section
from kmlbench.workloads.metrics import CPU, INSTRUCTIONS, TICKS
from kmlbench.workloads.registry import SECTIONS
from kmlbench.workloads.syscall_counts import is_counting
from kmlbench.workloads.syscalls import CLOCK

TICKS_PER_S = 250  # CONFIG_HZ of Debian and of the project's kernels; the facts of a host do not include it

TABLE_2 = "Table 2: CPU of the Wisconsin benchmark"

ARTICLE_NOTE = (
    "Below the cells of this campaign is Table 2 of “Kernel Mode Linux for AMD64” (Linux Journal, 2005). "
    "Only its percentages are comparable: machine, kernel, server, amount of work and unit differ."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PageSection:
    """A part of the report. `identifier` is its anchor."""

    identifier: str
    title: str
    note: str
    tables: tuple[Table, ...]
    pictures: tuple[Picture, ...]


def report_sections(source: Source, figures: Sequence[Plot], directory: Path) -> tuple[PageSection, ...]:
    """The sections with numbers, and their figures, stored in `directory` with their data."""
    workloads = [name for name in planned_workloads(source.plan) if not is_counting(name)]
    wisconsin = [name for name in workloads if is_wisconsin(name)]
    others = [name for name in workloads if not is_wisconsin(name)]
    sections = (
        _section(source, wisconsin, CPU, figures, directory),
        *(
            _section(source, others if section == CPU else workloads, section, figures, directory)
            for section in SECTIONS
        ),
    )
    note = " ".join([ARTICLE_NOTE, TICKS, *_ticks(source, wisconsin)])
    table_2 = replace(sections[0], identifier="table-2", title=TABLE_2, note=note)
    return (table_2, *sections[1:])


def _section(
    source: Source, workloads: Sequence[str], section: Section, figures: Sequence[Plot], directory: Path
) -> PageSection:
    shown = {metric.name for metric in layout.section_metrics(section)}
    return PageSection(
        identifier=section.identifier,
        title=section.title,
        note=section.note,
        tables=_tables(source, workloads, section),
        pictures=tuple(
            picture(plot, directory)
            for plot in figures
            if plot.workload in workloads and plot.metric in shown
        ),
    )


def _ticks(source: Source, workloads: Sequence[str]) -> Iterator[str]:
    """On how few ticks the split into User and System rests, where they are few."""
    cell = source.primary.control
    for workload in workloads:
        user, system = (
            source.mean(Measure(workload=workload, metric=metric, process=Process.TOGETHER), cell)
            for metric in ("cpu_user", "cpu_system")
        )
        if isinstance(user, Interval) and isinstance(system, Interval) and system.estimate > 0:
            fell = TICKS_PER_S * system.estimate
            whole = TICKS_PER_S * (user.estimate + system.estimate)
            yield (
                f"At {TICKS_PER_S} ticks a second, as in Debian's and the project's kernels, a run of "
                f"{workload} ({cell}) has about {whole:.0f} ticks, {fell:.0f} of them in System: by chance "
                f"alone that number varies by ±{196 / math.sqrt(fell):.0f} % (95 %)."
            )


def _tables(source: Source, workloads: Sequence[str], section: Section) -> tuple[Table, ...]:
    made = (
        (
            name,
            make_table(
                source,
                name,
                layout.columns(section),
                caption=f"{name}: mean and {source.confidence * 100:g} % interval",
            ),
        )
        for name in workloads
    )
    return tuple(_with_history(name, section, table) for name, table in made if table)


def _with_history(workload: str, section: Section, table: Table) -> Table:
    """The articles' figures, below the first group."""
    first, *rest = table.groups
    if section == INSTRUCTIONS and is_wisconsin(workload):
        return replace(table, groups=(layout.with_article(first, table.metrics), *rest))
    if section == CPU and is_wisconsin(workload):
        first = layout.with_article(first, table.metrics)
        return replace(table, groups=(first, layout.article(table.metrics), *rest))
    if section == CLOCK:
        return replace(table, groups=(first, layout.article_ratio(table.metrics), *rest))
    return table
