# SPDX-License-Identifier: MIT
"""The microbenchmark of workloads/getpid: what one system call costs, with the empty loop subtracted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kmlbench.model import CommandResult, Process, Sample, Setting, Step
from kmlbench.workloads import loops

CALLS = 100_000

KINDS = ("syscall", "libc", "unknown")


@dataclass(frozen=True, slots=True)
class Getpid:
    """Samples getpid_{syscall,libc,unknown}_{ns,cycles,instructions} per call, medians of the repetitions.

    `unknown` is a system call number without a body: entry and exit alone. Instructions are there only
    where the program had a hardware counter. Under `-icount shift=0` a guest's nanosecond is one
    instruction; that is for the platform's name to say, not for a metric.
    """

    name: str = "getpid"
    driver: str = "getpid"
    needs_server: bool = False
    dataset: str | None = None

    def steps(self, setting: Setting) -> tuple[Step, ...]:
        return (loops.step(setting, "getpid", CALLS),)

    def samples(self, results: Sequence[CommandResult]) -> tuple[Sample, ...]:
        return tuple(
            Sample(
                metric=f"getpid_{kind}_{unit}",
                unit=unit,
                value=value,
                process=Process.CLIENT,
                driver=self.driver,
            )
            for kind, cost in loops.costs(results, KINDS).items()
            for unit, value in cost.items()
        )
