# SPDX-License-Identifier: MIT
"""The raw output of a trial read back: its numbers and its proof, derived from it a second time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from kmlbench.errors import InputError
from kmlbench.model import CommandResult, Proof, Sample, Trial
from kmlbench.results import codec, lines
from kmlbench.results.reader import COMMANDS, COPY_AGAIN, MEASURED, PRIVILEGE, raw_path
from kmlbench.workloads import measure, probe
from kmlbench.workloads.registry import ADAPTERS
from kmlbench.workloads.syscall_counts import is_counting

_COMMANDS = msgspec.json.Decoder(list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rederived:
    """What the raw output of a trial says. `proof` is None where the probe's answer was not kept."""

    samples: tuple[Sample, ...]
    proof: Proof | None


def rederive(directory: Path, trial: Trial) -> Rederived:
    """The numbers and the proof of a completed trial, from its raw output below the campaign's `directory`.

    Raises InputError for a file that is not there or not what was written there, TrialError for output
    that is none of this workload's.
    """
    path = raw_path(directory, trial)
    if trial.workload not in ADAPTERS:
        raise InputError(f"{path}: this version of kmlbench has no workload {trial.workload!r}")
    commands = len(_commands(path / COMMANDS))
    adapter = ADAPTERS[trial.workload]
    report = None if is_counting(adapter.name) else probe.parse_report(_text(path / MEASURED))
    counted = adapter.samples([_step(path, index) for index in range(commands)])
    return Rederived(
        samples=(*counted, *probe.resources(report, counted)), proof=_proof(path, commands, report)
    )


def _proof(path: Path, index: int, report: measure.MeasureReport | None) -> Proof | None:
    if not (path / f"{index:02d}-{PRIVILEGE}").exists():
        return None
    return probe.proof_in(_step(path, index), report)


def _step(path: Path, index: int) -> CommandResult:
    """The step of this number, as `store.write_step` left it."""
    found = sorted(path.glob(f"{index:02d}-*"))
    if len(found) != 1:
        raise InputError(f"{path}: has {len(found)} directories {index:02d}-*, not one", remedy=COPY_AGAIN)
    step = found[0]
    with _named(step / "argv.json"):
        return codec.read_command(
            _text(step / "argv.json"), stdout=_text(step / "stdout"), stderr=_text(step / "stderr")
        )


def _commands(path: Path) -> Sequence[object]:
    """The commands of a trial; a list of lists, of which only the length matters here."""
    with _named(path):
        return lines.decode(_text(path), _COMMANDS)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise InputError(f"{path}: {error}", remedy=COPY_AGAIN) from error


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode(errors="surrogateescape")
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}", remedy=COPY_AGAIN) from error
