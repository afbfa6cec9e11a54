# SPDX-License-Identifier: MIT
"""What a system call costs and saves, by kind and block, and which calls a workload makes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from kmlbench.analysis.measurements import Source
from kmlbench.model import Measure, Process, Variant
from kmlbench.plan.comparisons import Comparison
from kmlbench.stats import intervals
from kmlbench.stats.intervals import Absent, Estimate
from kmlbench.workloads.syscall_counts import COUNTING

SYSCALLS = "syscalls"

UNKNOWN = "getpid"

# The loop of workloads/syscalls that a system call is priced by.
PRICED: Mapping[str, str] = {
    **dict.fromkeys(("getpid", "gettid", "getppid"), "getpid"),
    **dict.fromkeys(("read", "readv"), "read"),
    **dict.fromkeys(("write", "writev"), "write"),
    **dict.fromkeys(("sendto", "sendmsg", "recvfrom", "recvmsg"), "send_recv"),
    **dict.fromkeys(("poll", "ppoll"), "poll"),
    **dict.fromkeys(("pread64", "preadv"), "pread"),
    **dict.fromkeys(("fsync", "fdatasync"), "fsync"),
    "futex": "futex_wake",
    "clock_gettime": "clock_call",
}

KINDS = tuple(dict.fromkeys(PRICED.values()))

# How many calls an iteration of a loop makes, where it is not one.
CALLS_OF = {"send_recv": 2}

NO_PRICES = "syscalls did not run in both cells"

ByBlock = dict[int, float]

# What a call of each kind of PRICED saves, in nanoseconds, by block.
Savings = Mapping[str, Mapping[int, float]]


def kind_of(name: str) -> str:
    """The kind that a system call of this name is priced as."""
    return PRICED.get(name, UNKNOWN)


def savings(source: Source, comparison: Comparison) -> Savings:
    """What a call of each kind saves, from this campaign's own `syscalls`."""
    return {
        kind: combine(
            lambda old, new: old - new,
            *(costs_by_block(source, kind, cell) for cell in (comparison.control, comparison.treated)),
        )
        for kind in KINDS
    }


def mix(source: Source, workload: str, cell: Variant, process: Process) -> dict[str, ByBlock]:
    """How many calls of each name a process made in the trials that counted them, by block.

    A name that a trial did not see was called no time in it.
    """
    counted = COUNTING + workload
    found = {
        measure.metric.removeprefix(COUNTING): intervals.block_means(values)
        for (measure, variant), values in source.values.items()
        if (measure.workload, measure.process, variant) == (counted, process, cell)
        and measure.metric.startswith(COUNTING)
    }
    blocks = sorted({block for counts in found.values() for block in counts})
    return {name: {block: counts.get(block, 0.0) for block in blocks} for name, counts in found.items()}


def price(mixed: Mapping[str, Mapping[int, float]], saved: Savings) -> ByBlock:
    """What a call of this mix saves in the mean, in nanoseconds, by block; without a mix, what getpid saves.

    Blocks in which a part is missing do not count.
    """
    if not mixed:
        return dict(saved.get(UNKNOWN, {}))
    kinds = {name: kind_of(name) for name in mixed}
    columns = [*mixed.values(), *(saved.get(kind, {}) for kind in kinds.values())]
    prices: ByBlock = {}
    for block in sorted(set.intersection(*map(set, columns))):
        counts = {name: by_block[block] for name, by_block in mixed.items()}
        if (total := sum(counts.values())) > 0:
            prices[block] = sum(count * saved[kinds[name]][block] for name, count in counts.items()) / total
    return prices


def combine(function: Callable[..., float], *columns: Mapping[int, float]) -> ByBlock:
    """`function` of the values of each block that all columns have."""
    blocks = set.intersection(*(set(column) for column in columns))
    return {block: function(*(column[block] for column in columns)) for block in sorted(blocks)}


def ranges(source: Source, comparison: Comparison) -> list[float]:
    """The mean saving of a call of each kind, in nanoseconds: how much it matters which kinds they were."""
    return [intervals.mean(list(saved.values())) for saved in savings(source, comparison).values() if saved]


def costs_by_block(source: Source, kind: str, cell: Variant) -> ByBlock:
    """What a call of this kind took in a cell, in nanoseconds, by block."""
    return {block: value / CALLS_OF.get(kind, 1) for block, value in loop(source, kind, cell).items()}


def loop(source: Source, kind: str, cell: Variant) -> ByBlock:
    """What an iteration of this kind's loop took in a cell, in nanoseconds, by block."""
    measure = Measure(workload=SYSCALLS, metric=f"call_{kind}_ns", process=Process.CLIENT)
    return intervals.block_means(source.of(measure, cell))


def positive(source: Source, measure: Measure, cell: Variant) -> ByBlock:
    """The means of the blocks in which a count or a time is one that can be divided by."""
    found = intervals.block_means(source.of(measure, cell))
    return {block: value for block, value in found.items() if value > 0}


def queries(workload: str) -> Measure:
    """What a workload's queries are counted by."""
    return Measure(workload=workload, metric="queries", process=Process.CLIENT)


def estimate_mean(source: Source, values: ByBlock, reason: str) -> Estimate:
    """The mean over blocks with its interval; without any block, why."""
    return intervals.mean_interval(values, confidence=source.confidence) if values else Absent(reason=reason)
