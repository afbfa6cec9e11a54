# SPDX-License-Identifier: MIT
"""Stored campaigns of one program, with what its runs printed and the kernel logged in each cell."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from support.synthetic_campaigns import FACTS, RELEASE

from kmlbench.model import (
    CommandResult,
    Completed,
    Failed,
    PlannedCampaign,
    Process,
    Proof,
    Sample,
    Trial,
    Variant,
)
from kmlbench.plan.comparisons import CELLS
from kmlbench.plan.schedule import make_schedule
from kmlbench.results import writer
from kmlbench.results.reader import COMMANDS, MEASURED
from kmlbench.results.writer import CampaignDirectory
from kmlbench.workloads.attempt import MARK, TRY, attempt
from kmlbench.workloads.definition import dump

ARGV = ("{prefix}/lib/kmlbench/try/client/bin/says", "hello")
WORKLOAD = attempt("says", ARGV, server=None, rounds=2, timeout_s=30)

COUNTS = ("cpu_ns", "ticks_user_ns", "ticks_both_ns", "voluntary_switches", "involuntary_switches")
STATUS = {"KernelModeCallsDirect": "900", "KernelModeTrapPage": "20"}


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """What every run of a cell does. `outputs` follow each other; `failed` is a stage and a cause."""

    ending: str = "exit 0"
    outputs: Sequence[str] = ("hello\n",)
    errors: str = ""
    log: Sequence[str] = ()
    instructions: float = 1_000_000
    first: int = 80
    failed: tuple[str, str] | None = None


@dataclass(kw_only=True)
class Tried:
    """A campaign to be stored; cells that are not named behave as Behaviour does."""

    cells: Mapping[Variant, Behaviour] = field(default_factory=dict)
    blocks: int = 4

    def behaviour(self, cell: Variant) -> Behaviour:
        return self.cells.get(cell, Behaviour())

    def store(self, root: Path) -> Path:
        """Store it below `root`; its directory."""
        random = np.random.default_rng(7)
        plan = make_schedule(CELLS, {WORKLOAD.name: False}, blocks=self.blocks, seed=7)
        campaign = PlannedCampaign(
            id="5e7",
            started_utc="2026-11-30T01:02:03Z",
            title="Kernel Mode Linux and says",
            platform="QEMU TCG, instruction clock",
            control=False,
            seed=7,
            options={TRY: "--blocks 4 -- says hello"},
            plan=plan,
            definitions={WORKLOAD.name: dump(WORKLOAD)},
            git_commit="c0ffee" * 6 + "c0ff",
            tools={"qemu": "7.2.22"},
        )
        with writer.create(root, campaign) as directory:
            for boot, kernel in sorted({(trial.boot, trial.variant.kernel) for trial in plan}):
                directory.facts(boot, kernel, {**FACTS, "kernel_release": RELEASE[kernel]})
                own = [trial for trial in plan if trial.boot == boot]
                writer.write_file(directory.boot(boot) / "dmesg", self._log(own))
            for trial in plan:
                self._end(directory, trial, float(random.normal(0, 0.001)))
        return directory.path

    def _log(self, trials: Sequence[Trial]) -> str:
        lines = ["Linux version 6.12"]
        for trial in trials:
            lines += [f"{MARK} {trial.variant.prefix}", *self.behaviour(trial.variant).log]
        return "".join(f"[{number:5}.123456] {line}\n" for number, line in enumerate(lines))

    def _end(self, directory: CampaignDirectory, trial: Trial, noise: float) -> None:
        does = self.behaviour(trial.variant)
        started = "2026-11-30T01:03:00Z"
        if does.failed is not None:
            stage, cause = does.failed
            directory.append(Failed(trial=trial, stage=stage, cause=cause, started_utc=started, elapsed_s=3))
            return
        _store_raw(directory, trial, does)
        proof = Proof(
            kernel_release=RELEASE[trial.variant.kernel],
            cpl=trial.variant.cpl,
            client_kernel_mode=trial.variant.kernel_mode,
        )
        samples = _samples(does.instructions * (1 + noise))
        directory.append(
            Completed(trial=trial, proof=proof, samples=samples, started_utc=started, elapsed_s=3)
        )


def _store_raw(directory: CampaignDirectory, trial: Trial, does: Behaviour) -> None:
    raw = directory.raw(trial)
    writer.write_file(raw / COMMANDS, json.dumps([["rounds"]]) + "\n")
    result = CommandResult(
        argv=("rounds",),
        returncode=0,
        stdout=_printed(does, does.outputs),
        stderr=_printed(does, [does.errors]),
        elapsed_s=1.0,
    )
    directory.write_step(trial, 0, "run", result)
    usage = {
        **dict.fromkeys((*COUNTS, "minor_faults", "major_faults"), 1000),
        "kernel_mode": trial.variant.kernel_mode,
        "status": {**STATUS, "KernelModeTrapFirst": str(does.first)} if trial.variant.kernel_mode else {},
        "executable": "says",
        "exit": 0,
        "signal": None,
    }
    report = {"wall_ns": 1000, "client": usage, "server": None}
    writer.write_file(raw / MEASURED, json.dumps(report) + "\n")


def _printed(does: Behaviour, texts: Sequence[str]) -> str:
    """As workloads/rounds prints three runs."""
    parts = (texts[number % len(texts)] for number in range(3))
    return "".join(
        f"run {number} 1 {does.ending} {len(text)} {len(text)} {abs(hash(text)) % 16**8:016x}\n{text}\n"
        for number, text in enumerate(parts)
    )


def _samples(instructions: float) -> tuple[Sample, ...]:
    parts = {"instructions": 1.0, "instructions_user": 0.75, "instructions_kernel": 0.25}
    return tuple(
        Sample(
            metric=metric,
            unit="instructions",
            value=instructions * share,
            process=Process.CLIENT,
            driver="says",
        )
        for metric, share in parts.items()
    )
