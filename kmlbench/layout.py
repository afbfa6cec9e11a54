# SPDX-License-Identifier: MIT
"""What the report's tables show: metrics by section, and the figures of the 2005 article."""

from __future__ import annotations

from collections.abc import Sequence

from kmlbench.model import Process
from kmlbench.numerals import Cell
from kmlbench.tables import Column, Group, Row, Section

PROCESS_TITLES = (
    (Process.TOGETHER, "server and client together"),
    (Process.SERVER, "server"),
    (Process.CLIENT, "client"),
)


def _by_process(columns: Sequence[tuple[str, str]]) -> tuple[Section, ...]:
    return tuple(
        Section(
            title=title,
            columns=tuple(
                Column(heading=heading, metric=metric, process=process) for heading, metric in columns
            ),
        )
        for process, title in PROCESS_TITLES
    )


def _of_client(title: str, columns: Sequence[tuple[str, str]]) -> tuple[Section, ...]:
    client = tuple(
        Column(heading=heading, metric=metric, process=Process.CLIENT) for heading, metric in columns
    )
    return (Section(title=title, columns=client),)


CPU = _by_process((("CPU", "cpu_total"), ("User", "cpu_user"), ("System", "cpu_system")))

COUNTERS = _by_process(
    (
        ("voluntary switches", "voluntary_switches"),
        ("involuntary switches", "involuntary_switches"),
        ("minor faults", "minor_faults"),
        ("major faults", "major_faults"),
    )
)

PERFORMANCE = (
    Section(
        title="seen by the client",
        columns=(
            Column(heading="throughput", metric="throughput", process=Process.CLIENT),
            Column(heading="mean latency", metric="latency_mean", process=Process.CLIENT),
            Column(heading="95th percentile of latency", metric="latency_p95", process=Process.CLIENT),
            Column(heading="wall", metric="wall", process=Process.TOGETHER),
        ),
    ),
)

GETPID = _of_client(
    "one call",
    (
        ("SYSCALL, clock", "getpid_syscall_ns"),
        ("libc, clock", "getpid_libc_ns"),
        ("SYSCALL, rdtsc", "getpid_syscall_cycles"),
        ("libc, rdtsc", "getpid_libc_cycles"),
        ("SYSCALL, counted", "getpid_syscall_instructions"),
        ("libc, counted", "getpid_libc_instructions"),
    ),
)

ARTICLE = Group(
    title="Linux Journal, 2005: server and client together, one run each, no error bars",
    rows=(
        Row(
            label="Original Linux 2.6.11, seconds",
            kind="history",
            cells=(Cell(text="753.86"), Cell(text="611.78"), Cell(text="142.08")),
        ),
        Row(
            label="KML 2.6.11, seconds",
            kind="history",
            cells=(Cell(text="728.61"), Cell(text="605.95"), Cell(text="122.66")),
        ),
        Row(
            label="KML against Original",
            kind="history",
            cells=(Cell(text="−3.35 %"), Cell(text="−0.95 %"), Cell(text="−13.7 %")),
            note="4 × Opteron 850, MySQL 4.1.11, 10,000 loops",
        ),
    ),
)
