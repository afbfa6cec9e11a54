# SPDX-License-Identifier: MIT
"""How long a large campaign takes to load and to report: a million samples over 1,000 trials.

    .venv/bin/python benchmarks/records.py [--samples N] [--trials N]

The campaign is synthetic: blocks of four cells and four workloads, each trial with the metrics of a real one
over and over. Each step runs in a process of its own, so that its memory is its own; its time is that of the
processor, for the machine may be shared.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random

from kmlbench import process as commands
from kmlbench.analysis import frames
from kmlbench.model import Completed, Kernel, PlannedCampaign, Process, Proof, Sample, Trial
from kmlbench.plan import schedule
from kmlbench.plan.comparisons import CELLS
from kmlbench.report import write
from kmlbench.results import writer

MEMORY_GOAL_MIB = 1024
WORKLOADS = {"getpid": False, "oltp_point_select": True, "oltp_read_write": True, "wisconsin": True}
# Functions that do not call one another.
PARTS = {
    "reading": ("results/reader", ("read",)),
    "values by cell": ("analysis/measurements", ("source",)),
    "samples.parquet": ("analysis/frames", ("samples", "write_parquet")),
    "statistics": ("stats/intervals", ("mean_interval", "ratio_interval", "verdict")),
    "drawing": ("report/plots", ("draw", "svg")),
    "data of figures": ("report/plots", ("table",)),
    "whole report": ("report/write", ("write",)),
}
METRICS = (
    ("cpu_total", "s", Process.SERVER, 0.9),
    ("cpu_total", "s", Process.CLIENT, 0.4),
    ("cpu_total", "s", Process.TOGETHER, 1.3),
    ("cpu_user", "s", Process.TOGETHER, 0.9),
    ("cpu_system", "s", Process.TOGETHER, 0.4),
    ("throughput", "1/s", Process.CLIENT, 14523.0),
    ("latency_mean", "ms", Process.CLIENT, 0.0687),
    ("latency_p95", "ms", Process.CLIENT, 0.0712),
    ("voluntary_switches", "1", Process.SERVER, 4002.0),
    ("wall", "s", Process.TOGETHER, 1.9),
)


def main() -> None:
    parser = argparse.ArgumentParser(description="how long a large campaign takes to load and to report")
    parser.add_argument("--samples", type=int, default=1_000_000)
    parser.add_argument("--trials", type=int, default=1_000)
    parser.add_argument("--step", choices=["load", "report", "profile"], help="for the inner processes")
    parser.add_argument("--directory", type=Path, help="for the inner processes")
    arguments = parser.parse_args()
    if arguments.step:
        print(step(arguments.step, arguments.directory))
        return
    with tempfile.TemporaryDirectory() as root:
        directory = build(Path(root), samples=arguments.samples, trials=arguments.trials)
        size = (directory / "outcomes.jsonl").stat().st_size / 1e6
        print(f"{arguments.samples} samples of {arguments.trials} trials, outcomes.jsonl {size:.0f} MB")
        for name in ("load", "report", "profile"):
            inner = (sys.executable, __file__, "--step", name, "--directory", str(directory))
            print(commands.check(inner, timeout_s=3600.0).stdout, end="")


def step(name: str, directory: Path) -> str:
    match name:
        case "load":
            return measured(name, 2.0, lambda: frames.load(directory))
        case "report":
            told = measured(name, 10.0, lambda: write.write_report(directory))
            return (
                f"{told}\nreport.html: {(directory / 'report.html').stat().st_size / 1e6:.2f} MB (goal 5 MB)"
            )
        case _:
            return shares(directory)


def measured(name: str, goal_s: float, act: Callable[[], object]) -> str:
    started = time.process_time()
    act()
    seconds = time.process_time() - started
    mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return (
        f"{name}: {seconds:.2f} s of CPU time (goal {goal_s:.0f} s), {mib:.0f} MiB at most "
        f"(goal {MEMORY_GOAL_MIB} MiB)"
    )


def shares(directory: Path) -> str:
    """The time of a report by part, under the profiler, which makes many small calls look dearer."""
    profile = cProfile.Profile()
    profile.runcall(write.write_report, directory)
    spent = dict.fromkeys(PARTS, 0.0)
    for (file, _, function), row in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        for part, (module, functions) in PARTS.items():
            if file.endswith(f"kmlbench/{module}.py") and function in functions:
                spent[part] += row[3]
    return "under the profiler: " + ", ".join(f"{part} {seconds:.1f} s" for part, seconds in spent.items())


def build(root: Path, *, samples: int, trials: int) -> Path:
    """Store the synthetic campaign; its directory."""
    blocks = -(-trials // (len(CELLS) * len(WORKLOADS)))
    planned = schedule.make_schedule(CELLS, WORKLOADS, blocks=blocks, seed=1)[:trials]
    record = PlannedCampaign(
        id="large",
        started_utc="2026-11-24T00:00:00Z",
        title="a large one",
        platform="QEMU TCG, instruction clock",
        control=False,
        seed=1,
        options={},
        plan=planned,
        git_commit="unknown",
        tools={},
    )
    rng = Random(1)
    with writer.create(root, record) as directory:
        for trial in planned:
            directory.append(outcome(trial, samples // trials, rng))
    return directory.path


def outcome(trial: Trial, count: int, rng: Random) -> Completed:
    mode = trial.variant.kernel_mode
    release = {Kernel.STOCK: "6.12.117-stock", Kernel.KML: "6.12.117-kml"}[trial.variant.kernel]
    return Completed(
        trial=trial,
        proof=Proof(kernel_release=release, cpl=0 if mode else 3, client_kernel_mode=mode),
        samples=tuple(values(count, 0.97 if mode else 1.0, rng)),
        started_utc="2026-11-24T00:00:00Z",
        elapsed_s=10.0,
    )


def values(count: int, factor: float, rng: Random) -> Iterator[Sample]:
    for index in range(count):
        metric, unit, process, typical = METRICS[index % len(METRICS)]
        value = typical * factor * rng.lognormvariate(0, 0.02)
        yield Sample(metric=metric, unit=unit, value=value, process=process, driver="sysbench")


if __name__ == "__main__":
    main()
