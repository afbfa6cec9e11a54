# SPDX-License-Identifier: MIT
"""What the report's tables show: the registered metrics by section, and the figures of the 2005 article."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kmlbench.model import Process
from kmlbench.plan.comparisons import PRIMARY
from kmlbench.report.tables import Column, TableGroup, TableRow
from kmlbench.report.tables import TableSection as Columns
from kmlbench.stats.format import Cell
from kmlbench.workloads.base import Metric, Section
from kmlbench.workloads.registry import METRICS
from kmlbench.workloads.syscalls import RATIO

PROCESS_TITLES = {
    Process.TOGETHER: "server and client together",
    Process.SERVER: "server",
    Process.CLIENT: "client",
}


def section_metrics(section: Section) -> tuple[Metric, ...]:
    """The metrics that a section of the report shows."""
    return tuple(metric for metric in METRICS.values() if metric.section == section)


def columns(section: Section) -> tuple[Columns, ...]:
    """The columns of a section's tables, by the title above their rows; a title may lack one of them."""
    titled: dict[str, dict[str, Column]] = {}
    for metric in section_metrics(section):
        for process in metric.processes:
            title = metric.rows or PROCESS_TITLES[process]
            column = Column(heading=metric.heading, metric=metric.name, process=process)
            titled.setdefault(title, {})[metric.heading] = column
    headings = dict.fromkeys(heading for some in titled.values() for heading in some)
    return tuple(
        Columns(title=title, columns=tuple(some.get(heading) or _no_column(heading) for heading in headings))
        for title, some in titled.items()
    )


def table_2_columns(section: Section) -> tuple[Columns, ...]:
    """Those of a section, headed as in the article."""
    return tuple(
        replace(
            rows,
            columns=tuple(
                replace(column, heading=_HEADINGS.get(column.metric, column.heading))
                for column in rows.columns
            ),
        )
        for rows in columns(section)
    )


_HEADINGS = {"instructions_kernel": "System"}


def _no_column(heading: str) -> Column:
    return Column(heading=heading, metric="", process=Process.CLIENT)


# Table 2 of the article; its loop count was 10,000.
_HISTORY = (
    (
        "Original Linux 2.6.11, seconds",
        "",
        {
            **{"cpu_total": "753.86", "cpu_user": "611.78", "cpu_system": "142.08", "pass_cpu": "0.07539"},
            **{"instructions": "753.86", "instructions_user": "611.78", "instructions_kernel": "142.08"},
        },
    ),
    (
        "KML 2.6.11, seconds",
        "",
        {
            **{"cpu_total": "728.61", "cpu_user": "605.95", "cpu_system": "122.66", "pass_cpu": "0.07286"},
            **{"instructions": "728.61", "instructions_user": "605.95", "instructions_kernel": "122.66"},
        },
    ),
    (
        "KML against Original",
        "4 × Opteron 850, MySQL 4.1.11, 10,000 loops",
        {
            **{"cpu_total": "−3.35 %", "cpu_user": "−0.95 %", "cpu_system": "−13.7 %", "pass_cpu": "−3.35 %"},
            **{"instructions": "−3.35 %", "instructions_user": "−0.95 %", "instructions_kernel": "−13.7 %"},
        },
    ),
)


def article_ratio(metrics: Sequence[str]) -> TableGroup:
    """The Linux Journal's figures of 2005 for a system call and a function, in columns of these metrics."""
    cells = tuple(Cell(text="about 50" if metric == RATIO.name else "–") for metric in metrics)
    label = "SYSCALL and SYSRET against a function's call and return"
    return TableGroup(
        title="Linux Journal, 2005",
        rows=(TableRow(label=label, kind="history", cells=cells, note="Opteron 850"),),
    )


def with_article(group: TableGroup, metrics: Sequence[str]) -> TableGroup:
    """A group whose main comparison shows the article's changes next to its own."""
    *_, (_, _, changes) = _HISTORY

    def cell(own: Cell, metric: str) -> Cell:
        beside = "; ".join(text for text in (own.beside, f"2005: {changes[metric]}") if text)
        return replace(own, beside=beside) if metric in changes else own

    def row(own: TableRow) -> TableRow:
        if own.comparison != PRIMARY:
            return own
        return replace(own, cells=tuple(map(cell, own.cells, metrics)))

    return replace(group, rows=tuple(map(row, group.rows)))


def article(metrics: Sequence[str]) -> TableGroup:
    """What the Linux Journal reported in 2005, in columns of these metrics."""
    return TableGroup(
        title="Linux Journal, 2005: server and client together, one run each, no error bars",
        rows=tuple(
            TableRow(
                label=label,
                kind="history",
                note=note,
                cells=tuple(Cell(text=texts.get(metric, "–")) for metric in metrics),
            )
            for label, note, texts in _HISTORY
        ),
    )
