# SPDX-License-Identifier: MIT
"""The raw output of a trial read back: its numbers and its proof, derived from it a second time."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from kmlbench.errors import InputError
from kmlbench.model import Proof, Sample, Trial
from kmlbench.results.raw import read_results, read_step, read_text
from kmlbench.results.reader import MEASURED, PRIVILEGE, raw_path
from kmlbench.results.recording import TrialRecording, read_trial, samples
from kmlbench.workloads import measure, probe
from kmlbench.workloads.registry import NONE, Own, known_adapter
from kmlbench.workloads.syscall_counts import is_counting


@dataclass(frozen=True, slots=True, kw_only=True)
class Rederived:
    """What the raw output of a trial says. `proof` is None where the probe's answer was not kept.

    `recording` is what the instrument recorded, if it did; the samples are derived from it, too.
    """

    samples: tuple[Sample, ...]
    proof: Proof | None
    recording: TrialRecording | None = field(default=None, compare=False)


def rederive(directory: Path, trial: Trial, own: Own = NONE) -> Rederived:
    """The numbers and the proof of a completed trial, from its raw output below the campaign's `directory`.

    `own` are the workloads of the campaign's files.
    Raises InputError for a file that is not there or not what was written there, TrialError for output
    that is not this workload's.
    """
    path = raw_path(directory, trial)
    adapter = known_adapter(trial.workload, own)
    if adapter is None:
        raise InputError(f"{path}: this version of kmlbench has no workload {trial.workload!r}")
    results = read_results(path)
    report = None if is_counting(adapter.name) else probe.parse_report(read_text(path / MEASURED))
    counted = adapter.samples(results)
    recorded = read_trial(path, adapter, results)
    of_instrument = () if recorded is None else samples(recorded, adapter.driver)
    return Rederived(
        samples=(*counted, *probe.resources(report, counted, driver=adapter.driver), *of_instrument),
        proof=_proof(path, len(results), report),
        recording=recorded,
    )


def _proof(path: Path, index: int, report: measure.MeasureReport | None) -> Proof | None:
    if not (path / f"{index:02d}-{PRIVILEGE}").exists():
        return None
    return probe.proof_in(read_step(path, index), report)
