# SPDX-License-Identifier: MIT
"""Stored outcomes as tidy frames: one row per sample. Derived from the record, never the record itself."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from kmlbench import store
from kmlbench.errors import InputError
from kmlbench.model import Completed, Kernel, Prefix, Process, Sample, Variant
from kmlbench.stored import IncompleteRecord

TYPES: Mapping[str, str] = {
    "campaign": "str",
    "block": "int64",
    "boot": "int64",
    "kernel": "str",
    "prefix": "str",
    "workload": "str",
    "driver": "str",
    "process": "str",
    "metric": "str",
    "unit": "str",
    "value": "float64",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One thing that a workload measures: the part of a frame that may be compared between cells."""

    workload: str
    metric: str
    process: Process


Cell = tuple[Measure, Variant]
_MEASURE = ("workload", "metric", "process")


def samples(stored: store.StoredCampaign) -> pd.DataFrame:
    """All samples of the completed trials, with the columns of TYPES; `unit` names the unit of `value`."""
    rows = [_row(stored, outcome, sample) for outcome in stored.completed for sample in outcome.samples]
    return pd.DataFrame(rows, columns=list(TYPES)).astype(TYPES)


def load(path: str | Path) -> pd.DataFrame:
    """The samples of the campaign stored in `path`, as `samples` has them.

    Raises InputError on damage; warns with IncompleteRecord where something of the record is not there.
    """
    stored = store.read(Path(path))
    for note in stored.notes:
        warnings.warn(f"{path}: {note}", IncompleteRecord, stacklevel=2)
    return samples(stored)


def write_parquet(frame: pd.DataFrame, path: Path) -> None:
    """Write a tidy frame so that any Arrow engine reads many of them as one data set."""
    frame.to_parquet(path, engine="pyarrow", index=False)


def by_cell(frame: pd.DataFrame) -> dict[Cell, dict[int, list[float]]]:
    """The values of every measure in every cell, by block, in the order of the trials."""
    cells: dict[Cell, dict[int, list[float]]] = {}
    columns = (*_MEASURE, "kernel", "prefix", "block", "value")
    for workload, metric, process, kernel, prefix, block, value in zip(
        *(frame[name] for name in columns), strict=True
    ):
        measure = Measure(workload=workload, metric=metric, process=Process(process))
        variant = Variant(kernel=Kernel(kernel), prefix=Prefix(prefix))
        cells.setdefault((measure, variant), {}).setdefault(block, []).append(value)
    return cells


def units(frame: pd.DataFrame) -> dict[Measure, str]:
    """The unit of every measure. Raises InputError if a measure has two: they are never compared."""
    found: dict[Measure, str] = {}
    rows = frame[[*_MEASURE, "unit"]].drop_duplicates()
    for workload, metric, process, unit in zip(*(rows[name] for name in rows.columns), strict=True):
        measure = Measure(workload=workload, metric=metric, process=Process(process))
        if measure in found:
            raise InputError(
                f"outcomes.jsonl: {workload} {metric} has mixed units: {found[measure]}, {unit}",
                remedy="keep campaigns of different versions of kmlbench apart",
            )
        found[measure] = unit
    return found


def _row(stored: store.StoredCampaign, outcome: Completed, sample: Sample) -> tuple[object, ...]:
    trial = outcome.trial
    return (
        stored.directory.name,
        trial.block,
        trial.boot,
        str(trial.variant.kernel),
        str(trial.variant.prefix),
        trial.workload,
        # A host names its programs; a name may hold bytes that are no text.
        sample.driver.encode(errors="backslashreplace").decode(),
        str(sample.process),
        sample.metric,
        sample.unit,
        sample.value,
    )
