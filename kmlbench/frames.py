# SPDX-License-Identifier: MIT
"""Stored outcomes as tidy frames: one row per sample. Derived from the record, never the record itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from kmlbench import store
from kmlbench.model import Completed, Process, Sample, Variant

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


def samples(stored: store.StoredCampaign) -> pd.DataFrame:
    """All samples of the completed trials, with the columns of TYPES; `unit` names the unit of `value`."""
    rows = [_row(stored, outcome, sample) for outcome in stored.completed for sample in outcome.samples]
    return pd.DataFrame(rows, columns=list(TYPES)).astype(TYPES)


def load(path: str | Path) -> pd.DataFrame:
    """The samples of the campaign stored in `path`, as `samples` has them. Raises InputError on damage."""
    return samples(store.read(Path(path)))


def write_parquet(frame: pd.DataFrame, path: Path) -> None:
    """Write a tidy frame so that any Arrow engine reads many of them as one data set."""
    frame.to_parquet(path, engine="pyarrow", index=False)


def by_block(frame: pd.DataFrame, measure: Measure, variant: Variant) -> dict[int, Sequence[float]]:
    """The values of one measure in one cell, by block, in the order of the trials. Empty: never measured."""
    chosen = of_measure(frame, measure)
    chosen = chosen[(chosen["kernel"] == variant.kernel) & (chosen["prefix"] == variant.prefix)]
    return {int(str(block)): tuple(values) for block, values in chosen.groupby("block")["value"]}


def of_measure(frame: pd.DataFrame, measure: Measure) -> pd.DataFrame:
    """The rows of one measure, all cells."""
    workload = frame["workload"] == measure.workload
    return frame[workload & (frame["metric"] == measure.metric) & (frame["process"] == measure.process)]


def unit(frame: pd.DataFrame, measure: Measure) -> str | None:
    """The unit of a measure, or None where it was never measured. Raises ValueError if units are mixed."""
    units = of_measure(frame, measure)["unit"].unique()
    if len(units) > 1:
        raise ValueError(f"{measure.workload} {measure.metric} has mixed units: {', '.join(sorted(units))}")
    return str(units[0]) if len(units) else None


def _row(stored: store.StoredCampaign, outcome: Completed, sample: Sample) -> tuple[object, ...]:
    trial = outcome.trial
    return (
        stored.directory.name,
        trial.block,
        trial.boot,
        str(trial.variant.kernel),
        str(trial.variant.prefix),
        trial.workload,
        sample.driver,
        str(sample.process),
        sample.metric,
        sample.unit,
        sample.value,
    )
