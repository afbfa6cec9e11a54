# SPDX-License-Identifier: MIT
"""Where the instructions of each trial went, by function: profile/TRIAL.parquet, derived from raw/."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from kmlbench.errors import InputError
from kmlbench.instrument.subsystems import USER_CODE, subsystem
from kmlbench.model import Trial
from kmlbench.results.raw import read_results
from kmlbench.results.reader import WINDOWS, raw_path
from kmlbench.results.recording import USER, FunctionRow, TrialRecording, read_trial
from kmlbench.workloads.base import Adapter

PROFILES = "profile"

SCHEMA = pa.schema(
    [
        *((name, pa.string()) for name in ("kernel", "prefix", "cell")),
        *((name, pa.int64()) for name in ("block", "boot")),
        *((name, pa.string()) for name in ("trial", "workload", "process", "side", "subsystem")),
        *((name, pa.string()) for name in ("object", "function")),
        ("instructions", pa.float64()),
    ]
)


def profile_path(directory: Path, trial: Trial) -> Path:
    """Where the profile of a trial is in the campaign's `directory`."""
    return directory / PROFILES / f"{trial.id}.parquet"


def derive_profile(directory: Path, trial: Trial, adapter: Adapter) -> pa.Table | None:
    """The profile of a trial from its raw output; None where it has no recording. Raises InputError."""
    raw = raw_path(directory, trial)
    if not (raw / WINDOWS).exists():
        return None
    recording = read_trial(raw, adapter, read_results(raw))
    return None if recording is None else table(trial, recording)


def read_profile(directory: Path, trial: Trial, adapter: Adapter) -> pa.Table | None:
    """The stored profile of a trial, or the derived one where none is stored. Raises InputError."""
    path = profile_path(directory, trial)
    if not path.exists():
        return derive_profile(directory, trial, adapter)
    try:
        return pq.read_table(path, schema=SCHEMA)
    # What a damaged file makes pyarrow raise is not documented; none of it is about anything else.
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        remedy = "remove the file: it is derived from raw/ when it is not there"
        raise InputError(f"{path}: not a profile: {error}", remedy=remedy) from error


def write_profile(directory: Path, trial: Trial, profile: pa.Table) -> None:
    """Store the profile of a trial."""
    path = profile_path(directory, trial)
    path.parent.mkdir(exist_ok=True)
    pq.write_table(profile, path)


def table(trial: Trial, recording: TrialRecording) -> pa.Table:
    """The profile in the recording of a trial."""
    rows = recording.functions()
    columns = {
        "process": [row.process for row in rows],
        "side": [row.side for row in rows],
        "subsystem": [_subsystem(row) for row in rows],
        "object": [row.object for row in rows],
        "function": [row.function for row in rows],
        "instructions": [row.instructions for row in rows],
    }
    return pa.table({**columns_of(trial, len(rows)), **columns}, schema=SCHEMA)


def columns_of(trial: Trial, rows: int) -> dict[str, list[str | int]]:
    """The columns that say which trial it is, for so many rows."""
    fixed: dict[str, str | int] = {
        "kernel": str(trial.variant.kernel),
        "prefix": str(trial.variant.prefix),
        "cell": str(trial.variant),
        "block": trial.block,
        "boot": trial.boot,
        "trial": trial.id,
        "workload": trial.workload,
    }
    return {name: [value] * rows for name, value in fixed.items()}


def _subsystem(row: FunctionRow) -> str:
    return USER_CODE if row.side == USER else subsystem(row.function)
