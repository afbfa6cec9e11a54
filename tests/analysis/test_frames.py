# SPDX-License-Identifier: MIT
"""The tidy frame has a row for every sample, and Parquet gives it back."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from support.synthetic_campaigns import Recipe, build

import kmlbench
from kmlbench.analysis import frames
from kmlbench.errors import InputError
from kmlbench.results import reader

COLUMNS = [
    *("campaign", "block", "boot", "pair", "kernel", "prefix", "workload"),
    *("driver", "process", "metric", "unit", "value"),
]


def test_every_sample_of_a_completed_trial_is_a_row(tmp_path: Path) -> None:
    path = build(tmp_path, Recipe(blocks=2, failing={3}, missing={9}))
    stored = reader.read_campaign(path)

    frame = kmlbench.load(path)

    assert list(frame.columns) == COLUMNS
    assert len(frame) == sum(len(outcome.samples) for outcome in stored.completed)
    first, sample = stored.completed[0], stored.completed[0].samples[0]
    row = frame.iloc[0].to_dict()
    assert row == {
        "campaign": path.name,
        "block": first.trial.block,
        "boot": first.trial.boot,
        "pair": 0,
        "kernel": "stock",
        "prefix": str(first.trial.variant.prefix),
        "workload": first.trial.workload,
        "driver": sample.driver,
        "process": "client",
        "metric": sample.metric,
        "unit": sample.unit,
        "value": sample.value,
    }


def test_the_link_to_the_newest_loads_too(tmp_path: Path) -> None:
    path = build(tmp_path)
    pd.testing.assert_frame_equal(kmlbench.load(str(tmp_path / "latest")), kmlbench.load(path))


def test_a_campaign_without_any_number_is_an_empty_frame(tmp_path: Path) -> None:
    frame = kmlbench.load(build(tmp_path, Recipe(blocks=1, failing=range(16))))
    assert list(frame.columns) == COLUMNS
    assert frame.empty
    assert str(frame["value"].dtype) == "float64"


def test_parquet_gives_the_frame_back(tmp_path: Path) -> None:
    frame = kmlbench.load(build(tmp_path))
    frames.write_parquet(frame, tmp_path / "samples.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "samples.parquet"), frame)


def test_a_directory_that_is_no_campaign_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"campaign\.json: cannot be read"):
        kmlbench.load(tmp_path)


def test_the_package_has_nothing_else() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        getattr(kmlbench, "non" + "sense")
