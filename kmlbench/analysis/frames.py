# SPDX-License-Identifier: MIT
"""The samples of a campaign as a tidy frame, one row each: what others read. Nothing here is read back."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from kmlbench.model import Completed
from kmlbench.results import reader
from kmlbench.results.reader import IncompleteRecord
from kmlbench.results.samples import SampleKind, Samples, as_text

SAMPLES = "samples.parquet"

TYPES: Mapping[str, str] = {
    "campaign": "str",
    "block": "int64",
    "boot": "int64",
    "pair": "int64",
    "kernel": "str",
    "prefix": "str",
    "workload": "str",
    "driver": "str",
    "process": "str",
    "metric": "str",
    "unit": "str",
    "value": "float64",
}


def samples_frame(stored: reader.StoredCampaign) -> pd.DataFrame:
    """All samples of the completed trials, with the columns of TYPES; `unit` names the unit of `value`."""
    completed = stored.completed
    columns = [Samples.of(outcome.samples) for outcome in completed]
    positions: dict[SampleKind, int] = {}
    codes = [_shared_codes(samples, positions) for samples in columns]
    trial = np.repeat(np.arange(len(completed)), [len(samples) for samples in columns])
    texts = {
        **_texts(_of_trials(stored.name, completed), trial),
        **_texts(_of_kinds(tuple(positions)), _joined(codes, np.int64)),
    }
    numbers = {
        "block": np.array([outcome.trial.block for outcome in completed], dtype=np.int64)[trial],
        "boot": np.array([outcome.trial.boot for outcome in completed], dtype=np.int64)[trial],
        "pair": np.array([outcome.trial.pair for outcome in completed], dtype=np.int64)[trial],
        "value": _joined([samples.values for samples in columns], np.float64),
    }
    return pd.DataFrame({**texts, **numbers}, columns=list(TYPES)).astype(TYPES)


def _of_trials(campaign: str, completed: Sequence[Completed]) -> dict[str, list[str]]:
    trials = [outcome.trial for outcome in completed]
    return {
        "campaign": [campaign] * len(trials),
        "kernel": [str(trial.variant.kernel) for trial in trials],
        "prefix": [str(trial.variant.prefix) for trial in trials],
        "workload": [trial.workload for trial in trials],
    }


def _of_kinds(kinds: Sequence[SampleKind]) -> dict[str, list[str]]:
    return {
        "driver": [as_text(kind.driver) for kind in kinds],
        "process": [str(kind.process) for kind in kinds],
        "metric": [kind.metric for kind in kinds],
        "unit": [as_text(kind.unit) for kind in kinds],
    }


def _shared_codes(samples: Samples, positions: dict[SampleKind, int]) -> NDArray[np.int64]:
    """The codes of these samples as positions in a table that all trials share."""
    shared = [positions.setdefault(kind, len(positions)) for kind in samples.kinds]
    return np.array(shared, dtype=np.int64)[samples.codes]


def _texts(columns: Mapping[str, list[str]], rows: NDArray[np.int64]) -> dict[str, object]:
    """Columns of texts in which row i has the text at rows[i]; no text is made a second time."""
    indices = pa.array(rows)
    return {
        name: pd.array(pa.array(texts, pa.large_string()).take(indices), dtype="str")
        for name, texts in columns.items()
    }


def _joined(parts: Sequence[NDArray[Any]], kind: type[np.generic]) -> NDArray[Any]:
    return np.concatenate([np.empty(0, dtype=kind), *parts])


def load(path: str | Path) -> pd.DataFrame:
    """The samples of the campaign stored in `path`, as `samples_frame` returns them.

    Raises InputError on damage; warns with IncompleteRecord where something of the record is not there.
    """
    stored = reader.read_campaign(Path(path))
    for note in stored.notes:
        warnings.warn(f"{path}: {note}", IncompleteRecord, stacklevel=2)
    return samples_frame(stored)


def write_parquet(frame: pd.DataFrame, path: Path) -> None:
    """Write a tidy frame so that any Arrow engine reads many of them as one data set."""
    frame.to_parquet(path, engine="pyarrow", index=False)
