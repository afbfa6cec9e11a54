# SPDX-License-Identifier: MIT
"""Intervals contain the truth as often as they say, and a verdict is never made of nothing."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Mapping

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats as scipy_stats
from scipy.stats import t as student
from support.paths import DATA

from kmlbench.results.samples import LEAST_SIZE, MOST_SIZE
from kmlbench.stats import bootstrap
from kmlbench.stats.intervals import (
    Absent,
    Blocks,
    Estimate,
    Interval,
    Tree,
    Values,
    Verdict,
    block_ratios,
    blocks_for,
    independent_ratio,
    mean_interval,
    ratio_interval,
    ratio_of_effects,
    smallest_effect,
    verdict,
)

LUPINE = DATA / "lupine" / "boots.csv"
CAMPAIGNS = 1000
# 1,000 campaigns whose true rate is 5 % give more false alarms than this once in a hundred times.
MOST_ALARMS = int(scipy_stats.binom.ppf(0.99, CAMPAIGNS, 0.05))


def campaigns(*, ratio: float, blocks: int) -> Iterator[tuple[Blocks, Blocks]]:
    """(treated, control) of many campaigns. Blocks differ by 5 % in both cells alike; a block has two boots,
    which differ by 1 %, with two server starts (0.5 %) of three iterations (0.5 %) each.
    """
    random = np.random.default_rng(20251123)
    for _ in range(CAMPAIGNS):
        mood = np.exp(random.normal(0, 0.05, blocks))
        yield cell(random, ratio * mood), cell(random, mood)


def cell(random: np.random.Generator, truth: NDArray[np.float64]) -> Blocks:
    levels = ((0.01, (2, 1, 1)), (0.005, (2, 2, 1)), (0.005, (2, 2, 3)))
    boots, starts, iterations = (random.normal(0, spread, (truth.size, *shape)) for spread, shape in levels)
    trees: list[Tree] = (truth[:, None, None, None] * np.exp(boots + starts + iterations)).tolist()
    return dict(enumerate(trees))


def bounds(interval: Estimate) -> tuple[float, float]:
    assert isinstance(interval, Interval)
    assert interval.low is not None
    assert interval.high is not None
    return interval.low, interval.high


def covered(pairs: list[tuple[float, float]], truth: float) -> float:
    return sum(low <= truth <= high for low, high in pairs) / len(pairs)


@pytest.mark.slow
@pytest.mark.parametrize("blocks", [2, 3, 5, 10, 34])
def test_the_ratio_interval_holds_the_truth_as_often_as_it_says(blocks: int) -> None:
    result = [bounds(ratio_interval(*pair)) for pair in campaigns(ratio=0.9665, blocks=blocks)]
    assert 0.93 <= covered(result, 0.9665) <= 0.97


@pytest.mark.parametrize("blocks", [3, 12])
def test_the_mean_interval_holds_the_truth_as_often_as_it_says(blocks: int) -> None:
    truth = math.exp((0.05**2 + 0.01**2 + 0.005**2 + 0.005**2) / 2)
    result = [bounds(mean_interval(control)) for _, control in campaigns(ratio=1, blocks=blocks)]
    assert 0.93 <= covered(result, truth) <= 0.97


@pytest.mark.slow
@pytest.mark.parametrize("boots", [(3, 3), (3, 20), (4, 9), (12, 12), (12, 30)])
def test_the_ratio_of_arms_that_share_no_block_holds_the_truth_as_often_as_it_says(
    boots: tuple[int, int],
) -> None:
    random = np.random.default_rng(3)
    drawn = [[cell(random, np.full(size, 0.97 + index / 50)) for index, size in enumerate(boots)]
             for _ in range(CAMPAIGNS)]  # fmt: skip
    result = [bounds(independent_ratio(*pair)) for pair in drawn]
    assert 0.93 <= covered(result, 0.97 / 0.99) <= 0.97


@pytest.mark.slow
@pytest.mark.parametrize("blocks", [3, 8, 20])
def test_a_campaign_of_the_same_cell_twice_finds_a_difference_in_at_most_5_percent(blocks: int) -> None:
    """At most what a true rate of 5 % gives by chance; and not much less, which would be too wide."""
    verdicts = [
        verdict(interval, margin=0.01)
        for pair in campaigns(ratio=1, blocks=blocks)
        if isinstance(interval := ratio_interval(*pair), Interval)
    ]
    assert len(verdicts) == CAMPAIGNS
    assert 30 <= verdicts.count(Verdict.DIFFERENCE) <= MOST_ALARMS == 67


@pytest.mark.slow
@pytest.mark.parametrize("blocks", [2, 9, 10, 20])
def test_the_rate_of_false_alarms_in_many_campaigns_is_5_percent(blocks: int) -> None:
    differences = np.random.default_rng(blocks).normal(size=(4 * CAMPAIGNS, blocks))
    pieces = [bootstrap.mean_bounds(part, confidence=0.95) for part in np.split(differences, 8)]
    low, high = (np.concatenate(bounds) for bounds in zip(*pieces, strict=True))
    assert 0.04 <= np.mean((low > 0) | (high < 0)) <= 0.06


@pytest.mark.slow
@pytest.mark.parametrize("source", ["lupine-kml", "lupine-nokml", "microvm"])
@pytest.mark.parametrize("blocks", [3, 12, 30])
def test_blocks_that_vary_like_real_boots_are_covered(source: str, blocks: int) -> None:
    """Real boots are skewed and have outliers; their pool is the population here."""
    pool = np.log([value for values in lupine(source, "get_rps").values() for value in values])
    random = np.random.default_rng(blocks)
    drawn = random.choice(pool, (CAMPAIGNS, blocks)) - random.choice(pool, (CAMPAIGNS, blocks))
    low, high = bootstrap.mean_bounds(drawn, confidence=0.95)
    assert 0.93 <= np.mean((low <= 0) & (high >= 0)) <= 0.97


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
class TestRealBoots:
    """Boots of arms that ran one after the other. The published figures are rounded to 0.001."""

    def test_give_the_published_ratio(
        self, treated: str, control: str, metric: str, published: tuple[float, float, float]
    ) -> None:
        result = independent_ratio(lupine(treated, metric), lupine(control, metric))
        assert isinstance(result, Interval)
        assert round(result.estimate, 3) == published[0]
        assert bounds(result) == pytest.approx(published[1:], abs=0.0015)

    def test_give_nearly_the_interval_of_another_bootstrap(
        self, treated: str, control: str, metric: str, published: tuple[float, float, float]
    ) -> None:
        del published
        arms = [[value for (value,) in lupine(arm, metric).values()] for arm in (treated, control)]
        other = scipy_stats.bootstrap(
            arms,
            lambda record, two, axis: np.mean(record, axis=axis) / np.mean(two, axis=axis),
            method="BCa",
            rng=np.random.default_rng(1),
        ).confidence_interval
        result = independent_ratio(lupine(treated, metric), lupine(control, metric))
        assert bounds(result) == pytest.approx((other.low, other.high), abs=0.001)


def lupine(arm: str, metric: str) -> Mapping[int, list[float]]:
    with LUPINE.open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if (row["arm"], row["metric"]) == (arm, metric)]
    return {int(row["boot"]): [float(row["value"])] for row in rows}


def test_a_branch_counts_once_however_often_it_was_repeated() -> None:
    ragged: Blocks = {0: [[[1.0, 1.0, 1.0], [3.0]], [[6.0]]], 1: [5.0]}
    assert mean_interval(ragged) == mean_interval({0: [4.0], 1: [5.0]})


def test_the_same_numbers_give_the_same_interval() -> None:
    values = dict(enumerate([value] for value in np.random.default_rng(1).normal(10, 1, 20)))
    first = mean_interval(values)
    bootstrap._weights.cache_clear()
    assert mean_interval(values) == first


def test_trials_of_one_block_count_once() -> None:
    many = {0: [1.0] * 100, 1: [3.0]}
    assert mean_interval(many) == mean_interval({0: [1.0], 1: [3.0]})
    assert bounds(mean_interval(many)) == pytest.approx((2 - 12.7062, 2 + 12.7062), abs=1e-4)


def test_one_block_has_no_interval_and_no_verdict() -> None:
    result = ratio_interval({0: [2.0]}, {0: [1.0]})
    assert result == Interval(estimate=2.0, low=None, high=None, blocks=1)
    assert verdict(result, margin=0.01) is Verdict.UNDECIDED


@pytest.mark.parametrize(
    ("blocks", "expected", "reason"),
    [
        (2, Verdict.UNDECIDED, "no variance: no interval"),
        (3, Verdict.EXACT, "no variation in 3 blocks"),
        (30, Verdict.EXACT, "no variation in 30 blocks"),
    ],
)
def test_equal_blocks_are_exact_from_three_on(blocks: int, expected: Verdict, reason: str) -> None:
    treated, control = {block: [0.3] for block in range(blocks)}, {block: [0.7] for block in range(blocks)}
    ratios = dict.fromkeys(range(blocks), 3 / 7)
    for item in (
        ratio_interval(treated, control),
        independent_ratio(treated, control),
        ratio_of_effects(ratios, dict.fromkeys(ratios, 1.0)),
    ):
        assert isinstance(item, Interval)
        assert item.estimate == pytest.approx(3 / 7)
        assert (item.low, item.high) == (None, None)
        assert item.unbounded == reason
        assert verdict(item, margin=0.01) is expected


# Where equal blocks are likely and mean least: counts that take a few values.
FEW_VALUES = [(0.5, 0.5), (0.7, 0.3), (0.9, 0.1), (0.25, 0.5, 0.25), (0.4, 0.2, 0.2, 0.2)]


@pytest.mark.parametrize("shares", FEW_VALUES)
def test_an_exact_difference_is_seldom_a_false_alarm(shares: tuple[float, ...]) -> None:
    """Campaigns of three blocks in which both cells are the same, paired and not."""
    random = np.random.default_rng(53)
    campaigns = 1000
    for paired in (True, False):
        alarms = 0
        for arms in random.choice(len(shares), size=(campaigns, 2, 3), p=shares) + 1000.0:
            first, second = (dict(enumerate(arm)) for arm in arms.tolist())
            ratio = (ratio_interval if paired else independent_ratio)(first, second)
            assert isinstance(ratio, Interval)
            alarms += ratio.exact and not ratio.unchanged
        assert alarms / campaigns < 0.05


def test_an_arm_without_variance_gives_no_interval_against_another() -> None:
    result = independent_ratio({0: [1.0], 1: [1.0]}, {0: [1.0], 1: [1.1]})
    assert isinstance(result, Interval)
    assert result.unbounded == "no variance: no interval"


@pytest.mark.parametrize("blocks", [10, 30])
def test_many_equal_blocks_and_one_outlier_have_a_finite_interval(blocks: int) -> None:
    low, high = bounds(mean_interval({block: [1.0 if block else 2.0] for block in range(blocks)}))
    assert low < 1 < high < 2


@pytest.mark.parametrize("size", [1e308, 1e-300])
def test_numbers_of_any_size_have_a_mean_and_a_ratio(size: float) -> None:
    treated, control = {0: [size, size], 1: [size / 2]}, {0: [size / 2], 1: [size / 3]}
    assert bounds(mean_interval(treated))[0] < size
    for item in (ratio_interval(treated, control), independent_ratio(treated, control)):
        assert bounds(item)[0] < math.sqrt(3) < bounds(item)[1]


MEASURED = st.floats(math.log(LEAST_SIZE), math.log(MOST_SIZE)).map(math.exp)


@given(
    pairs=st.lists(st.tuples(MEASURED, MEASURED), min_size=1, max_size=12),
    confidence=st.sampled_from([0.95, 0.97]),
)
@example(pairs=[(1e25, 1.0), (1.0, 1e25)], confidence=0.95)
@example(pairs=[(1.0, 1.0)] * 11 + [(1e21, 1e-21)], confidence=0.97)
def test_all_that_can_be_measured_has_a_finite_ratio_or_none(
    pairs: list[tuple[float, float]], confidence: float
) -> None:
    treated, control = ({block: pair[arm] for block, pair in enumerate(pairs)} for arm in (0, 1))
    for function in (ratio_interval, independent_ratio, ratio_of_effects):
        result = function(treated, control, confidence=confidence)
        if isinstance(result, Interval) and not result.unbounded:
            low, high = bounds(result)
            assert 0 < low <= high < math.inf
            assert math.isfinite(high / low)
            assert math.isfinite(smallest_effect(result) or 0)


def test_blocks_without_both_cells_do_not_count() -> None:
    treated = {0: [2.0], 1: [9.0], 2: [2.0]}
    control = {0: [1.0], 2: [1.0], 3: [5.0]}
    result = ratio_interval(treated, control)
    assert isinstance(result, Interval)
    assert result.estimate == pytest.approx(2.0)
    assert result.blocks == 2
    assert block_ratios(treated, control) == {0: 2.0, 2: 2.0}


@pytest.mark.parametrize(
    ("treated", "control", "reason"),
    [
        ({}, {0: [1.0]}, "no block has both cells"),
        ({0: [1.0]}, {1: [1.0]}, "no block has both cells"),
        ({0: [1.0]}, {0: [0.0]}, "a value is zero: no ratio"),
        ({0: [0.0]}, {0: [1.0]}, "a value is zero: no ratio"),
        ({0: [1.0]}, {0: [-1.0]}, "a value is below zero: no ratio"),
        ({0: [1.0], 1: [0.0]}, {0: [1.0], 1: [-1.0]}, "a value is below zero: no ratio"),
        ({0: [1e300]}, {0: [1e-300]}, "the values are too far apart: no ratio"),
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


@pytest.mark.parametrize("blocks", [3, 4, 20])
def test_a_half_width_needs_so_many_blocks(blocks: int) -> None:
    wanted = float(student.ppf(0.975, blocks - 1)) * 0.01 / math.sqrt(blocks)
    assert blocks_for(wanted * 1.0001, deviation=0.01) == blocks
    assert blocks_for(wanted * 0.9999, deviation=0.01) == blocks + 1
