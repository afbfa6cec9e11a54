# SPDX-License-Identifier: MIT
"""The report as data: the parts of each workload's section, each with a note, tables and pictures."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from kmlbench.analysis.measurements import Source
from kmlbench.model import Measure, Process
from kmlbench.plan.question import is_wisconsin
from kmlbench.report import layout
from kmlbench.report.figures import Picture, Plot, picture
from kmlbench.report.tables import LineGroup, Table, make_table, measure_of, of_lines
from kmlbench.stats.intervals import Interval
from kmlbench.workloads.base import Section
from kmlbench.workloads.metrics import CPU, INSTRUCTIONS, TICKS
from kmlbench.workloads.registry import METRICS, SECTIONS
from kmlbench.workloads.syscalls import CLOCK, RATIO

TICKS_PER_S = 250  # CONFIG_HZ of Debian and of the project's kernels; the facts of a host do not include it

TABLE_2 = "Table 2: CPU of the Wisconsin benchmark"

ARTICLE_NOTE = (
    "Beside it is Table 2 of “Kernel Mode Linux for AMD64” (Linux Journal, 2005). "
    "Only its percentages are comparable: machine, kernel, server, amount of work and unit differ."
)


COUNTED = (
    "Counted is every instruction of a round, which is one execution of each statement, without start-up and "
    "warm-up. User and System are those at user and at kernel addresses: exact, not split by ticks, for "
    "kernel-mode programs, too. What interrupts execute is the interrupted process's."
)

# A workload's own parts, which a reader wants first.
OWN = ("table-2", *(section.identifier for section in SECTIONS if section.rank == 0))

# The others by their identifiers; what is not named here follows.
ORDER = (
    *OWN,
    *("instructions", "whereabouts", "windows"),
    *("throughput", "latency", "cpu", "counters", "explanation"),
)

# Parts that are shown; the others fold.
SHOWN = {*OWN, "instructions", "whereabouts"}


@dataclass(frozen=True, slots=True, kw_only=True)
class PageSection:
    """A part of the report, of a workload or, without one, of the campaign.

    `identifier` says which part; `anchor` is its address in the page. `warnings` are shown even if it folds.
    `side_by_side`: its first table is narrow enough to stand beside its pictures.
    """

    identifier: str
    title: str
    note: str
    tables: tuple[Table, ...]
    pictures: tuple[Picture, ...]
    workload: str = ""
    warnings: tuple[str, ...] = ()
    folded: bool = False
    side_by_side: bool = False

    @property
    def name(self) -> str:
        """Its title, after that of its workload."""
        return f"{self.workload}: {self.title}" if self.workload else self.title

    @property
    def anchor(self) -> str:
        """Where in the page it is."""
        return f"{anchor(self.workload)}-{self.identifier}" if self.workload else self.identifier


def anchor(workload: str) -> str:
    """Where in the page the section of a workload is."""
    return f"workload-{workload}"


def in_order(parts: Sequence[PageSection], workloads: Sequence[str]) -> tuple[PageSection, ...]:
    """The parts that have tables, by workload as in `workloads`, then by ORDER; the campaign's own last."""
    places = {identifier: place for place, identifier in enumerate(ORDER)}

    def place(part: PageSection) -> tuple[int, int]:
        workload = workloads.index(part.workload) if part.workload else len(workloads)
        return workload, places.get(part.identifier, len(ORDER)) if part.workload else 0

    folding = (
        replace(part, folded=bool(part.workload) and (part.folded or part.identifier not in SHOWN))
        for part in parts
        if part.tables
    )
    return tuple(_main_part_shown(sorted(folding, key=place)))


def _main_part_shown(parts: Sequence[PageSection]) -> Iterator[PageSection]:
    """With the first part of each workload unfolded, whatever it is."""
    before = ""
    for part in parts:
        yield part if part.workload == before else replace(part, folded=False)
        before = part.workload


def measured_parts(
    source: Source, workload: str, figures: Sequence[Plot], directory: Path
) -> Iterator[PageSection]:
    """The parts of a workload with its metrics, and their figures, stored in `directory` with their data."""
    in_table_2 = _section_in_table_2(source, workload) if is_wisconsin(workload) else None
    for section in SECTIONS:
        pictures = _pictures(figures, workload, section, directory)
        if section == in_table_2:
            yield _table_2(source, workload, section, pictures)
        else:
            yield PageSection(
                identifier=section.identifier,
                title=section.title,
                note=section.note,
                tables=tuple(_tables(source, workload, section)),
                pictures=pictures,
                workload=workload,
                folded=all(_is_double(source, measure) for measure in _measures(source, workload, section)),
            )


