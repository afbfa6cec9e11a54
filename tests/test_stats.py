# SPDX-License-Identifier: MIT
"""Intervals contain the truth as often as they say, and a verdict is never made of nothing."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import t as student

from kmlbench.stats import (
    Absent,
    Interval,
    Values,
    Verdict,
    block_ratios,
    blocks_to_decide,
    mean_interval,
    ratio_interval,
    verdict,
)

LUPINE = Path(__file__).parent / "data" / "lupine" / "boots.csv"
CAMPAIGNS = 1000


def campaigns(*, ratio: float, blocks: int) -> Iterator[tuple[Values, Values]]:
    """(treated, control) of many campaigns: blocks differ by 5 %, boots by 1 %, trials by 0.5 %."""
    random = np.random.default_rng(20251123)
    for _ in range(CAMPAIGNS):
        mood = np.exp(random.normal(0, 0.05, blocks))
        yield cell(random, ratio * mood), cell(random, mood)


def cell(random: np.random.Generator, truth: NDArray[np.float64]) -> Values:
    boots = truth * np.exp(random.normal(0, 0.01, truth.size))
    return {block: list(boot * np.exp(random.normal(0, 0.005, 3))) for block, boot in enumerate(boots)}


def bounds(interval: Interval | Absent) -> tuple[float, float]:
    assert isinstance(interval, Interval)
    assert interval.low is not None
    assert interval.high is not None
    return interval.low, interval.high


@pytest.mark.parametrize("blocks", [3, 8])
def test_the_ratio_interval_holds_the_truth_as_often_as_it_says(blocks: int) -> None:
    found = [bounds(ratio_interval(*pair)) for pair in campaigns(ratio=0.9665, blocks=blocks)]
    covered = sum(low <= 0.9665 <= high for low, high in found) / CAMPAIGNS
    assert 0.93 <= covered <= 0.97


def test_the_mean_interval_holds_the_truth_as_often_as_it_says() -> None:
    truth = math.exp((0.05**2 + 0.01**2 + 0.005**2) / 2)
    found = [bounds(mean_interval(control)) for _, control in campaigns(ratio=1, blocks=8)]
    assert 0.93 <= sum(low <= truth <= high for low, high in found) / CAMPAIGNS <= 0.97


def test_a_campaign_of_the_same_cell_twice_rarely_finds_a_difference() -> None:
    verdicts = [
        verdict(found, margin=0.01)
        for pair in campaigns(ratio=1, blocks=8)
        if isinstance(found := ratio_interval(*pair), Interval)
    ]
    assert len(verdicts) == CAMPAIGNS
    assert 0.03 <= verdicts.count(Verdict.DIFFERENCE) / CAMPAIGNS <= 0.07


@pytest.mark.parametrize(
    ("treated", "control", "metric", "published"),
    [
        ("lupine-kml", "lupine-nokml", "get_rps", (1.009, 1.003, 1.016)),
        ("lupine-kml", "lupine-nokml", "set_rps", (1.007, 1.000, 1.014)),
        ("lupine-kml-tiny", "lupine-nokml-tiny", "get_rps", (1.023, 1.019, 1.027)),
        ("lupine-kml-tiny", "lupine-nokml-tiny", "set_rps", (1.025, 1.020, 1.030)),
        ("lupine-nokml", "microvm", "get_rps", (1.203, 1.196, 1.210)),
        ("lupine-nokml", "microvm", "set_rps", (1.212, 1.204, 1.220)),
    ],
)
def test_real_boots_give_the_published_ratios(
    treated: str, control: str, metric: str, published: tuple[float, float, float]
) -> None:
    """Boots of the two arms are independent, so any pairing is right; 0.002 is what the pairing costs."""
    found = ratio_interval(lupine(treated, metric), lupine(control, metric))
    assert isinstance(found, Interval)
    assert (found.estimate, *bounds(found)) == pytest.approx(published, abs=0.002)


def lupine(arm: str, metric: str) -> Mapping[int, list[float]]:
    with LUPINE.open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if (row["arm"], row["metric"]) == (arm, metric)]
    return {int(row["boot"]): [float(row["value"])] for row in rows}


def test_trials_of_one_block_count_once() -> None:
    many = {0: [1.0] * 100, 1: [3.0]}
    assert mean_interval(many) == mean_interval({0: [1.0], 1: [3.0]})
    assert bounds(mean_interval(many)) == pytest.approx((2 - 12.7062, 2 + 12.7062), abs=1e-4)


def test_one_block_has_no_interval_and_no_verdict() -> None:
    found = ratio_interval({0: [2.0]}, {0: [1.0]})
    assert found == Interval(estimate=2.0, low=None, high=None, blocks=1)
    assert verdict(found, margin=0.01) is Verdict.UNDECIDED


def test_no_variance_is_an_interval_of_no_width() -> None:
    found = ratio_interval({0: [3.0], 1: [3.0]}, {0: [4.0], 1: [4.0]})
    assert isinstance(found, Interval)
    assert bounds(found) == pytest.approx((0.75, 0.75))


def test_blocks_without_both_cells_do_not_count() -> None:
    treated = {0: [2.0], 1: [9.0], 2: [2.0]}
    control = {0: [1.0], 2: [1.0], 3: [5.0]}
    found = ratio_interval(treated, control)
    assert isinstance(found, Interval)
    assert found.estimate == pytest.approx(2.0)
    assert found.blocks == 2
    assert block_ratios(treated, control) == {0: 2.0, 2: 2.0}


@pytest.mark.parametrize(
    ("treated", "control", "reason"),
    [
        ({}, {0: [1.0]}, "no block has both cells"),
        ({0: [1.0]}, {1: [1.0]}, "no block has both cells"),
        ({0: [1.0]}, {0: [0.0]}, "a value is zero: no ratio"),
        ({0: [0.0]}, {0: [1.0]}, "a value is zero: no ratio"),
    ],
)
def test_a_ratio_that_does_not_exist_says_why(treated: Values, control: Values, reason: str) -> None:
    assert ratio_interval(treated, control) == Absent(reason=reason)


def test_a_mean_of_nothing_says_why() -> None:
    assert mean_interval({}) == Absent(reason="no value")


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.95, 0.97, Verdict.DIFFERENCE),
        (1.001, 1.002, Verdict.DIFFERENCE),
        (0.995, 1.005, Verdict.NO_DIFFERENCE),
        (0.98, 1.005, Verdict.UNDECIDED),
        (0.995, 1.02, Verdict.UNDECIDED),
        (1.0, 1.0, Verdict.NO_DIFFERENCE),
    ],
)
def test_a_verdict_has_three_values(low: float, high: float, expected: Verdict) -> None:
    ratio = Interval(estimate=(low + high) / 2, low=low, high=high, blocks=5)
    assert verdict(ratio, margin=0.01) is expected


def test_the_blocks_that_would_decide_follow_from_the_width() -> None:
    ratio = ratio_interval({0: [1.0], 1: [1.04], 2: [0.97]}, {0: [1.0], 1: [1.0], 2: [1.0]})
    assert isinstance(ratio, Interval)
    blocks = blocks_to_decide(ratio, margin=0.01)
    assert blocks is not None
    deviation = float(np.std(np.log([1.0, 1.04, 0.97]), ddof=1))
    half_widths = [float(student.ppf(0.975, n - 1)) * deviation / math.sqrt(n) for n in (blocks - 1, blocks)]
    assert half_widths[0] > math.log(1.01) >= half_widths[1]


def test_nobody_knows_how_many_blocks_one_block_needs() -> None:
    assert blocks_to_decide(Interval(estimate=1.0, low=None, high=None, blocks=1), margin=0.01) is None


def test_too_many_blocks_are_no_plan() -> None:
    wild = Interval(estimate=1.0, low=0.001, high=1000.0, blocks=3)
    assert blocks_to_decide(wild, margin=0.01) is None
