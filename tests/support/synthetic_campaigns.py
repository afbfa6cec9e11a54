# SPDX-License-Identifier: MIT
"""Synthetic stored campaigns for tests: blocks with noise, failures, holes and hostile text."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from support.paths import DATA

from kmlbench import model
from kmlbench.model import (
    Completed,
    Failed,
    Kernel,
    Outcome,
    Process,
    Proof,
    Sample,
    Stopping,
    Trial,
    Variant,
)
from kmlbench.plan.comparisons import CELLS
from kmlbench.plan.schedule import make_control
from kmlbench.results import writer
from kmlbench.results.recording import unit

REAL = DATA / "campaign"
WORKLOADS = ("getpid", "oltp_point_select", "oltp_read_write", "wisconsin")
UNSERVED = ("getpid", "syscalls")
HOSTILE = (
    '<script>alert("cause")</script><img src=x onerror=alert(1)> & \udcff\n'
    + "no space to break " * 3
    + "x" * 300
)
RELEASE: Mapping[Kernel, str] = {Kernel.STOCK: "6.12.117-stock", Kernel.KML: "6.12.117-kml"}
FACTS = {
    "cpu_model": "QEMU TCG CPU version 2.5+",
    "cpus": "1",
    "memory_kib": "2036364",
    "command_line": "console=ttyS0 root=/dev/vda ro quiet " + "mitigations=auto " * 6,
    "server_sha256": "ab" * 32,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A synthetic campaign. `failing` and `missing` are positions of trials; `effect` multiplies CPU.

    A control boots its first cell twice in each block. In kernel mode every system call costs `saved_ns`
    less; `direct` are the direct calls of server and client, `kinds` what workloads `calls_…` count of each.
    `counted` are metrics of the instrument in a round, of server and of client each: in user and kernel mode.
    """

    id: str = "5e7"
    blocks: int = 4
    workloads: tuple[str, ...] = WORKLOADS
    platform: str = "QEMU TCG, instruction clock"
    title: str = "the default campaign"
    control: bool = False
    effect: float = 0.967
    noise: float = 0.004
    failing: Collection[int] = ()
    missing: Collection[int] = ()
    cells: tuple[Variant, ...] = CELLS
    options: Mapping[str, str] = field(default_factory=lambda: {"blocks": "4", "seed": "7"})
    stopping: Stopping | None = None
    seed: int = 7
    started_utc: str = "2025-11-23T01:02:03Z"
    cpu_model: str = FACTS["cpu_model"]
    saved_ns: float = 100.0
    direct: tuple[float, float] = (7000, 9000)
    kinds: Mapping[str, float] = field(default_factory=lambda: {"recvfrom": 4000, "futex": 2000})
    counted: Mapping[str, tuple[float, float]] = field(default_factory=dict)


def plan(recipe: Recipe) -> tuple[Trial, ...]:
    """Blocks of one boot per kernel, every second block reversed."""
    if recipe.control:
        served = {name: name != "getpid" for name in recipe.workloads}
        return make_control(recipe.cells[0], served, blocks=recipe.blocks, seed=7)
    trials: list[Trial] = []
    for block in range(recipe.blocks):
        kernels = (Kernel.STOCK, Kernel.KML) if block % 2 == 0 else (Kernel.KML, Kernel.STOCK)
        for rank, kernel in enumerate(kernels):
            trials += [
                Trial(
                    block=block,
                    boot=2 * block + rank,
                    position=len(trials) + index,
                    variant=variant,
                    workload=workload,
                )
                for index, (workload, variant) in enumerate(
                    (workload, variant)
                    for workload in recipe.workloads
                    for variant in recipe.cells
                    if variant.kernel is kernel
                )
            ]
    return tuple(trials)


