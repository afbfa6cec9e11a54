# SPDX-License-Identifier: MIT
"""Four significant digits, the interval at the same decimals, a dash with its reason."""

from __future__ import annotations

import pytest

from kmlbench.stats.format import Cell, change, value
from kmlbench.stats.intervals import Absent, Interval


@pytest.mark.parametrize(
    ("interval", "text", "aside"),
    [
        ((0.138123, 0.1379, 0.13837), "0.1381", "[0.1379, 0.1384]"),
        ((218.34, 218.2, 218.5), "218.3", "[218.2, 218.5]"),
        ((14523.4, 14380.0, 14666.0), "14,520", "[14,380, 14,670]"),
        ((4002.0, 4002.0, 4002.0), "4,002", "[4,002, 4,002]"),
        ((0.0, 0.0, 0.0), "0", "[0, 0]"),
        ((10.0, 9.6, 10.4), "10.00", "[9.60, 10.40]"),
        ((10.0, 9.0, 11.0), "10", "[9, 11]"),
        ((0.0, -0.4, 0.4), "0.0000", "[−0.4000, 0.4000]"),
        ((0.00012346, -0.0001, 0.0003), "0.0001235", "[−0.0001000, 0.0003000]"),
        ((12.0, None, None), "12", "no variance: no interval"),
        ((268.2, 268.19, 268.21), "268.20", "[268.19, 268.21]"),
        ((14523.4, 14523.0, 14523.8), "14,523", "[14,523, 14,524]"),
    ],
)
def test_a_mean_has_four_digits(
    interval: tuple[float, float | None, float | None], text: str, aside: str
) -> None:
    estimate, low, high = interval
    result = value(Interval(estimate=estimate, low=low, high=high, blocks=4))
    assert result == Cell(text=text, aside=aside)


@pytest.mark.parametrize(
    ("interval", "text", "aside"),
    [
        ((0.9665, 0.961, 0.972), "−3.35 %", "[−3.90, −2.80]"),
        ((1.00001, 0.99, 1.012), "0.00 %", "[−1.00, +1.20]"),
        ((0.99999, 0.99, 1.01), "0.00 %", "[−1.00, +1.00]"),
        ((36.0, 30.0, 40.0), "+3500 %", "[+2900, +3900]"),
        ((0.9, None, None), "−10.00 %", "no variance: no interval"),
        ((0.52612, 0.526118, 0.526122), "−47.3880 %", "[−47.3882, −47.3878]"),
        ((36.0, 35.999, 36.002), "+3500.0 %", "[+3499.9, +3500.2]"),
    ],
)
def test_a_ratio_is_told_as_a_change(
    interval: tuple[float, float | None, float | None], text: str, aside: str
) -> None:
    estimate, low, high = interval
    result = change(Interval(estimate=estimate, low=low, high=high, blocks=4))
    assert result == Cell(text=text, aside=aside)


def test_what_is_absent_is_a_dash_with_its_reason() -> None:
    absent = Absent(reason="not measured")
    assert value(absent) == change(absent) == Cell(text="–", aside="not measured")


def test_one_block_is_another_reason_than_equal_blocks() -> None:
    alone = Interval(estimate=12.0, low=None, high=None, blocks=1)
    assert value(alone).aside == change(alone).aside == "one block: no interval"


@pytest.mark.parametrize(
    ("ratio", "text"),
    [(0.5, "exactly −50.00 %"), (1.0, "exactly 0.00 %"), (1.000002, "exactly +0.0002 %")],
)
def test_what_did_not_vary_is_called_exact(ratio: float, text: str) -> None:
    exact = Interval(estimate=ratio, low=None, high=None, blocks=3, exact=True)
    assert change(exact) == Cell(text=text, aside="no variation in 3 blocks")
    assert value(exact).aside == "no variation in 3 blocks"
