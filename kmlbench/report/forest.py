# SPDX-License-Identifier: MIT
"""The first figure of the report: the main comparison of every workload, as a whole and in the kernel."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, ScalarFormatter

from kmlbench.analysis import measurements
from kmlbench.analysis.measurements import Source
from kmlbench.analysis.primary import COUNTED, KERNEL_PART, main_measure
from kmlbench.model import Measure, Process
from kmlbench.report import figures, plots
from kmlbench.report.figures import Plot
from kmlbench.report.plots import Series, Theme
from kmlbench.stats import format
from kmlbench.stats.intervals import MARGIN, Interval

IN_KERNEL = "in the kernel"

LINE_INCHES, AXIS_INCHES, TITLE_INCHES = 0.21, 0.42, 0.3

# Of a letter of the labels, on average, and of the room around them.
LETTER_INCHES, ROOM_INCHES, LEAST_AXES_INCHES = 0.071, 0.2, 1.3

SMALL_POINTS = 9

# What reaches so many times as far as all that is decided is cut off, and has an arrow there.
FAR = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class ForestRow:
    """A change in percent with its points. `whole`: of everything, not of the kernel's part."""

    label: str
    numbers: str
    series: Series
    whole: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """Rows on an axis of their own."""

    rows: tuple[ForestRow, ...]


def forest_plot(source: Source, workloads: Sequence[str]) -> Plot | None:
    """The figure; None where nothing can be compared.

    Workloads with a server and programs without one have an axis each: what a bare system call gains is a
    hundred times what a server does.
    """
    panels = _panels(source, workloads)
    rows = [row for panel in panels for row in panel.rows]
    if not rows:
        return None
    title = str(source.primary)
    counted = any(not row.whole for row in rows)
    what = "instructions of a round, and of their part in the kernel" if counted else "CPU"
    shown = [replace(row.series, label=_full_label(row)) for row in rows]
    return Plot(
        name="workloads",
        workload="",
        metric="",
        caption=f"Change of {what}, by workload: the mean and its {measurements.level(source)}.",
        alternative=figures.alternative(title, "%", shown),
        series=shown,
        draw=lambda theme: _draw(panels, title=title, theme=theme),
    )


def _full_label(row: ForestRow) -> str:
    return row.series.label if row.whole else f"{row.series.label} {IN_KERNEL}"


def _panels(source: Source, workloads: Sequence[str]) -> tuple[Panel, ...]:
    served = [name for name in workloads if main_measure(source, name).process is Process.TOGETHER]
    alone = [name for name in workloads if name not in served]
    panels = (
        Panel(rows=tuple(row for name in names for row in _rows(source, name))) for names in (served, alone)
    )
    return tuple(panel for panel in panels if panel.rows)


def _rows(source: Source, workload: str) -> Iterator[ForestRow]:
    whole = main_measure(source, workload)
    part = [replace(whole, metric=KERNEL_PART)] if whole.metric == COUNTED else []
    rows = (_row(source, measure, whole=measure == whole) for measure in (whole, *part))
    yield from (row for row in rows if row)


def _row(source: Source, measure: Measure, *, whole: bool) -> ForestRow | None:
    ratio = source.ratio(measure, source.primary)
    if not isinstance(ratio, Interval):
        return None
    change = format.change(ratio)
    numbers = change.text.removesuffix(" %").replace("exactly ", "= ")
    aside = change.aside if change.aside.startswith("[") else ""
    return ForestRow(
        label=measure.workload if whole else IN_KERNEL,
        numbers=f"{numbers} {aside}".strip(),
        series=Series(
            label=measure.workload,
            points=[figures.percent(ratio) for ratio in source.block_ratios(measure, source.primary)],
            estimate=figures.as_percent(ratio),
            colour=plots.LIGHT.comparison,
            marker="D" if whole else "o",
        ),
        whole=whole,
    )