def _section_in_table_2(source: Source, workload: str) -> Section:
    """Whose rows Table 2 has for this workload: counted instructions, or CPU split by ticks."""
    system = Measure(workload=workload, metric="instructions_kernel", process=Process.TOGETHER)
    return INSTRUCTIONS if source.unit(system) else CPU


def _pictures(
    figures: Sequence[Plot], workload: str, section: Section, directory: Path
) -> tuple[Picture, ...]:
    """The figures of a workload's section."""
    return tuple(
        picture(plot, directory)
        for plot in figures
        if plot.workload == workload and METRICS[plot.metric].section == section
    )


def _measures(source: Source, workload: str, section: Section) -> list[Measure]:
    """What was measured of a section."""
    lines = (line for group in layout.lines(section) for line in group.lines)
    return [measure for measure in (measure_of(workload, line) for line in lines) if source.unit(measure)]


def _is_double(source: Source, measure: Measure) -> bool:
    """Whether a measure says what another one says, in another unit of this platform."""
    return source.stored_units.get(measure) in source.doubles


def _tables(source: Source, workload: str, section: Section) -> Iterator[Table]:
    """The table of a section, and below it, folded, that of what is there twice."""
    groups = layout.lines(section)
    if section == CLOCK:
        yield from _with_article_ratio(source, workload, groups)
        return
    double = {measure for measure in _measures(source, workload, section) if _is_double(source, measure)}
    once = of_lines(groups, lambda line: measure_of(workload, line) not in double)
    twice = of_lines(groups, lambda line: measure_of(workload, line) in double)
    first = make_table(source, workload, once, caption=_caption(source, workload))
    second = make_table(source, workload, twice, caption=f"{_caption(source, workload)}, by rdtsc")
    if first:
        yield first
    if second:
        yield (
            replace(second, fold="The same by rdtsc, which follows the same clock here") if first else second
        )


def _caption(source: Source, workload: str) -> str:
    return f"{workload}: mean and {source.confidence * 100:g} % interval"


def _with_article_ratio(source: Source, workload: str, groups: Sequence[LineGroup]) -> Iterator[Table]:
    """The calls, and below them what a call is in calls of a function, with the article's figure."""
    calls = of_lines(groups, lambda line: line.metric != RATIO.name)
    ratio = of_lines(groups, lambda line: line.metric == RATIO.name)
    first = make_table(source, workload, calls, caption=_caption(source, workload))
    second = make_table(source, workload, ratio, caption=f"{workload}: a call in calls of a function")
    if first:
        yield first
    if second:
        (group,) = second.groups
        rows = tuple(layout.beside(row, 0, layout.article_ratio()) for row in group.rows)
        yield replace(second, groups=(replace(group, rows=rows),))


def _table_2(source: Source, workload: str, section: Section, pictures: tuple[Picture, ...]) -> PageSection:
    """Table 2 of a workload: beside the main comparison the article's changes, below it its table."""
    groups = layout.table_2_lines(section)
    table = make_table(source, workload, groups, caption=_caption(source, workload))
    return PageSection(
        identifier="table-2",
        title=TABLE_2,
        note=" ".join([ARTICLE_NOTE, *_split(source, workload, section)]),
        tables=_beside_2005(source, workload, groups[0], table) if table else (),
        pictures=pictures,
        workload=workload,
    )


def _beside_2005(source: Source, workload: str, together: LineGroup, table: Table) -> tuple[Table, Table]:
    lines = [line for line in together.lines if source.unit(measure_of(workload, line))]
    first, *rest = table.groups
    if source.comparisons and not source.control:
        rows = tuple(
            layout.beside(row, len(source.cells), layout.article_change(line.metric))
            for row, line in zip(first.rows, lines, strict=True)
        )
        first = replace(first, rows=rows)
    return replace(table, groups=(first, *rest)), layout.article(lines, workload=workload)


def _split(source: Source, workload: str, section: Section) -> Iterator[str]:
    """How User and System are told apart."""
    if section == INSTRUCTIONS:
        yield COUNTED
    else:
        yield from (TICKS, *_ticks(source, workload))


def _ticks(source: Source, workload: str) -> Iterator[str]:
    """On how few ticks the split into User and System rests, where they are few."""
    cell = source.primary.control
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
