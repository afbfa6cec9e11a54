# SPDX-License-Identifier: MIT
"""Tables of each recorded trial, derived from raw/: where its instructions went, and its windows.

FOLDER/TRIAL.parquet in the campaign's directory. They are written when the trial ends, since reading a
recording takes a second; a file that is not there is derived again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from kmlbench.errors import InputError
from kmlbench.instrument.recording import USER
from kmlbench.instrument.subsystems import USER_CODE, subsystem
from kmlbench.model import Trial
from kmlbench.results.raw import read_results
from kmlbench.results.reader import WINDOWS, raw_path
from kmlbench.results.recording import FunctionRow, TrialRecording, read_trial
from kmlbench.workloads.base import Adapter

_TRIAL = (
    *((name, pa.string()) for name in ("kernel", "prefix", "cell")),
    *((name, pa.int64()) for name in ("block", "boot")),
    *((name, pa.string()) for name in ("trial", "workload")),
)

SUBSYSTEM = "subsystem"

Columns = Mapping[str, Sequence[object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Derived:
    """A table of a trial: the columns of _TRIAL, and what `columns` finds in a recording."""

    folder: str
    schema: pa.Schema
    columns: Callable[[TrialRecording], Columns]

    def path(self, directory: Path, trial: Trial) -> Path:
        """Where the table of a trial is in the campaign's `directory`."""
        return directory / self.folder / f"{trial.id}.parquet"

    def of(self, trial: Trial, recording: TrialRecording) -> pa.Table:
        """The table of a trial."""
        return self.table(trial, self.columns(recording))

    def table(self, trial: Trial, columns: Columns) -> pa.Table:
        """The same from its own columns."""
        count = len(next(iter(columns.values())))
        return pa.table({**_columns_of(trial, count), **columns}, schema=self.schema)

    def derive(self, directory: Path, trial: Trial, adapter: Adapter) -> pa.Table | None:
        """The table of a trial from its raw output; None without a recording. Raises InputError."""
        raw = raw_path(directory, trial)
        if not (raw / WINDOWS).exists():
            return None
        recording = read_trial(raw, adapter, read_results(raw))
        return None if recording is None else self.of(trial, recording)

    def read(self, directory: Path, trial: Trial, adapter: Adapter) -> pa.Table | None:
        """The stored table of a trial, or the derived one where none is stored. Raises InputError."""
        path = self.path(directory, trial)
        return self.load(path) if path.exists() else self.derive(directory, trial, adapter)

    def load(self, path: Path) -> pa.Table:
        """A stored table. Raises InputError."""
        try:
            return pq.read_table(path, schema=self.schema)
        # What a damaged file makes pyarrow raise is not documented; none of it is about anything else.
        except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
            remedy = "remove the file: it is derived from raw/ when it is not there"
            raise InputError(f"{path}: not a table of a trial: {error}", remedy=remedy) from error

    def write(self, directory: Path, trial: Trial, table: pa.Table) -> None:
        """Store the table of a trial."""
        path = self.path(directory, trial)
        path.parent.mkdir(exist_ok=True)
        pq.write_table(table, path)


def unsorted(table: pa.Table) -> pa.Table:
    """A table of a trial without its subsystems, which are the version's and not the recording's."""
    return table.drop_columns([name for name in table.column_names if name == SUBSYSTEM])


def _columns_of(trial: Trial, rows: int) -> dict[str, list[str | int]]:
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


def _functions(recording: TrialRecording) -> Columns:
    rows = recording.functions()
    return {
        "process": [row.process for row in rows],
        "side": [row.side for row in rows],
        SUBSYSTEM: [_subsystem(row) for row in rows],
        "object": [row.object for row in rows],
        "function": [row.function for row in rows],
        "instructions": [row.instructions for row in rows],
    }


def _subsystem(row: FunctionRow) -> str:
    return USER_CODE if row.side == USER else subsystem(row.function)


def _windows(recording: TrialRecording) -> Columns:
    rows = [
        (number, window.work.name, *key, count / window.work.units)
        for number, window in enumerate(recording.rows())
        for key, count in sorted(window.instructions.items())
    ]
    names = ("window", "work", "process", "side", "instructions")
    return {name: [row[index] for row in rows] for index, name in enumerate(names)}


PROFILE = Derived(
    folder="profile",
    schema=pa.schema(
        [
            *_TRIAL,
            *((name, pa.string()) for name in ("process", "side", SUBSYSTEM, "object", "function")),
            ("instructions", pa.float64()),
        ]
    ),
    columns=_functions,
)

WINDOW_TABLE = Derived(
    folder="windows",
    schema=pa.schema(
        [
            *_TRIAL,
            ("window", pa.int64()),
            *((name, pa.string()) for name in ("work", "process", "side")),
            ("instructions", pa.float64()),
        ]
    ),
    columns=_windows,
)

TABLES = (PROFILE, WINDOW_TABLE)
