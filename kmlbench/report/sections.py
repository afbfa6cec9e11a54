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
from kmlbench.report.tables import Section as Columns
from kmlbench.report.tables import Table, table
from kmlbench.stats.intervals import Interval
from kmlbench.workloads.syscall_counts import is_counting

TICKS = (
    "CPU is the exact run time kept by the scheduler. User and System are split by timer ticks "
    "(CONFIG_VIRT_CPU_ACCOUNTING_GEN without nohz_full): an estimate, coarse for short runs, and "
    "missing if there was no tick."
)

TICKS_PER_S = 250  # CONFIG_HZ of Debian and of the project's kernels; the facts of a host do not include it

TABLE_2 = "Table 2: CPU of the Wisconsin benchmark"

ARTICLE_NOTE = (
    "Below the cells of this campaign is Table 2 of “Kernel Mode Linux for AMD64” (Linux Journal, 2005). "
    "Only its percentages are comparable: machine, kernel, server, amount of work and unit differ."
)

GETPID_NOTE = (
    "SYSCALL: the instruction in the program itself; libc: the library's function; unknown call: an "
    "unassigned number, hence the cost of entry and exit alone. Clock: the guest's nanoseconds; rdtsc: the "
    "processor's counter; counted: instructions, if a counter was available."
)

CALLS_NOTE = (
    "What the system calls that MySQL makes cost, through libc, without the loop around them: one byte from "
    "/dev/zero and to /dev/null, one byte through a pair of Unix sockets (two calls), poll of a readable "
    "socket, a futex without waiters, a page from the page cache, a file in memory with nothing to "
    "sync. A function is a call and its return."
)

WALL_NOTE = "These figures include waiting; the kernels themselves can only change CPU."

LATENCY_NOTE = (
    "From the start of an event to its end, as seen by the client; from the intended start if the "
    "events had a fixed rate. A percentile is that of one run; its mean and interval are over the runs."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PageSection:
    """A part of the report. `identifier` is its anchor."""

    identifier: str
    title: str
    note: str
    tables: tuple[Table, ...]
    pictures: tuple[Picture, ...]


def sections(source: Source, figures: Sequence[Plot], directory: Path) -> tuple[PageSection, ...]:
    """The sections with numbers, and their figures, stored in `directory` with their data."""
    workloads = [name for name in planned_workloads(source.plan) if not is_counting(name)]
    wisconsin = [name for name in workloads if is_wisconsin(name)]
    others = [name for name in workloads if not is_wisconsin(name)]
    parts = (
        ("table-2", TABLE_2, " ".join([ARTICLE_NOTE, TICKS, *_ticks(source, wisconsin)]), wisconsin, "cpu"),
        ("getpid", "getpid", GETPID_NOTE, workloads, "getpid"),
        ("calls", "System calls, by the clock", CALLS_NOTE, workloads, "calls"),
        ("calls-rdtsc", "System calls, by rdtsc", "", workloads, "calls-rdtsc"),
        ("calls-counted", "System calls, counted instructions", "", workloads, "calls-counted"),
        ("throughput", "Throughput", WALL_NOTE, workloads, "throughput"),
        ("latency", "Latency distributions", LATENCY_NOTE, workloads, "latency"),
        ("cpu", "CPU by kind: user and system", TICKS, others, "cpu"),
        ("counters", "Context switches and page faults", "", workloads, "counters"),
    )
    return tuple(
        PageSection(
            identifier=identifier,
            title=title,
            note=note,
            tables=_tables(source, names, kind),
            pictures=tuple(
                picture(plot, directory)
                for plot in figures
                if plot.workload in names and plot.metric in METRICS[kind]
            ),
        )
        for identifier, title, note, names, kind in parts
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


COLUMNS: dict[str, tuple[Columns, ...]] = {
    "cpu": layout.CPU,
    "getpid": layout.GETPID,
    "calls": layout.CALLS_CLOCK,
    "calls-rdtsc": layout.CALLS_CYCLES,
    "calls-counted": layout.CALLS_COUNTED,
    "throughput": layout.THROUGHPUT,
    "latency": layout.LATENCY,
    "counters": layout.COUNTERS,
}

METRICS = {
    kind: {column.metric for section in columns for column in section.columns}
    for kind, columns in COLUMNS.items()
}


def _tables(source: Source, workloads: Sequence[str], kind: str) -> tuple[Table, ...]:
    made = (
        (
            name,
            table(
                source,
                name,
                COLUMNS[kind],
                caption=f"{name}: mean and {source.confidence * 100:g} % interval",
            ),
        )
        for name in workloads
    )
    return tuple(_with_history(name, kind, found) for name, found in made if found)


def _with_history(workload: str, kind: str, found: Table) -> Table:
    """The articles' figures, below the first group."""
    first, *rest = found.groups
    if kind == "cpu" and is_wisconsin(workload):
        first = layout.with_article(first, found.metrics)
        return replace(found, groups=(first, layout.article(found.metrics), *rest))
    if kind == "calls":
        return replace(found, groups=(first, layout.article_ratio(found.metrics), *rest))
    return found
