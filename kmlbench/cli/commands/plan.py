# SPDX-License-Identifier: MIT
"""`kmlbench plan`: how many blocks a half-width needs, and how long they take, from a pilot campaign."""

from __future__ import annotations

import argparse
import math
from dataclasses import replace
from pathlib import Path

from kmlbench.analysis import measurements, pilot
from kmlbench.analysis.measurements import Source
from kmlbench.analysis.primary import main_measure
from kmlbench.cli.parser import parse_share, printable
from kmlbench.config.yamlfile import suggestion
from kmlbench.errors import InputError
from kmlbench.model import Process
from kmlbench.plan import stopping
from kmlbench.plan.comparisons import planned_workloads
from kmlbench.progress import Progress
from kmlbench.results import reader
from kmlbench.stats import format
from kmlbench.stats.intervals import Absent, Estimate, Interval
from kmlbench.workloads.syscall_counts import is_counting


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("directory", type=Path, metavar="DIR", help="the pilot, such as results/latest")
    parser.add_argument("--half-width", required=True, metavar="P%", help="the width to reach, such as 0.5%%")
    parser.add_argument("--metric", default=stopping.METRIC, metavar="NAME", help="the metric (cpu_total)")
    parser.add_argument(
        "--process",
        choices=[str(process) for process in Process],
        help="of which process; if not given, server and client together, or the client alone",
    )
    parser.epilog = "example: kmlbench plan results/latest --half-width 0.5%%"
    parser.set_defaults(run=_plan)


def _plan(arguments: argparse.Namespace, progress: Progress) -> int:
    wanted = parse_share("--half-width", arguments.half_width)
    progress.stage(f"plan from {arguments.directory}")
    stored = reader.read_campaign(arguments.directory)
    source, block_s = measurements.source(stored), pilot.block_s(stored)
    _require_measured(arguments.metric, source)
    duration = "time unknown" if block_s is None else f"{_minutes(block_s)} a block"
    print(printable(f"pilot: {stored.name}, {stored.campaign.platform}, {duration}"))
    print(printable(f"{source.primary}, {arguments.metric}, for {format.half_width_text(wanted)}:"))
    for workload in planned_workloads(source.plan):
        if is_counting(workload):
            continue
        measure = main_measure(source, workload)
        process = measure.process if arguments.process is None else Process(arguments.process)
        measure = replace(measure, metric=arguments.metric, process=process)
        described = _describe(source.ratio(measure, source.primary), wanted, block_s)
        print(printable(f"  {workload} ({measure.process}): {described}"))
    return 0


def _require_measured(metric: str, source: Source) -> None:
    known = {measure.metric for measure in source.stored_units}
    if metric != stopping.METRIC and metric not in known:
        raise InputError(f"--metric: no workload of this campaign has {metric!r}{suggestion(metric, known)}")


def _describe(ratio: Estimate, wanted: float, block_s: float | None) -> str:
    if isinstance(ratio, Interval) and ratio.exact:
        return f"exact: {ratio.unbounded}; more blocks would show whether there is some"
    estimate = pilot.plan(ratio, half_width=wanted)
    if isinstance(estimate, Absent):
        return f"undecided: {estimate.reason}"
    now = f"now {format.half_width_text(estimate.now)} with {estimate.pilot_blocks} blocks"
    assured = f"{_blocks(estimate.assured, block_s)} to reach it with 80 % probability"
    return f"{_blocks(estimate.likely, block_s)}; {assured}; {now}"


def _blocks(blocks: int | None, block_s: float | None) -> str:
    time = "" if blocks is None or block_s is None else f", {_minutes(blocks * block_s)}"
    return f"{pilot.blocks_text(blocks)} blocks{time}"


def _minutes(seconds: float) -> str:
    if seconds < 120:
        return f"{math.ceil(seconds)} s"
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.1f} hours"
