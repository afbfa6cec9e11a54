# SPDX-License-Identifier: MIT
"""Numbers as text: four significant digits, with the interval or the reason why there is none."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from kmlbench.stats.intervals import Absent, Estimate, Interval

SIGNIFICANT_DIGITS = 4

MOST_PLACES = 15  # what a float has


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One table cell: a value, its interval (or why there is none) in `aside`, the control's in `beside`."""

    text: str
    aside: str = ""
    beside: str = ""


def value(estimate: Estimate) -> Cell:
    """A mean: 0.1381 [0.1379, 0.1383]; 268.21 [268.20, 268.22], so that the ends differ."""
    match estimate:
        case Absent():
            return Cell(text="–", aside=estimate.reason)
        case Interval():
            bounds = [bound for bound in (estimate.low, estimate.high) if bound is not None]
            places = decimals(estimate.estimate, *bounds)
            if len(bounds) == 2:
                places = _apart(places, *bounds)
            return Cell(text=plain(estimate.estimate, places), aside=_bounds(estimate, places))


def change(ratio: Estimate) -> Cell:
    """A ratio as a change in percent: −3.35 % [−4.10, −2.60]; exactly −3.35 %, if it did not vary."""
    match ratio:
        case Absent():
            return Cell(text="–", aside=ratio.reason)
        case Interval():
            if ratio.exact:
                return Cell(text=f"exactly {exact_percent(ratio)} %", aside=ratio.unbounded)
            low, high = ratio.low, ratio.high
            if low is None or high is None:
                return Cell(text=f"{percent(ratio.estimate)} %", aside=ratio.unbounded)
            texts = [percent(number) for number in (ratio.estimate, low, high)]
            if texts[1] == texts[2]:
                places = _apart(_percent_places(ratio.estimate), 100 * (low - 1), 100 * (high - 1))
                texts = [percent(number, places) for number in (ratio.estimate, low, high)]
            return Cell(text=f"{texts[0]} %", aside=f"[{texts[1]}, {texts[2]}]")


def share_text(estimate: Estimate) -> Cell:
    """A part of something in percent: 0.0335 as +3.35 %, with its interval."""
    match estimate:
        case Absent():
            return change(estimate)
        case Interval():
            bounds = (None if bound is None else 1 + bound for bound in (estimate.low, estimate.high))
            low, high = bounds
            return change(replace(estimate, estimate=1 + estimate.estimate, low=low, high=high))


def percent(ratio: float, places: int | None = None) -> str:
    """0.9665 as −3.35, without the unit."""
    places = _percent_places(ratio) if places is None else places
    text = f"{(ratio - 1) * 100:+.{places}f}"
    return f"{0:.{places}f}" if float(text) == 0 else text.replace("-", "−")


def short_percent(change: float) -> str:
    """A change in percent as others publish them: −3.35, −0.95, −13.7, +26, +1,870, without the unit."""
    places = 2 if change == 0 else min(2, 2 - math.floor(math.log10(abs(change))))
    text = f"{round(change, places):+,.{max(0, places)}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in {"+0", "-0"} else text.replace("-", "−")


def exact_percent(ratio: Interval) -> str:
    """The same of an exact ratio; what is not zero is not written as zero."""
    places = _percent_places(ratio.estimate)
    while (
        places < MOST_PLACES and not ratio.unchanged and not float(f"{(ratio.estimate - 1) * 100:.{places}f}")
    ):
        places += 1
    return percent(ratio.estimate, places)


def _percent_places(ratio: float) -> int:
    return 2 if abs(ratio - 1) < 1 else 0


def _apart(places: int, low: float, high: float) -> int:
    """These decimals, or so many more that two numbers differ as written, where they do."""
    while places < MOST_PLACES and low != high and round(low, places) == round(high, places):
        places += 1
    return places


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
    whole = all(figure.is_integer() for figure in (number, *bounds))
    if largest == 0 or (whole and abs(number) < 10**SIGNIFICANT_DIGITS):
        return 0
    return SIGNIFICANT_DIGITS - 1 - math.floor(math.log10(largest))


def _bounds(interval: Interval, places: int) -> str:
    if interval.low is None or interval.high is None:
        return interval.unbounded
    return f"[{plain(interval.low, places)}, {plain(interval.high, places)}]"