def build(root: Path, recipe: Recipe | None = None) -> Path:
    """Store a synthetic campaign below `root`; its directory."""
    recipe = recipe or Recipe()
    random = np.random.default_rng(recipe.seed)
    campaign = model.PlannedCampaign(
        id=recipe.id if recipe.seed == 7 else f"{recipe.id}-{recipe.seed}",
        started_utc=recipe.started_utc,
        title=recipe.title,
        platform=recipe.platform,
        control=recipe.control,
        seed=7,
        options=recipe.options,
        plan=plan(recipe),
        git_commit="c0ffee" * 6 + "c0ff",
        tools={"qemu": "7.2.22", "gcc": "12.2.0", "python": "3.11.2"},
        stopping=recipe.stopping,
    )
    with writer.create(root, campaign) as directory:
        for boot, kernel in sorted({(trial.boot, trial.variant.kernel) for trial in campaign.plan}):
            seen = {**FACTS, "cpu_model": recipe.cpu_model, "kernel_release": RELEASE[kernel]}
            directory.facts(boot, kernel, seen)
        for trial in campaign.plan:
            if trial.position not in recipe.missing:
                directory.append(_outcome(trial, recipe, random))
    return directory.path


def stored_campaign(root: Path) -> Path:
    """A campaign that was really run, copied below `root`."""
    return Path(shutil.copytree(REAL, root / "campaign"))


def edit(path: Path, change: Callable[[Any], None]) -> None:
    """Let `change` alter each record of a file of JSON lines, as if it had been written so."""
    records = [json.loads(line) for line in path.read_text().splitlines()]
    for record in records:
        record.pop("crc32", None)
        change(record)
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


def _outcome(trial: Trial, recipe: Recipe, random: np.random.Generator) -> Outcome:
    started = "2025-11-23T01:03:00Z"
    if trial.position in recipe.failing:
        return Failed(trial=trial, stage="measure", cause=HOSTILE, started_utc=started, elapsed_s=3)
    served = trial.workload not in UNSERVED
    counting = trial.workload.startswith("calls_")
    proof = Proof(
        kernel_release=RELEASE[trial.variant.kernel],
        cpl=0 if trial.variant.kernel_mode else 3,
        client_kernel_mode=None if counting else trial.variant.kernel_mode,
        server_kernel_mode=trial.variant.kernel_mode if served and not counting else None,
    )
    return Completed(
        trial=trial,
        proof=proof,
        samples=_samples(trial, recipe, random),
        started_utc=started,
        elapsed_s=12.5,
    )


def _samples(trial: Trial, recipe: Recipe, random: np.random.Generator) -> tuple[Sample, ...]:
    factor = (recipe.effect if trial.variant.kernel_mode else 1.0) * float(
        np.exp(random.normal(0, recipe.noise))
    )
    if trial.workload == "getpid":
        return (*_getpid(factor), *_resources(Process.CLIENT, 0.02 * factor, "getpid"))
    if trial.workload == "syscalls":
        return _calls(trial, recipe, random)
    driver = "sysbench"
    if trial.workload.startswith("calls_"):
        return _counted(recipe, driver)
    server, client = 0.9 * factor, 0.4 * factor
    return (
        *_resources(Process.SERVER, server, driver),
        *_resources(Process.CLIENT, client, driver),
        *_cpu(Process.TOGETHER, server + client, driver),
        _sample("wall", "s", 1.9 * factor, Process.TOGETHER, driver),
        *(_passes(factor) if trial.workload == "wisconsin" else _performance(factor, driver)),
        *(_direct(recipe, driver) if trial.variant.kernel_mode else ()),
        *_recorded(trial, recipe, driver),
    )


def _recorded(trial: Trial, recipe: Recipe, driver: str) -> tuple[Sample, ...]:
    shares = {Process.SERVER: 1.0, Process.CLIENT: 1.0, Process.TOGETHER: 2.0}
    return tuple(
        _sample(metric, unit(metric), pair[trial.variant.kernel_mode] * share, process, driver)
        for metric, pair in recipe.counted.items()
        for process, share in shares.items()
    )


def _getpid(factor: float) -> tuple[Sample, ...]:
    values = {
        f"getpid_{kind}_{unit}": (unit, value)
        for kind, value in (("syscall", 218.3), ("libc", 221.9), ("unknown", 154.2))
        for unit in ("ns", "cycles")
    }
    return tuple(
        _sample(metric, unit, value * factor, Process.CLIENT, "getpid")
        for metric, (unit, value) in values.items()
    )


