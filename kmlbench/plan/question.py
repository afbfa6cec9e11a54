# SPDX-License-Identifier: MIT
"""The main workload of a campaign."""

from __future__ import annotations

from collections.abc import Sequence

from kmlbench.model import Trial
from kmlbench.plan.comparisons import planned_workloads
from kmlbench.workloads.syscall_counts import is_counting


def main_workload(plan: Sequence[Trial]) -> str:
    """The Wisconsin benchmark, as in 2005; without it the first workload of the plan."""
    planned = planned_workloads(plan)
    workloads = [name for name in planned if not is_counting(name)] or planned
    return next((name for name in workloads if is_wisconsin(name)), workloads[0] if workloads else "nothing")


def is_wisconsin(workload: str) -> bool:
    """Whether a workload is the Wisconsin benchmark or a variation of it."""
    return workload.startswith("wisconsin")
