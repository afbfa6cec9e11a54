# SPDX-License-Identifier: MIT
"""Drawing of figures: every raw point, and the interval of every mean. Readable at a width of 400 pixels."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator, ScalarFormatter

from kmlbench.model import Variant
from kmlbench.plan.comparisons import ARMS, CELLS, KML_TRUSTED, KML_USR, STOCK_TRUSTED, STOCK_USR
from kmlbench.stats.intervals import Interval, Values

WIDTH_INCHES, ROW_INCHES, BAR_INCHES, MARGIN_INCHES = 4.6, 0.62, 0.24, 0.95

# Around the axes of rows: half of a number at either end, the title, the numbers with their unit.
SIDE_INCHES, TITLE_INCHES, UNIT_INCHES = 0.3, 0.27, 0.48

FONT_POINTS = 10

# Points of a figure beyond which they are rasterised, to bound its size.
MOST_POINTS = 2000

PICTURE_DPI = 100

# Outside of these, numbers below an axis are shortened: 1.5 M, 20 µ. Matplotlib would write a power of ten at
# the edge, once.
SMALL, LARGE = 1e-4, 1e5

LEAST_SPAN = 0.01  # of the value: a narrower axis would show noise as a difference


@dataclass(frozen=True, slots=True, kw_only=True)
class Theme:
    """The colours of a figure on a light or a dark page; the background is the page's.

    `twin` is arm B of a control; arm A looks like its cell.
    """

    ink: str
    faint: str
    cells: Mapping[Variant, str]
    twin: str
    comparison: str

    @property
    def colours(self) -> tuple[str, ...]:
        """By role, in the same order in every theme."""
        cells = (self.cells[cell] for cell in CELLS)
        return (self.ink, self.faint, self.twin, self.comparison, *cells)


# Okabe and Ito's palette for colour-blind readers; markers differ as well.
LIGHT = Theme(
    ink="#1b1f24",
    faint="#c5cad1",
    comparison="#0072B2",
    cells={STOCK_USR: "#0072B2", STOCK_TRUSTED: "#009E73", KML_USR: "#B8860B", KML_TRUSTED: "#D55E00"},
    twin="#9E3D78",
)

DARK = Theme(
    ink="#e6e8eb",
    faint="#4a515b",
    comparison="#56B4E9",
    cells={STOCK_USR: "#56B4E9", STOCK_TRUSTED: "#2FBF9A", KML_USR: "#F0C040", KML_TRUSTED: "#FF8A4C"},
    twin="#E39AC6",
)

# As Matplotlib writes them.
_DARK_FOR = {light.lower(): dark.lower() for light, dark in zip(LIGHT.colours, DARK.colours, strict=True)}

_COLOUR = re.compile("(?<=: )#[0-9a-f]{6}")

MARKERS: Mapping[Variant, str] = {STOCK_USR: "o", STOCK_TRUSTED: "s", KML_USR: "^", KML_TRUSTED: "D"}

TWIN_MARKER = "v"


# Not the backend, which is no part of a drawing.
_OWN_STYLE = {
    **{name: value for name, value in mpl.rcParamsDefault.items() if not name.startswith("backend")},
    "font.size": FONT_POINTS,
    "font.family": "DejaVu Sans",
    "svg.hashsalt": "kmlbench",
    "svg.fonttype": "path",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Series:
    """One row of a figure: its raw points and their estimate, in the unit of the axis."""

    label: str
    points: Sequence[float]
    estimate: Interval
    colour: str
    marker: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """A bar from zero, of a figure whose last one is the sum of the others."""

    label: str
    value: float


def of_cell(cell: Variant, theme: Theme, *, label: str, values: Values, estimate: Interval) -> Series:
    """The values of a cell, or of an arm of a control, in its colour and with its marker."""
    twin, plain = cell.arm == ARMS[1], replace(cell, arm="")
    return Series(
        label=label,
        points=[value for block in values.values() for value in block],
        estimate=estimate,
        colour=theme.twin if twin else theme.cells[plain],
        marker=TWIN_MARKER if twin else MARKERS[plain],
    )


@contextmanager
def style() -> Iterator[None]:
    """Matplotlib as it comes, whatever the user's matplotlibrc says, with what all figures have in common."""
    with mpl.rc_context(_OWN_STYLE):
        yield


def draw(
    series: Sequence[Series], *, title: str, axis: str, theme: Theme, zero: float | None = None
) -> Figure:
    """A row for each series, first on top. `zero` is where "no difference" lies, if the axis has it."""
    with style():
        height = MARGIN_INCHES + ROW_INCHES * len(series)
        figure = Figure(figsize=(WIDTH_INCHES, height))
        FigureCanvasAgg(figure)
        axes = figure.add_axes(_between(WIDTH_INCHES, height))
        many = sum(len(row.points) for row in series) > MOST_POINTS
        for index, row in enumerate(series):
            _row(axes, -index, row, theme, as_picture=many)
        if zero is not None:
            axes.axvline(zero, color=theme.ink, linewidth=1, zorder=1)
        _frame(axes, len(series), theme)
        _span(axes, zero)
        axes.set_xlabel(axis, color=theme.ink)
        figure.suptitle(title, x=0.01, ha="left", fontsize=FONT_POINTS, fontweight="bold", color=theme.ink)
    return figure


