# SPDX-License-Identifier: MIT
"""Which part of a program's system calls were direct calls in kernel mode, and why the others were not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kmlbench.model import Process
from kmlbench.plan.comparisons import KML_TRUSTED
from kmlbench.results.raw import read_text
from kmlbench.results.reader import MEASURED, StoredCampaign, raw_path
from kmlbench.workloads.measure import Usage, parse_report

DIRECT = "KernelModeCallsDirect"

FIRST = "KernelModeTrapFirst"

# Why a call came by SYSCALL, by its line of /proc/<pid>/status (kernel-mode-linux.rst).
REASONS: Mapping[str, str] = {
    FIRST: "the first at their place in the program, which makes the next ones direct",
    "KernelModeTrapPatched": "restarted, or reached by a jump to the SYSCALL itself",
    "KernelModeTrapForm": "behind an instruction that cannot be moved",
    "KernelModeTrapPage": "across the end of a page",
    "KernelModeTrapMemory": "in memory that is shared, huge or may be written",
    "KernelModeTrapRoom": "without room for a stub within reach",
    "KernelModeTrapSigreturn": "returns from signal handlers",
    "KernelModeTrapOff": "while direct calls were off",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectCalls:
    """The system calls of a process from kml:/trusted, of all measured runs; `others` by REASONS."""

    process: Process
    direct: int
    others: Mapping[str, int]

    @property
    def calls(self) -> int:
        return self.direct + sum(self.others.values())

    @property
    def share(self) -> float:
        """Of calls, those that were direct."""
        return self.direct / self.calls


def direct_calls(stored: StoredCampaign, workload: str) -> tuple[DirectCalls, ...]:
    """Of the client and the server, where the kernel counted any.

    Raises InputError or TrialError where the record is damaged.
    """
    own = [
        outcome
        for outcome in stored.completed
        if (outcome.trial.workload, outcome.trial.variant) == (workload, KML_TRUSTED)
    ]
    reports = [parse_report(read_text(raw_path(stored.directory, each.trial) / MEASURED)) for each in own]
    servers = [report.server for report in reports if report.server is not None]
    sums = (
        _sum(Process.CLIENT, [report.client for report in reports]),
        _sum(Process.SERVER, servers),
    )
    return tuple(each for each in sums if each.calls)


def _sum(process: Process, usages: Iterable[Usage]) -> DirectCalls:
    counts: Counter[str] = Counter()
    for usage in usages:
        for name in (DIRECT, *REASONS):
            if name in usage.counters:
                counts[name] += usage.counted(name)
    return DirectCalls(
        process=process,
        direct=counts[DIRECT],
        others={name: counts[name] for name in REASONS if counts[name]},
    )
