# SPDX-License-Identifier: MIT
"""The raw output of a trial read back: its numbers and its proof, derived from it a second time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kmlbench.errors import InputError
from kmlbench.model import Proof, Sample, Trial
from kmlbench.results import recording
from kmlbench.results.raw import read_results, read_step, read_text
from kmlbench.results.reader import MEASURED, PRIVILEGE, raw_path
from kmlbench.workloads import measure, probe
from kmlbench.workloads.registry import ADAPTERS
from kmlbench.workloads.syscall_counts import is_counting


@dataclass(frozen=True, slots=True, kw_only=True)
class Rederived:
    """What the raw output of a trial says. `proof` is None where the probe's answer was not kept."""

    samples: tuple[Sample, ...]
    proof: Proof | None


def rederive(directory: Path, trial: Trial) -> Rederived:
    """The numbers and the proof of a completed trial, from its raw output below the campaign's `directory`.

    Raises InputError for a file that is not there or not what was written there, TrialError for output
    that is not this workload's.
    """
    path = raw_path(directory, trial)
    if trial.workload not in ADAPTERS:
        raise InputError(f"{path}: this version of kmlbench has no workload {trial.workload!r}")
    adapter = ADAPTERS[trial.workload]
    results = read_results(path)
    report = None if is_counting(adapter.name) else probe.parse_report(read_text(path / MEASURED))
    counted = adapter.samples(results)
    recorded = recording.recorded_samples(path, adapter, results)
    return Rederived(
        samples=(*counted, *probe.resources(report, counted), *recorded),
        proof=_proof(path, len(results), report),
    )


def _proof(path: Path, index: int, report: measure.MeasureReport | None) -> Proof | None:
    if not (path / f"{index:02d}-{PRIVILEGE}").exists():
        return None
    return probe.proof_in(read_step(path, index), report)
