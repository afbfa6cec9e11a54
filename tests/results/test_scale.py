# SPDX-License-Identifier: MIT
"""A campaign with many samples: what grows with their number and what does not, without a clock."""

from __future__ import annotations

import dataclasses
import gc
from pathlib import Path

import pytest
from support.synthetic_campaigns import Recipe, build

from kmlbench.analysis import frames
from kmlbench.model import Completed, Process, Sample
from kmlbench.report import plots, write
from kmlbench.report.plots import Series
from kmlbench.results import reader, writer
from kmlbench.results.samples import Samples
from kmlbench.stats.intervals import Interval

pytestmark = pytest.mark.slow

RECIPE = Recipe(blocks=2, workloads=("oltp_point_select",))


def enlarged(root: Path, times: int) -> Path:
    """A campaign whose trials have each sample so many times."""
    small = reader.read_campaign(build(root / "small", RECIPE))
    with writer.create(root / f"x{times}", dataclasses.replace(small.campaign, id=f"x{times}")) as directory:
        for outcome in small.completed:
            directory.append(dataclasses.replace(outcome, samples=tuple(outcome.samples) * times))
    return directory.path


def test_a_stored_sample_is_no_object(tmp_path: Path) -> None:
    """Reading makes a few objects for each trial, whatever it holds."""
    gc.collect()
    before = len(gc.get_objects())
    stored = reader.read_campaign(enlarged(tmp_path, 300))
    kept = len(gc.get_objects()) - before
    samples = sum(len(outcome.samples) for outcome in stored.completed)
    assert samples > 40_000
    assert kept < samples / 10


def test_the_kinds_of_samples_are_kept_once(tmp_path: Path) -> None:
    completed = reader.read_campaign(enlarged(tmp_path, 3)).completed
    tables = {id(outcome.samples.kinds) for outcome in completed if isinstance(outcome.samples, Samples)}
    assert len(tables) == 1


def test_the_page_does_not_grow_with_the_samples(tmp_path: Path) -> None:
    """Beyond a number of points a figure's points are one picture in it."""
    times = plots.MOST_POINTS // 8 + 1
    sizes = [
        write.write_report(enlarged(tmp_path / str(factor), times * factor)).stat().st_size
        for factor in (1, 3)
    ]
    assert sizes[1] < 1.2 * sizes[0]


def test_all_points_of_a_large_figure_are_drawn() -> None:
    """The picture is not a choice among the points: the outlier is in it."""

    def drawn(points: list[float]) -> str:
        estimate = Interval(estimate=1.0, low=0.9, high=1.1, blocks=2)
        series = Series(label="a", points=points, estimate=estimate, colour="#0072B2", marker="o")
        return plots.svg(plots.draw([series], title="t", axis="s", theme=plots.LIGHT))

    many = [1.0, 2.0] + [1.0 + number / plots.MOST_POINTS for number in range(plots.MOST_POINTS)]
    assert "data:image/png" in drawn(many)
    assert "data:image/png" not in drawn(many[:100])
    assert drawn(many) == drawn(many)
    assert drawn(many) != drawn([1.0, 2.0, 1.5, *many[3:]])


def test_columns_are_the_samples_they_were_made_of() -> None:
    samples = tuple(
        Sample(metric=metric, unit="1", value=value, process=Process.CLIENT, driver="d")
        for metric, value in (("b", 1), ("a", 2.5), ("b", -3.0))
    )
    columns = Samples.of(samples)
    assert columns == samples
    assert hash(columns) == hash(samples)
    assert columns != samples[:2]
    assert (columns[1], columns[-1]) == (samples[1], samples[2])
    assert columns[:2] == samples[:2]
    assert columns.having(["b"]) == (samples[0], samples[2])
    assert Samples.of(columns) is columns
    assert "metric='a'" in repr(columns)
    assert Samples.of(()) == ()


def test_samples_in_columns_and_as_objects_give_the_same_frame(tmp_path: Path) -> None:
    stored = reader.read_campaign(build(tmp_path, RECIPE))
    objects = dataclasses.replace(
        stored, outcomes=tuple(_as_objects(outcome) for outcome in stored.completed)
    )
    assert frames.samples_frame(objects).equals(frames.samples_frame(stored))


def _as_objects(outcome: Completed) -> Completed:
    return dataclasses.replace(outcome, samples=tuple(outcome.samples))


@pytest.mark.parametrize("name", ["driver", "unit"])
def test_a_name_that_is_no_text_is_shown_as_such(tmp_path: Path, name: str) -> None:
    stored = reader.read_campaign(build(tmp_path, RECIPE))
    first = stored.completed[0]
    strange = dataclasses.replace(first.samples[0])
    object.__setattr__(strange, name, "x\udcff")
    frame = frames.samples_frame(
        dataclasses.replace(stored, outcomes=(dataclasses.replace(first, samples=(strange,)),))
    )
    assert list(frame[name]) == ["x\\udcff"]
    frames.write_parquet(frame, tmp_path / "samples.parquet")
