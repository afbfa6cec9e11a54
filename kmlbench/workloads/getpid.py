# SPDX-License-Identifier: MIT
"""The microbenchmark of workloads/getpid: what one system call costs, with the empty loop subtracted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from kmlbench.model import CommandResult, Sample
from kmlbench.workloads import loops
from kmlbench.workloads.base import Marks, Metric, Section
from kmlbench.workloads.steps import Setting, Step

CALLS = 100_000

KINDS = ("syscall", "libc", "unknown")

SECTION = Section(
    identifier="getpid",
    title="getpid",
    note="SYSCALL: the instruction in the program itself; libc: the library's function; unknown call: an "
    "unassigned number, hence the cost of entry and exit alone. Clock: the guest's nanoseconds; rdtsc: the "
    "processor's counter; counted: instructions, if a counter was available.",
)

_HEADINGS = {"syscall": "SYSCALL", "libc": "libc", "unknown": "unknown call"}

_UNITS = {"ns": "clock", "cycles": "rdtsc", "instructions": "counted"}

_FIGURES = {"getpid_syscall_ns": "getpid by SYSCALL", "getpid_libc_ns": "getpid through libc"}

METRICS = tuple(
    replace(metric, figure=_FIGURES.get(metric.name, ""), compared=metric.name == "getpid_syscall_ns")
    for unit, read in _UNITS.items()
    for metric in loops.loop_metrics(
        "getpid", {kind: f"{heading}, {read}" for kind, heading in _HEADINGS.items()}, SECTION, unit
    )
)


@dataclass(frozen=True, slots=True)
class Getpid:
    """Samples getpid_{syscall,libc,unknown}_{ns,cycles,instructions} per call, medians of the repetitions.

    `unknown` is a system call number without a body: entry and exit alone. Instructions are sampled only
    where the program had a hardware counter. Under `-icount shift=0` a guest's nanosecond is one
    instruction; that is for the platform's name to say, not for a metric.
    """

    name: str = "getpid"
    driver: str = "getpid"
    needs_server: bool = False
    dataset: str | None = None
    metrics: tuple[Metric, ...] = METRICS

    def steps(self, setting: Setting) -> tuple[Step, ...]:
        return (loops.step(setting, "getpid", CALLS),)

    def samples(self, results: Sequence[CommandResult]) -> tuple[Sample, ...]:
        return loops.loop_samples("getpid", loops.call_costs(results, KINDS), self.driver)

    def marks(self, results: Sequence[CommandResult]) -> Marks:
        return loops.loop_marks(results, KINDS)
