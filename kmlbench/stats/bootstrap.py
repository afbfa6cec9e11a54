# SPDX-License-Identifier: MIT
"""Intervals for the mean of a few numbers, one per block, for many series at once.

Blocks are resampled whole: a block's number is the mean of its boots, each the mean of its server starts,
each the mean of its iterations, and resampling inside a block as well would count that noise twice
(Davison and Hinkley, Bootstrap Methods and their Application, 3.8). The studentised bootstrap needs some
blocks; with fewer it is Student's t. docs/decisions/0011 has the coverage of both and of what was rejected.

Arrays end with the axis of blocks. Resampling is seeded: the same numbers give the same interval.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import scipy
from numpy.typing import NDArray

RESAMPLES = 4999

FEWEST_BLOCKS = 10

SEED = 20051101

FLAT = 1e-12  # a relative spread below this is rounding

Array = NDArray[np.float64]

Bounds = tuple[Array, Array]


def quantile(freedom: float | Array, confidence: float) -> Array:
    """Student's t that leaves (1 - confidence) / 2 on each side."""
    return np.asarray(scipy.special.stdtrit(freedom, (1 + confidence) / 2), dtype=np.float64)


def half_width(deviation: float | Array, count: int | Array, confidence: float) -> Array:
    """Student's half-width of the mean of `count` numbers with this standard deviation."""
    return np.asarray(quantile(count - 1, confidence) * (deviation / np.sqrt(count)), dtype=np.float64)


def welch(squares: Sequence[Array], counts: Sequence[int], confidence: float) -> Array:
    """The half-width of the difference of two means, from the squares of their errors.

    Welch's degrees of freedom (1947), but at most twice those of the smaller arm: three blocks against twenty
    would miss in 7.6 % of cases, and with this limit in 5.5 % (docs/decisions/0011).
    """
    square = squares[0] + squares[1]
    parts = sum(arm_square**2 / (count - 1) for arm_square, count in zip(squares, counts, strict=True))
    freedom = np.minimum(square**2 / parts, 2 * (min(counts) - 1))
    return np.asarray(quantile(freedom, confidence) * np.sqrt(square))


def mean_bounds(blocks: Array, *, confidence: float) -> Bounds:
    """The interval of the mean of each series, which must have two blocks and some variance."""
    count = blocks.shape[-1]
    mean, deviation = blocks.mean(axis=-1), blocks.std(axis=-1, ddof=1)
    half = half_width(deviation, count, confidence)
    if count < FEWEST_BLOCKS:
        return mean - half, mean + half
    return _around(mean, deviation / math.sqrt(count), half, _students(blocks), confidence)


def log_ratio_bounds(treated: Array, control: Array, *, confidence: float) -> Bounds:
    """The interval of log(mean(treated) / mean(control)) for arms that share no block: Welch's t, or its
    bootstrap where both arms have the blocks. The numbers must be positive and both arms vary.
    """
    arms = [arm / arm.mean(axis=-1, keepdims=True) for arm in (treated, control)]
    counts = [arm.shape[-1] for arm in arms]
    squares = [arm.var(axis=-1, ddof=1) / count for arm, count in zip(arms, counts, strict=True)]
    half = welch(squares, counts, confidence)
    centre = np.log(treated.mean(axis=-1)) - np.log(control.mean(axis=-1))
    if min(counts) < FEWEST_BLOCKS:
        return centre - half, centre + half
    (upper, upper_square), (lower, lower_square) = (_logs(arm, index) for index, arm in enumerate(arms))
    students = _studentise(upper - lower, upper_square + lower_square)
    return _around(centre, np.sqrt(squares[0] + squares[1]), half, students, confidence)


def _around(centre: Array, error: Array, half: Array, students: Array, confidence: float) -> Bounds:
    """The studentised interval; Student's where so many blocks are equal that resamples do not vary."""
    tail = (1 - confidence) / 2
    low, high = np.quantile(students, [tail, 1 - tail], axis=0, method="closest_observation")
    usable = np.isfinite(low) & np.isfinite(high)
    above = np.where(usable, -np.where(usable, low, 0) * error, half)
    below = np.where(usable, np.where(usable, high, 0) * error, half)
    return centre - below, centre + above


def _students(blocks: Array) -> Array:
    """t of every resample: (resamples, ...)."""
    spread = blocks.std(axis=-1, ddof=1, keepdims=True)
    means, variances = _resampled((blocks - blocks.mean(axis=-1, keepdims=True)) / spread, 0)
    return _studentise(means, variances / blocks.shape[-1])


def _logs(arm: Array, index: int) -> Bounds:
    """Of every resample of an arm with mean 1: the log of its mean, and the square of that log's error."""
    means, variances = _resampled(arm - 1, index)
    means = np.maximum(means, FLAT - 1)
    return np.log1p(means), variances / arm.shape[-1] / (1 + means) ** 2


def _studentise(distance: Array, square: Array) -> Array:
    flat = square <= FLAT**2
    beyond = np.where(np.abs(distance) <= FLAT, 0, np.copysign(np.inf, distance))
    return np.where(flat, beyond, distance / np.sqrt(np.where(flat, 1, square)))


def _resampled(blocks: Array, index: int) -> Bounds:
    """Means and variances of the resamples of centred series, (resamples, ...) each."""
    count = blocks.shape[-1]
    weights = _weights(count, index)
    means = np.tensordot(weights, blocks, axes=(1, -1))
    squares = np.tensordot(weights, blocks**2, axes=(1, -1))
    return means, np.maximum(squares - means**2, 0) * count / (count - 1)


@lru_cache(maxsize=16)
def _weights(count: int, index: int) -> Array:
    """How much of each block is in each resample, (resamples, blocks); `index` tells the arms apart."""
    random = np.random.default_rng((SEED, count, index))
    drawn = random.multinomial(count, np.full(count, 1 / count), size=RESAMPLES)
    return drawn.astype(np.float64) / count
