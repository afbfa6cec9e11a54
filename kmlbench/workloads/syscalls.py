# SPDX-License-Identifier: MIT
"""The microbenchmarks of workloads/syscalls: what the system calls of a MySQL server cost, and a function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kmlbench.errors import TrialError
from kmlbench.model import CommandResult, Process, Sample
from kmlbench.workloads import loops
from kmlbench.workloads.base import Marks, Metric, Section
from kmlbench.workloads.steps import Setting, Step

CALLS = 10_000

FUNCTION = "function"

GETPID = "getpid"

SYSTEM_CALLS = (
    *(GETPID, "read", "write", "send_recv", "poll"),
    *("futex_wake", "clock_vdso", "clock_call", "pread", "fsync"),
)

KINDS = (FUNCTION, *SYSTEM_CALLS)

CLOCK = Section(
    identifier="calls",
    title="System calls, by the clock",
    note="What the system calls that MySQL makes cost, through libc, without the loop around them: one byte "
    "from /dev/zero and to /dev/null, one byte through a pair of Unix sockets (two calls), poll of a "
    "readable socket, a futex without waiters, a page from the page cache, a file in memory with nothing to "
    "sync. A function is a call and its return.",
)

_SECTIONS = {
    "ns": CLOCK,
    "cycles": Section(identifier="calls-rdtsc", title="System calls, by rdtsc"),
    "instructions": Section(identifier="calls-counted", title="System calls, counted instructions"),
}

_HEADINGS = {
    **{kind: kind for kind in KINDS},
    "send_recv": "send + recv",
    "futex_wake": "futex wake",
    "clock_vdso": "clock_gettime, vDSO",
    "clock_call": "clock_gettime, call",
    "pread": "pread, 4 KiB",
}

RATIO = Metric(
    name="call_ratio", unit="1", section=CLOCK, heading="getpid in function calls", rows="one call"
)

METRICS = (
    RATIO,
    *(
        metric
        for unit, section in _SECTIONS.items()
        for metric in loops.loop_metrics("call", _HEADINGS, section, unit)
    ),
)

# In memory on every host, so that fsync is the call and no disk.
DIRECTORY = "/run"


@dataclass(frozen=True, slots=True)
class Syscalls:
    """Samples call_{KIND}_{ns,cycles,instructions}, medians of the repetitions, and call_ratio.

    The kinds are those of workloads/syscalls/syscalls.c; send_recv is two calls, function none, and
    clock_vdso none where the vDSO answers. call_ratio is getpid's nanoseconds in those of a function's call
    and return, which the Linux Journal gave as about 50 in 2005 (article 8023).
    """

    name: str = "syscalls"
    driver: str = "syscalls"
    needs_server: bool = False
    dataset: str | None = None
    metrics: tuple[Metric, ...] = METRICS

    def steps(self, setting: Setting) -> tuple[Step, ...]:
        return (loops.step(setting, "syscalls", CALLS, DIRECTORY),)

    def samples(self, results: Sequence[CommandResult]) -> tuple[Sample, ...]:
        costs = loops.call_costs(results, KINDS)
        ratio = Sample(
            metric=RATIO.name,
            unit=RATIO.unit,
            value=_ratio(costs),
            process=Process.CLIENT,
            driver=self.driver,
        )
        return (*loops.loop_samples("call", costs, self.driver), ratio)

    def marks(self, results: Sequence[CommandResult]) -> Marks:
        return loops.loop_marks(results, KINDS)


def _ratio(costs: Mapping[str, Mapping[str, float]]) -> float:
    function = costs[FUNCTION]["ns"]
    if function <= 0:
        raise TrialError(
            f"calling a function took {function} ns more than calling none: the loops were too short",
            stage="parse",
            remedy="run with a larger --scale",
        )
    return costs[GETPID]["ns"] / function
