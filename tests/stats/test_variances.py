# SPDX-License-Identifier: MIT
"""Variances of blocks, boots and starts are told apart, without bias."""

from __future__ import annotations

import math
from dataclasses import astuple

import numpy as np
import pytest

from kmlbench.stats.variances import components


def drawn(
    random: np.random.Generator, blocks: int, *, block: float, boot: float, start: float
) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    """Values of two kernels and two prefixes, each with a level of its own."""
    levels = np.array([[0.0, 5.0], [-3.0, 1.0]])
    return (
        levels
        + block * random.standard_normal((blocks, 1, 1))
        + boot * random.standard_normal((blocks, 2, 1))
        + start * random.standard_normal((blocks, 2, 2))
    )


@pytest.mark.parametrize(
    ("block", "boot", "start"), [(1.0, 0.1, 0.1), (0.0, 1.0, 0.1), (0.1, 0.1, 1.0), (0.5, 1.0, 2.0)]
)
def test_each_is_estimated_as_it_was_drawn(block: float, boot: float, start: float) -> None:
    estimate = components(drawn(np.random.default_rng(15), 20_000, block=block, boot=boot, start=start))
    assert astuple(estimate) == pytest.approx((block, boot, start), rel=0.03, abs=0.1)


def test_what_windows_account_for_is_no_variance_of_starts() -> None:
    values = drawn(np.random.default_rng(16), 20_000, block=0.0, boot=0.0, start=1.0)
    assert components(values, windows=0.75).starts == pytest.approx(math.sqrt(0.25), rel=0.05)
    assert components(values, windows=2.0).starts == 0.0


def test_one_block_and_one_prefix_have_no_variance_of_what_does_not_vary() -> None:
    assert astuple(components(np.zeros((1, 2, 2)))) == (None, None, None)
    control = components(drawn(np.random.default_rng(17), 9, block=1.0, boot=1.0, start=0.0)[:, :, :1])
    assert control.starts is None
    assert control.boots is not None
    assert components(np.zeros((3, 1, 1))).boots is None
