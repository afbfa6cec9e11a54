# SPDX-License-Identifier: MIT
"""How often intervals hold the truth: the one that is used, and the ones that were rejected.

    .venv/bin/python benchmarks/coverage.py [CAMPAIGNS]

Each line simulates that many campaigns. A campaign is a tree: blocks, two boots in each, two server starts
in each boot, three iterations in each start, with noise at every level. `docs/decisions` quotes the output.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from kmlbench.stats import bootstrap

Array = NDArray[np.float64]
Bounds = tuple[Array, Array]
Noise = Callable[[np.random.Generator, tuple[int, ...]], Array]

BOOTS = Path(__file__).parent.parent / "tests" / "data" / "lupine" / "boots.csv"
CONFIDENCE = 0.95
BLOCKS = (3, 5, 10, 20, 34)
RESAMPLES = 1999


def real_boots(random: np.random.Generator, shape: tuple[int, ...]) -> Array:
    with BOOTS.open(newline="") as stream:
        rows = [row for row in csv.DictReader(stream) if row["arm"] == "lupine-kml"]
    pool = np.log([float(row["value"]) for row in rows if row["metric"] == "get_rps"])
    return random.choice((pool - pool.mean()) / pool.std(), shape)


NOISE: Mapping[str, Noise] = {
    "normal": lambda random, shape: random.normal(size=shape),
    "real boots": real_boots,
    "Student, 3 degrees": lambda random, shape: random.standard_t(3, size=shape),
    "exponential": lambda random, shape: random.exponential(size=shape) - 1,
    "lognormal": lambda random, shape: random.lognormal(size=shape) - np.exp(0.5),
}


def trees(random: np.random.Generator, noise: Noise, shape: tuple[int, int]) -> Array:
    """(campaigns, blocks, boots, starts, iterations) with the mean 0; every level adds normal noise."""
    return (
        noise(random, (*shape, 1, 1, 1))
        + random.normal(0, 0.4, (*shape, 2, 1, 1))
        + random.normal(0, 0.4, (*shape, 2, 2, 1))
        + random.normal(0, 0.4, (*shape, 2, 2, 3))
    )


def used(tree: Array) -> Bounds:
    return bootstrap.mean_bounds(tree.mean(axis=(2, 3, 4)), confidence=CONFIDENCE)


def student(tree: Array) -> Bounds:
    blocks = tree.mean(axis=(2, 3, 4))
    half = bootstrap.quantile(blocks.shape[1] - 1, CONFIDENCE) * stats.sem(blocks, axis=1)
    return blocks.mean(axis=1) - half, blocks.mean(axis=1) + half


def pooled(tree: Array) -> Bounds:
    every = tree.reshape(len(tree), -1)
    half = bootstrap.quantile(every.shape[1] - 1, CONFIDENCE) * stats.sem(every, axis=1)
    return every.mean(axis=1) - half, every.mean(axis=1) + half


def library(method: str) -> Callable[[Array], Bounds]:
    def bounds(tree: Array) -> Bounds:
        found = stats.bootstrap(
            (tree.mean(axis=(2, 3, 4)),),
            np.mean,
            axis=-1,
            method=method,
            n_resamples=RESAMPLES,
            batch=100,
            rng=np.random.default_rng(1),
        ).confidence_interval
        return found.low, found.high

    return bounds


def every_level(tree: Array) -> Bounds:
    """Percentiles, with blocks, boots, starts and iterations all resampled."""
    random = np.random.default_rng(1)
    bounds = [np.quantile(_resampled(random, one), (0.025, 0.975)) for one in tree]
    return np.array([low for low, _ in bounds]), np.array([high for _, high in bounds])


def _resampled(random: np.random.Generator, tree: Array) -> Array:
    resamples = np.broadcast_to(tree, (499, *tree.shape))
    for axis in range(1, tree.ndim + 1):
        shape = (*resamples.shape[: axis + 1], *(1,) * (tree.ndim - axis))
        drawn = random.integers(0, tree.shape[axis - 1], shape)
        resamples = np.take_along_axis(resamples, drawn, axis=axis)
    return np.asarray(resamples.mean(axis=(1, 2, 3, 4)))


METHODS: Mapping[str, Callable[[Array], Bounds]] = {
    "used": used,
    "Student": student,
    "BCa": library("BCa"),
    "percentile": library("percentile"),
    "every level": every_level,
    "pooled": pooled,
}


def main() -> None:
    campaigns = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    print("| noise of blocks | blocks |", " | ".join(METHODS), "|")
    for name, noise in NOISE.items():
        for blocks in BLOCKS:
            random = np.random.default_rng(blocks)
            tree = trees(random, noise, (campaigns, blocks))
            rates = []
            for method in METHODS.values():
                low, high = method(tree)
                rates.append(f"{100 * np.mean((low <= 0) & (high >= 0)):.1f}")
            print(f"| {name} | {blocks} |", " | ".join(rates), "|", flush=True)


if __name__ == "__main__":
    main()