def _draw(panels: Sequence[Panel], *, title: str, theme: Theme) -> Figure:
    """Names on the left, numbers on the right, as such figures are drawn."""
    rows = [row for panel in panels for row in panel.rows]
    left, right = (
        ROOM_INCHES + LETTER_INCHES * max(len(getattr(row, column)) for row in rows)
        for column in ("label", "numbers")
    )
    width = max(plots.WIDTH_INCHES, left + right + LEAST_AXES_INCHES)
    height = TITLE_INCHES + LINE_INCHES * len(rows) + AXIS_INCHES * len(panels)
    with plots.style():
        figure = Figure(figsize=(width, height))
        FigureCanvasAgg(figure)
        top = height - TITLE_INCHES
        for panel in panels:
            tall = LINE_INCHES * len(panel.rows)
            box = (left / width, (top - tall) / height, 1 - (left + right) / width, tall / height)
            _panel(figure.add_axes(box), panel.rows, theme)
            top -= tall + AXIS_INCHES
        figure.suptitle(
            title, x=0.01, ha="left", fontsize=plots.FONT_POINTS, fontweight="bold", color=theme.ink
        )
    return figure


def _panel(axes: Axes, rows: Sequence[ForestRow], theme: Theme) -> None:
    limit = _limit(rows)
    for index, row in enumerate(rows):
        _mark(axes, -index, row, limit, theme)
        weight = "bold" if row.whole else "normal"
        for x, text, side in ((-0.07, row.label, "right"), (1.07, row.numbers, "left")):
            axes.text(
                x,
                -index,
                text,
                transform=axes.get_yaxis_transform(),
                ha=side,
                va="center",
                fontsize=SMALL_POINTS,
                fontweight=weight if side == "right" else "normal",
                color=theme.ink,
            )
    axes.axvline(0, color=theme.ink, linewidth=1, zorder=1)
    axes.set_xlim(*limit)
    axes.set_ylim(0.5 - len(rows), 0.5)
    axes.set_yticks([])
    axes.xaxis.set_major_locator(MaxNLocator(nbins=4))
    axes.xaxis.set_major_formatter(ScalarFormatter(useOffset=False))
    axes.tick_params(axis="x", colors=theme.ink, labelsize=SMALL_POINTS)
    axes.set_xlabel("change, %", color=theme.ink, fontsize=SMALL_POINTS, labelpad=1)
    axes.grid(axis="x", color=theme.faint, linewidth=0.6)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(theme.ink)


def _mark(axes: Axes, y: float, row: ForestRow, limit: tuple[float, float], theme: Theme) -> None:
    interval, (least, most) = row.series.estimate, limit
    if interval.low is not None and interval.high is not None:
        ends = [max(interval.low, least), min(interval.high, most)]
        axes.plot(ends, [y] * 2, color=theme.ink, linewidth=1.5, zorder=3)
        for end, cut, arrow in ((least, interval.low < least, "<"), (most, interval.high > most, ">")):
            if cut:
                axes.plot(end, y, marker=arrow, markersize=5, color=theme.ink, clip_on=False, zorder=3)
    if not least < interval.estimate < most:
        return
    axes.plot(
        interval.estimate,
        y,
        marker=row.series.marker,
        markersize=6 if row.whole else 5.5,
        markeredgewidth=1.3,
        color=theme.comparison,
        markeredgecolor=theme.comparison,
        markerfacecolor=theme.comparison if row.whole else theme.faint,
        zorder=4,
    )


def _limit(rows: Sequence[ForestRow]) -> tuple[float, float]:
    """The ends of the axis: with zero, what is decided, and of the rest what is not far beyond that."""
    intervals_shown = [row.series.estimate for row in rows]
    decided = [_reach(interval) for interval in intervals_shown if _is_decided(interval)]
    far = FAR * max(decided, default=min(map(_reach, intervals_shown)))
    ends = [min(max(end, -far), far) for interval in intervals_shown for end in _ends(interval)]
    low, high = min(0.0, *ends), max(0.0, *ends)
    margin = max(0.06 * (high - low), plots.LEAST_SPAN * 100 / 2 - (high - low) / 2)
    return low - margin, high + margin


def _is_decided(interval: Interval) -> bool:
    low, high = interval.low, interval.high
    within = low is not None and high is not None and max(-low, high) <= MARGIN * 100
    return interval.exact or within or (low or 0.0) > 0 or (high or 0.0) < 0


def _reach(interval: Interval) -> float:
    return max(map(abs, _ends(interval)))


def _ends(interval: Interval) -> list[float]:
    return [end for end in (interval.estimate, interval.low, interval.high) if end is not None]
