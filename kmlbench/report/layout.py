# SPDX-License-Identifier: MIT
"""What the report's tables show: metrics by section, and the figures of the 2005 article."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kmlbench.model import Process
from kmlbench.plan.comparisons import PRIMARY
from kmlbench.report.tables import Column, Group, Row, Section
from kmlbench.stats.format import Cell

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


CPU = _by_process(
    (("CPU", "cpu_total"), ("User", "cpu_user"), ("System", "cpu_system"), ("CPU per pass", "pass_cpu"))
)

COUNTERS = _by_process(
    (
        ("voluntary switches", "voluntary_switches"),
        ("involuntary switches", "involuntary_switches"),
        ("minor faults", "minor_faults"),
        ("major faults", "major_faults"),
    )
)

LATENCIES = {"latency": "from the start of the event", "intended_latency": "from its intended start"}

STATISTICS = {
    "mean": "mean",
    "p50": "median",
    "p90": "90th percentile",
    "p95": "95th percentile",
    "p99": "99th percentile",
    "p999": "99.9th percentile",
    "max": "longest",
}

THROUGHPUT = (
    Section(
        title="seen by the client",
        columns=(
            Column(heading="throughput", metric="throughput", process=Process.CLIENT),
            Column(heading="wall", metric="wall", process=Process.TOGETHER),
        ),
    ),
)

LATENCY = tuple(
    Section(
        title=title,
        columns=tuple(
            Column(heading=heading, metric=f"{name}_{statistic}", process=Process.CLIENT)
            for statistic, heading in STATISTICS.items()
        ),
    )
    for name, title in LATENCIES.items()
)

GETPID = _of_client(
    "one call",
    (
        ("SYSCALL, clock", "getpid_syscall_ns"),
        ("libc, clock", "getpid_libc_ns"),
        ("unknown call, clock", "getpid_unknown_ns"),
        ("SYSCALL, rdtsc", "getpid_syscall_cycles"),
        ("libc, rdtsc", "getpid_libc_cycles"),
        ("unknown call, rdtsc", "getpid_unknown_cycles"),
        ("SYSCALL, counted", "getpid_syscall_instructions"),
        ("libc, counted", "getpid_libc_instructions"),
        ("unknown call, counted", "getpid_unknown_instructions"),
    ),
)

_CALLS = {
    "function": "function",
    "getpid": "getpid",
    "read": "read",
    "write": "write",
    "send_recv": "send + recv",
    "poll": "poll",
    "futex_wake": "futex wake",
    "clock_vdso": "clock_gettime, vDSO",
    "clock_call": "clock_gettime, call",
    "pread": "pread, 4 KiB",
    "fsync": "fsync",
}


def _calls(unit: str, *more: tuple[str, str]) -> tuple[Section, ...]:
    columns = [(heading, f"call_{kind}_{unit}") for kind, heading in _CALLS.items()]
    return _of_client("one call", (*more, *columns))


CALLS_CLOCK = _calls("ns", ("getpid in function calls", "call_ratio"))

CALLS_CYCLES = _calls("cycles")

CALLS_COUNTED = _calls("instructions")

# Table 2 of the article; its loop count was 10,000.
_HISTORY = (
    (
        "Original Linux 2.6.11, seconds",
        "",
        {"cpu_total": "753.86", "cpu_user": "611.78", "cpu_system": "142.08", "pass_cpu": "0.07539"},
    ),
    (
        "KML 2.6.11, seconds",
        "",
        {"cpu_total": "728.61", "cpu_user": "605.95", "cpu_system": "122.66", "pass_cpu": "0.07286"},
    ),
    (
        "KML against Original",
        "4 × Opteron 850, MySQL 4.1.11, 10,000 loops",
        {"cpu_total": "−3.35 %", "cpu_user": "−0.95 %", "cpu_system": "−13.7 %", "pass_cpu": "−3.35 %"},
    ),
)


def article_ratio(metrics: Sequence[str]) -> Group:
    """The Linux Journal's figures of 2005 for a system call and a function, in columns of these metrics."""
    cells = tuple(Cell(text="about 50" if metric == "call_ratio" else "–") for metric in metrics)
    label = "SYSCALL and SYSRET against a function's call and return"
    return Group(
        title="Linux Journal, 2005", rows=(Row(label=label, kind="history", cells=cells, note="Opteron 850"),)
    )


def with_article(group: Group, metrics: Sequence[str]) -> Group:
    """A group whose main comparison shows the article's changes next to its own."""
    *_, (_, _, changes) = _HISTORY

    def cell(one: Cell, metric: str) -> Cell:
        beside = "; ".join(text for text in (one.beside, f"2005: {changes[metric]}") if text)
        return replace(one, beside=beside) if metric in changes else one

    def row(one: Row) -> Row:
        if one.label != str(PRIMARY):
            return one
        return replace(one, cells=tuple(map(cell, one.cells, metrics)))

    return replace(group, rows=tuple(map(row, group.rows)))


def article(metrics: Sequence[str]) -> Group:
    """What the Linux Journal reported in 2005, in columns of these metrics."""
    return Group(
        title="Linux Journal, 2005: server and client together, one run each, no error bars",
        rows=tuple(
            Row(
                label=label,
                kind="history",
                note=note,
                cells=tuple(Cell(text=texts.get(metric, "–")) for metric in metrics),
            )
            for label, note, texts in _HISTORY
        ),
    )