COSTS = {
    **{"getpid": 221.9, "read": 630.0, "write": 576.0, "send_recv": 3574.0, "poll": 983.0},
    **{"futex_wake": 486.0, "clock_call": 347.0, "pread": 1100.0, "fsync": 354.0},
}


def _calls(trial: Trial, recipe: Recipe, random: np.random.Generator) -> tuple[Sample, ...]:
    noise = float(np.exp(random.normal(0, recipe.noise)))
    saved = recipe.saved_ns if trial.variant.kernel_mode else 0.0
    costs = {
        "function": 2.0,
        **{kind: cost - saved * (2 if kind == "send_recv" else 1) for kind, cost in COSTS.items()},
    }
    ratio = _sample("call_ratio", "1", 111.0 * noise, Process.CLIENT, "syscalls")
    return (
        ratio,
        *(
            _sample(f"call_{kind}_ns", "ns", cost * noise, Process.CLIENT, "syscalls")
            for kind, cost in costs.items()
        ),
    )


def _counted(recipe: Recipe, driver: str) -> tuple[Sample, ...]:
    return (
        _sample("queries", "1", 2000, Process.CLIENT, driver),
        *(
            _sample(f"calls_{name}", "1", count, process, driver)
            for process in (Process.SERVER, Process.CLIENT)
            for name, count in recipe.kinds.items()
        ),
    )


def _direct(recipe: Recipe, driver: str) -> tuple[Sample, ...]:
    counts = zip((Process.SERVER, Process.CLIENT), recipe.direct, strict=True)
    return tuple(
        _sample(metric, "1", value, process, driver)
        for process, count in counts
        if count
        for metric, value in (("syscalls_direct", count), ("syscalls_trap", 3))
    )


def _passes(factor: float) -> tuple[Sample, ...]:
    return (
        _sample("passes", "1", 10, Process.CLIENT, "sysbench"),
        _sample("queries", "1", 114, Process.CLIENT, "sysbench"),
        _sample("throughput", "1/s", 5.2 / factor, Process.CLIENT, "sysbench"),
        *(
            _sample("pass_cpu", "s", seconds * factor, process, "sysbench")
            for process, seconds in ((Process.TOGETHER, 0.13), (Process.SERVER, 0.09), (Process.CLIENT, 0.04))
        ),
    )


def _performance(factor: float, driver: str) -> tuple[Sample, ...]:
    return (
        _sample("throughput", "1/s", 14523.0 / factor, Process.CLIENT, driver),
        _sample("latency_mean", "ms", 0.0687 * factor, Process.CLIENT, driver),
        _sample("latency_p50", "ms", 0.0671 * factor, Process.CLIENT, driver),
        _sample("latency_p95", "ms", 0.0712 * factor, Process.CLIENT, driver),
        _sample("latency_p99", "ms", 0.0934 * factor, Process.CLIENT, driver),
        _sample("latency_max", "ms", 1.831 * factor, Process.CLIENT, driver),
        _sample("transactions", "1", 2000, Process.CLIENT, driver),
        _sample("queries", "1", 2000, Process.CLIENT, driver),
    )


def _resources(process: Process, seconds: float, driver: str) -> tuple[Sample, ...]:
    counts = {"voluntary_switches": 4002, "involuntary_switches": 31, "minor_faults": 1200, "major_faults": 0}
    counted = (_sample(metric, "1", count, process, driver) for metric, count in counts.items())
    return (*_cpu(process, seconds, driver), *counted)


def _cpu(process: Process, seconds: float, driver: str) -> tuple[Sample, ...]:
    return (
        _sample("cpu_total", "s", seconds, process, driver),
        _sample("cpu_user", "s", round(seconds * 0.8, 2), process, driver),
        _sample("cpu_system", "s", round(seconds * 0.2, 2), process, driver),
    )


def _sample(metric: str, unit: str, value: float, process: Process, driver: str) -> Sample:
    return Sample(metric=metric, unit=unit, value=value, process=process, driver=driver)