def draw_bars(bars: Sequence[Bar], *, title: str, axis: str, theme: Theme) -> Figure:
    """Bars to both sides of zero, first on top; the last one, their sum, apart."""
    rows = [-index - (index == len(bars) - 1) * 0.4 for index in range(len(bars))]
    colours = [theme.comparison] * (len(bars) - 1) + [theme.ink]
    with style():
        figure = Figure(figsize=(WIDTH_INCHES, MARGIN_INCHES + BAR_INCHES * len(bars)), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        axes.barh(rows, [bar.value for bar in bars], height=0.7, color=colours, zorder=2)
        axes.axvline(0, color=theme.ink, linewidth=1, zorder=3)
        _frame(axes, len(bars), theme)
        axes.set_ylim(rows[-1] - 0.6, 0.6)
        axes.set_yticks(rows, [bar.label for bar in bars], color=theme.ink)
        axes.tick_params(axis="y", length=0)
        axes.set_xlabel(axis, color=theme.ink)
        figure.suptitle(title, x=0.01, ha="left", fontsize=FONT_POINTS, fontweight="bold", color=theme.ink)
    return figure


def svg(figure: Figure) -> str:
    """The figure as SVG on a transparent background; the same figure gives the same text."""
    stream = io.StringIO()
    with style():
        figure.savefig(stream, format="svg", transparent=True, dpi=PICTURE_DPI, metadata={"Date": None})
    return stream.getvalue()


def light_and_dark(draw: Callable[[Theme], Figure]) -> tuple[str, str]:
    """The figure as SVG for a light and for a dark page: the same drawing in other colours.

    Only where its points are a raster image it is drawn twice.
    """
    light = svg(draw(LIGHT))
    if "<image " in light:
        return light, svg(draw(DARK))
    return light, _COLOUR.sub(lambda colour: _DARK_FOR[colour[0]], light)


def bar_table(bars: Sequence[Bar]) -> str:
    """What a figure of bars shows, as CSV."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(("bar", "value"))
    writer.writerows((bar.label, bar.value) for bar in bars)
    return stream.getvalue()


def plot_table(series: Sequence[Series]) -> str:
    """What a figure shows, as CSV: the points of every series, its estimate and the ends of its interval."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(("series", "kind", "value"))
    for row in series:
        ends = {"estimate": row.estimate.estimate, "low": row.estimate.low, "high": row.estimate.high}
        writer.writerows((row.label, "point", point) for point in row.points)
        writer.writerows((row.label, kind, value) for kind, value in ends.items() if value is not None)
    return stream.getvalue()


def _between(width: float, height: float) -> tuple[float, float, float, float]:
    """Left, bottom, width and height of the axes, as shares of a figure of this size in inches.

    Matplotlib's layout engine finds about the same, and takes longer than the drawing.
    """
    return (
        SIDE_INCHES / width,
        UNIT_INCHES / height,
        1 - 2 * SIDE_INCHES / width,
        1 - (UNIT_INCHES + TITLE_INCHES) / height,
    )


def _row(axes: Axes, y: float, series: Series, theme: Theme, *, as_picture: bool) -> None:
    count = len(series.points)
    axes.scatter(
        # matplotlib looks for masks in each item of a list.
        np.asarray(series.points),
        y - 0.16 + 0.16 * np.arange(count) / max(1, count - 1),
        s=16,
        marker=series.marker,
        color=series.colour,
        alpha=0.55,
        linewidth=0,
        zorder=2,
        rasterized=as_picture,
    )
    interval = series.estimate
    if interval.low is not None and interval.high is not None:
        axes.plot([interval.low, interval.high], [y - 0.3] * 2, color=theme.ink, linewidth=1.5, zorder=3)
    axes.plot(
        interval.estimate, y - 0.3, marker="|", markersize=9, markeredgewidth=2.5, color=theme.ink, zorder=4
    )
    axes.text(
        0, y + 0.2, series.label, transform=axes.get_yaxis_transform(), color=series.colour, va="center"
    )


def _frame(axes: Axes, rows: int, theme: Theme) -> None:
    axes.set_ylim(0.55 - rows, 0.5)
    axes.set_yticks([])
    largest = max(map(abs, axes.get_xlim()))
    plain = ScalarFormatter(useOffset=False)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=4 if largest >= LARGE else 5))
    axes.xaxis.set_major_formatter(plain if SMALL <= largest < LARGE else EngFormatter())
    axes.tick_params(axis="x", colors=theme.ink)
    axes.grid(axis="x", color=theme.faint, linewidth=0.6)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(theme.ink)


def _span(axes: Axes, zero: float | None) -> None:
    low, high = axes.get_xlim()
    middle = (low + high) / 2
    least = 2 * LEAST_SPAN * 100 if zero is not None else abs(middle) * LEAST_SPAN
    if high - low < least:
        axes.set_xlim(middle - least / 2, middle + least / 2)
