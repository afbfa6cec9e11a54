# SPDX-License-Identifier: MIT
"""The report as data: its sections in order, each with a note, tables and pictures."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kmlbench.analysis.measurements import Source
from kmlbench.model import Measure, Process
from kmlbench.plan.comparisons import planned_workloads
from kmlbench.plan.question import is_wisconsin
from kmlbench.report import layout
from kmlbench.report.figures import Picture, Plot, picture
from kmlbench.report.tables import Table, TableSection, make_table
from kmlbench.stats.intervals import Interval
from kmlbench.workloads.base import Section
from kmlbench.workloads.metrics import CPU, INSTRUCTIONS, TICKS
from kmlbench.workloads.registry import METRICS, SECTIONS
from kmlbench.workloads.syscall_counts import is_counting
from kmlbench.workloads.syscalls import CLOCK

TICKS_PER_S = 250  # CONFIG_HZ of Debian and of the project's kernels; the facts of a host do not include it

TABLE_2 = "Table 2: CPU of the Wisconsin benchmark"

ARTICLE_NOTE = (
    "Below the cells of this campaign is Table 2 of “Kernel Mode Linux for AMD64” (Linux Journal, 2005). "
    "Only its percentages are comparable: machine, kernel, server, amount of work and unit differ."
)


COUNTED = (
    "Counted is every instruction of a round, which is one execution of each statement, without start-up and "
    "warm-up. User and System are those at user and at kernel addresses: exact, not split by ticks, for "
    "kernel-mode programs, too. What interrupts execute is the interrupted process's."
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
    in_table_2 = {name: _section_in_table_2(source, name) for name in workloads if is_wisconsin(name)}

    def section(shown: Section) -> PageSection:
        others = [name for name in workloads if in_table_2.get(name) != shown]
        return PageSection(
            identifier=shown.identifier,
            title=shown.title,
            note=shown.note,
            tables=_tables(source, others, shown),
            pictures=_pictures(figures, dict.fromkeys(others, shown), directory),
        )

    table_2 = PageSection(
        identifier="table-2",
        title=TABLE_2,
        note=" ".join([ARTICLE_NOTE, *_split(source, in_table_2)]),
        tables=tuple(filter(None, (_as_in_2005(source, *pair) for pair in in_table_2.items()))),
        pictures=_pictures(figures, in_table_2, directory),
    )
    return (table_2, *map(section, SECTIONS))


def _section_in_table_2(source: Source, workload: str) -> Section:
    """Whose columns Table 2 has for this workload: counted instructions, or CPU split by ticks."""
    system = Measure(workload=workload, metric="instructions_kernel", process=Process.TOGETHER)
    return INSTRUCTIONS if source.unit(system) else CPU


def _pictures(
    figures: Sequence[Plot], sections: Mapping[str, Section], directory: Path
) -> tuple[Picture, ...]:
    """The figures of each workload's section."""
    return tuple(
        picture(plot, directory)
        for plot in figures
        if plot.workload in sections and METRICS[plot.metric].section == sections[plot.workload]
    )


def _split(source: Source, in_table_2: Mapping[str, Section]) -> Iterator[str]:
    """How User and System are told apart."""
    if INSTRUCTIONS in in_table_2.values():
        yield COUNTED
    by_ticks = [name for name, section in in_table_2.items() if section == CPU]
    if by_ticks:
        yield from (TICKS, *_ticks(source, by_ticks))


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
    made = (_table(source, name, layout.columns(section)) for name in workloads)
    tables = tuple(filter(None, made))
    return tuple(map(_with_article_ratio, tables)) if section == CLOCK else tables


def _table(source: Source, workload: str, columns: Sequence[TableSection]) -> Table | None:
    caption = f"{workload}: mean and {source.confidence * 100:g} % interval"
    return make_table(source, workload, columns, caption=caption)


def _with_article_ratio(table: Table) -> Table:
    """The article's figure for a system call, below the first group."""
    first, *rest = table.groups
    return replace(table, groups=(first, layout.article_ratio(table.metrics), *rest))


def _as_in_2005(source: Source, workload: str, section: Section) -> Table | None:
    """Table 2 of a workload: beside the main comparison the article's, below the first group its table."""
    table = _table(source, workload, layout.table_2_columns(section))
    if table is None:
        return None
    first, *rest = table.groups
    first = layout.with_article(first, table.metrics)
    return replace(table, groups=(first, layout.article(table.metrics), *rest))
