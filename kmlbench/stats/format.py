# SPDX-License-Identifier: MIT
"""Numbers as text: four significant digits, with the interval or the reason why there is none."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from kmlbench.stats.intervals import Absent, Estimate, Interval

SIGNIFICANT_DIGITS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One table cell: a value, its interval (or why there is none) in `aside`, the control's in `beside`."""

    text: str
    aside: str = ""
    beside: str = ""


def value(estimate: Estimate) -> Cell:
    """A mean: 0.1381 [0.1379, 0.1383]."""
    match estimate:
        case Absent():
            return Cell(text="–", aside=estimate.reason)
        case Interval():
            bounds = [one for one in (estimate.low, estimate.high) if one is not None]
            places = decimals(estimate.estimate, *bounds)
            return Cell(text=plain(estimate.estimate, places), aside=_bounds(estimate, places))


def change(ratio: Estimate) -> Cell:
    """A ratio as a change in percent: −3.35 % [−4.10, −2.60]."""
    match ratio:
        case Absent():
            return Cell(text="–", aside=ratio.reason)
        case Interval():
            low, high = ratio.low, ratio.high
            if low is None or high is None:
                return Cell(text=f"{percent(ratio.estimate)} %", aside=ratio.unbounded)
            return Cell(text=f"{percent(ratio.estimate)} %", aside=f"[{percent(low)}, {percent(high)}]")


def share_text(estimate: Estimate) -> Cell:
    """A part of something in percent: 0.0335 as +3.35 %, with its interval."""
    match estimate:
        case Absent():
            return change(estimate)
        case Interval():
            bounds = (None if one is None else 1 + one for one in (estimate.low, estimate.high))
            low, high = bounds
            return change(replace(estimate, estimate=1 + estimate.estimate, low=low, high=high))


def percent(ratio: float) -> str:
    """0.9665 as −3.35, without the unit."""
    change_percent = (ratio - 1) * 100
    places = 2 if abs(change_percent) < 100 else 0
    text = f"{change_percent:+.{places}f}"
    return "0.00" if float(text) == 0 else text.replace("-", "−")


def half_width_text(relative: float) -> str:
    """0.0031 as ±0.31 %; smaller numbers keep two digits."""
    places = 2 if relative >= 0.0005 or relative == 0 else 1 - math.floor(math.log10(relative * 100))
    return f"±{relative * 100:.{places}f} %"


def plain(number: float, places: int) -> str:
    """A number with `places` decimals; negative places round before the decimal point."""
    return f"{round(number, places):,.{max(0, places)}f}".replace("-", "−")


def decimals(number: float, *bounds: float) -> int:
    """How many decimals give `number` its significant digits; where it is zero, those of its bounds.

    Counts of a few digits stay whole where their bounds are whole, too.
    """
    largest = abs(number) or max(map(abs, bounds), default=0.0)
    whole = all(one.is_integer() for one in (number, *bounds))
    if largest == 0 or (whole and abs(number) < 10**SIGNIFICANT_DIGITS):
        return 0
    return SIGNIFICANT_DIGITS - 1 - math.floor(math.log10(largest))


def _bounds(interval: Interval, places: int) -> str:
    if interval.low is None or interval.high is None:
        return interval.unbounded
    return f"[{plain(interval.low, places)}, {plain(interval.high, places)}]"
