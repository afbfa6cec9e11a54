# SPDX-License-Identifier: MIT
"""What the report's tables show: the registered metrics by section, and the 2005 article beside Table 2."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kmlbench.analysis import published
from kmlbench.analysis.published import Amounts
from kmlbench.model import Process
from kmlbench.report.tables import Line, LineGroup, Table, TableGroup, TableRow
from kmlbench.stats import format
from kmlbench.stats.format import Cell
from kmlbench.workloads.base import Metric, Section
from kmlbench.workloads.registry import METRICS

PROCESS_TITLES = {
    Process.TOGETHER: "server and client together",
    Process.SERVER: "server",
    Process.CLIENT: "client",
}

# Rounds of the Wisconsin benchmark have the article's names.
_HEADINGS = {"instructions_kernel": "System"}


def section_metrics(section: Section) -> tuple[Metric, ...]:
    """The metrics that a section of the report shows."""
    return tuple(metric for metric in METRICS.values() if metric.section == section)


def lines(section: Section) -> tuple[LineGroup, ...]:
    """The lines of a section's tables, by the title above them."""
    titled: dict[str, list[Line]] = {}
    for metric in section_metrics(section):
        for process in metric.processes:
            line = Line(heading=metric.heading, metric=metric.name, process=process)
            titled.setdefault(metric.rows or PROCESS_TITLES[process], []).append(line)
    return tuple(LineGroup(title=title, lines=tuple(some)) for title, some in titled.items())


def table_2_lines(section: Section) -> tuple[LineGroup, ...]:
    """Those of a section, headed as in the article."""
    return tuple(
        replace(
            group,
            lines=tuple(
                replace(line, heading=_HEADINGS.get(line.metric, line.heading)) for line in group.lines
            ),
        )
        for group in lines(section)
    )


# Table 2 of the article.
_KERNELS = ("Original Linux 2.6.11, seconds", "KML 2.6.11, seconds", "KML against Original")

# Rows of counted instructions stand beside those of CPU.
_AS_CPU = {
    "instructions": "cpu_total",
    "instructions_user": "cpu_user",
    "instructions_kernel": "cpu_system",
}


def article_change(metric: str) -> str:
    """The article's change of a metric; empty where it has none."""
    seconds = _article_seconds(metric)
    return f"2005: {format.short_percent(seconds.percent)} %" if seconds else ""


def _article_seconds(metric: str) -> Amounts | None:
    return published.beside(_AS_CPU.get(metric, metric))


def article_ratio() -> str:
    """What the article said of a system call in calls of a function."""
    return "2005: about 50"


def beside(row: TableRow, column: int, text: str) -> TableRow:
    """A row with one more text beside the number in a column."""
    cells = list(row.cells)
    own = cells[column]
    cells[column] = replace(own, beside="; ".join(filter(None, [own.beside, text])))
    return replace(row, cells=tuple(cells))


def article(lines: Sequence[Line], *, workload: str) -> Table:
    """What the Linux Journal reported in 2005 of these metrics."""
    found = ((line.heading, _article_seconds(line.metric)) for line in lines)
    rows = tuple(_article_row(heading, seconds) for heading, seconds in found if seconds)
    title = (
        "server and client together, one run each, no error bars; 4 × Opteron 850, MySQL 4.1.11, 10,000 loops"
    )
    return Table(
        caption=f"{workload}: Linux Journal, 2005",
        columns=_KERNELS,
        groups=(TableGroup(title=title, rows=rows),),
    )


def _article_row(heading: str, seconds: Amounts) -> TableRow:
    amounts = (f"{round(amount, 5):g}" for amount in (seconds.control, seconds.treated))
    texts = (*amounts, f"{format.short_percent(seconds.percent)} %")
    return TableRow(label=heading, kind="history", cells=tuple(Cell(text=text) for text in texts))
