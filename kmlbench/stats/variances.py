# SPDX-License-Identifier: MIT
"""What varies between blocks, between the boots of a block, and between the starts in a boot, told apart.

An analysis of variance with random effects: each block has one boot of each kernel, each boot one start from
each prefix. Estimators by expected mean squares, as in Searle, Casella and McCulloch, Variance Components
(1992), chapter 4. A negative estimate is 0: chance alone was more.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Components:
    """Standard deviations in the units of the values; None where there are too few of a kind.

    `blocks` is what all cells of a block share, such as the order of its trials; it cancels in ratios.
    """

    blocks: float | None
    boots: float | None
    starts: float | None


def components(values: Array, *, windows: float = 0.0) -> Components:
    """Of the values, shaped (blocks, kernels, prefixes), of which the kernels and prefixes may differ.

    `windows` is the part of a value's variance that the windows of its trial account for.
    """
    blocks, kernels, prefixes = values.shape
    if blocks < 2:
        return Components(blocks=None, boots=None, starts=None)
    own = values - values.mean(axis=0)
    of_boots = own.mean(axis=2)
    of_blocks = of_boots.mean(axis=1)
    left = own - of_boots[:, :, None]
    start = _mean_square(left, (blocks - 1) * kernels * (prefixes - 1))
    boot = _mean_square(of_boots - of_blocks[:, None], (blocks - 1) * (kernels - 1))
    block = _mean_square(of_blocks, blocks - 1)
    in_boot = (windows if start is None else start) / prefixes
    in_block = (in_boot if boot is None else boot) / kernels
    return Components(
        blocks=_root(block, in_block),
        boots=_root(boot, in_boot),
        starts=_root(start, windows),
    )


def _mean_square(deviations: Array, freedom: int) -> float | None:
    return float(np.sum(deviations**2)) / freedom if freedom > 0 else None


def _root(square: float | None, rest: float) -> float | None:
    return None if square is None else math.sqrt(max(0.0, square - rest))
