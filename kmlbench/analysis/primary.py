# SPDX-License-Identifier: MIT
"""The one ratio that answers a campaign's question, while it runs and in its report."""

from __future__ import annotations

from dataclasses import dataclass

from kmlbench.analysis.measurements import Source
from kmlbench.model import Measure, Process
from kmlbench.plan import stopping
from kmlbench.plan.comparisons import Comparison
from kmlbench.plan.question import main_workload
from kmlbench.stats.intervals import Estimate
from kmlbench.workloads.registry import NONE, Own, has_server, known_adapter

# The metric of the instrument, of a steady state.
COUNTED = "instructions"

KERNEL_PART = "instructions_kernel"


@dataclass(frozen=True, slots=True, kw_only=True)
class PrimaryRatio:
    """A campaign's main measure between the two cells that its question is about."""

    measure: Measure
    comparison: Comparison
    ratio: Estimate


def primary_ratio(source: Source, workload: str | None = None) -> PrimaryRatio:
    """The ratio of the trials that have ended, of the main workload if none is named."""
    measure = main_measure(source, workload or main_workload(source.plan))
    comparison = source.primary
    return PrimaryRatio(measure=measure, comparison=comparison, ratio=source.ratio(measure, comparison))


def main_measure(source: Source, workload: str) -> Measure:
    """What a workload's server and client cost, or its client where it has no server.

    The instructions of a round where they were counted, else CPU.
    """
    measures = [
        Measure(workload=workload, metric=metric, process=Process.whole(served=served))
        for metric in (COUNTED, stopping.METRIC)
        for served in (True, False)
    ]
    measured = (measure for measure in measures if source.unit(measure))
    return next(measured, planned_measure(workload, source.own))


def planned_measure(workload: str, own: Own = NONE) -> Measure:
    """The same before anything was measured; a workload that this version lacks is taken to have a server."""
    adapter = known_adapter(workload, own)
    process = Process.whole(served=adapter is None or has_server(adapter))
    return Measure(workload=workload, metric=stopping.METRIC, process=process)
