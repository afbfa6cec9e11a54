# SPDX-License-Identifier: MIT
"""The microbenchmarks of workloads/syscalls: what the system calls of a MySQL server cost, and a function."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kmlbench.errors import TrialError
from kmlbench.model import CommandResult, Process, Sample, Setting, Step
from kmlbench.workloads import loops

CALLS = 10_000

FUNCTION = "function"

GETPID = "getpid"

SYSTEM_CALLS = (
    *(GETPID, "read", "write", "send_recv", "poll"),
    *("futex_wake", "clock_vdso", "clock_call", "pread", "fsync"),
)

KINDS = (FUNCTION, *SYSTEM_CALLS)

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

    def steps(self, setting: Setting) -> tuple[Step, ...]:
        return (loops.step(setting, "syscalls", CALLS, DIRECTORY),)

    def samples(self, results: Sequence[CommandResult]) -> tuple[Sample, ...]:
        costs = loops.costs(results, KINDS)
        each = (
            self._sample(f"call_{kind}_{unit}", unit, value)
            for kind, cost in costs.items()
            for unit, value in cost.items()
        )
        return (*each, self._sample("call_ratio", "1", _ratio(costs)))

    def _sample(self, metric: str, unit: str, value: float) -> Sample:
        return Sample(metric=metric, unit=unit, value=value, process=Process.CLIENT, driver=self.driver)


def _ratio(costs: Mapping[str, Mapping[str, float]]) -> float:
    function = costs[FUNCTION]["ns"]
    if function <= 0:
        raise TrialError(
            f"calling a function took {function} ns more than calling none: the loops were too short",
            stage="parse",
            remedy="run with a larger --scale",
        )
    return costs[GETPID]["ns"] / function
