# SPDX-License-Identifier: MIT
"""The record's columns by measure, cell and block: every sample once, in the order of the trials."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from support.synthetic_campaigns import Recipe, build

from kmlbench.analysis import measurements
from kmlbench.errors import InputError
from kmlbench.model import Completed, Measure, Process, Sample
from kmlbench.plan.comparisons import KML_TRUSTED, STOCK_USR, cell_of
from kmlbench.results import reader
from kmlbench.results.reader import StoredCampaign

CPU = Measure(workload="wisconsin", metric="cpu_total", process=Process.TOGETHER)


def test_values_come_by_cell_and_block(tmp_path: Path) -> None:
    stored = reader.read_campaign(build(tmp_path, Recipe(blocks=3)))
    source = measurements.source(stored)
    treated, control = source.of(CPU, KML_TRUSTED), source.of(CPU, STOCK_USR)
    assert list(treated) == list(control) == [0, 1, 2]
    assert all(treated[block][0] < control[block][0] for block in treated)
    assert source.stored_units[CPU] == "s"


@pytest.mark.parametrize("control", [False, True])
def test_every_sample_stands_once_in_its_cell_and_block(tmp_path: Path, control: bool) -> None:
    stored = reader.read_campaign(build(tmp_path, Recipe(blocks=3, failing={3})))
    stored = replace(stored, campaign=replace(stored.campaign, control=control))
    expected: dict[tuple[object, ...], list[float]] = {}
    for outcome in stored.completed:
        for sample in outcome.samples:
            measure = Measure(workload=outcome.trial.workload, metric=sample.metric, process=sample.process)
            place = (measure, cell_of(outcome.trial, control=control), outcome.trial.block)
            expected.setdefault(place, []).append(sample.value)
    result = {
        (*cell, block): list(values)
        for cell, blocks in measurements.source(stored).values.items()
        for block, values in blocks.items()
    }
    assert result == expected


def test_samples_that_are_no_columns_yet_give_the_same(tmp_path: Path) -> None:
    stored = reader.read_campaign(build(tmp_path))
    objects = replace(
        stored,
        outcomes=tuple(replace(outcome, samples=tuple(outcome.samples)) for outcome in stored.completed),
    )
    assert measurements.source(objects) == measurements.source(stored)


def test_mixed_units_are_never_compared(tmp_path: Path) -> None:
    stored = with_unit(reader.read_campaign(build(tmp_path)), "ms")
    with pytest.raises(InputError, match=r"wisconsin wall has mixed units: (ms, s|s, ms)"):
        measurements.source(stored)


def test_a_unit_that_is_no_text_is_shown_as_such(tmp_path: Path) -> None:
    stored = reader.read_campaign(build(tmp_path))
    first = next(outcome for outcome in stored.completed if outcome.trial.workload == "wisconsin")
    alone = replace(stored, outcomes=(first,))
    units = measurements.source(with_unit(alone, "x\udcff")).stored_units
    assert units[replace(CPU, metric="wall")] == "x\\udcff"


def with_unit(stored: StoredCampaign, unit: str) -> StoredCampaign:
    """The campaign whose first trial of wisconsin has its wall time in another unit."""
    first = next(outcome for outcome in stored.completed if outcome.trial.workload == "wisconsin")

    def changed(sample: Sample) -> Sample:
        return replace(sample, unit=unit) if sample.metric == "wall" else sample

    other: Completed = replace(first, samples=tuple(map(changed, first.samples)))
    return replace(
        stored, outcomes=(other, *(outcome for outcome in stored.outcomes if outcome is not first))
    )
