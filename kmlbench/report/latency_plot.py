# SPDX-License-Identifier: MIT
"""Latency distributions as figures: from the median to the longest, every run, with the mean of each cell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from kmlbench.analysis import measurements
from kmlbench.analysis.measurements import Source
from kmlbench.model import Measure, Process, Variant
from kmlbench.plan.comparisons import planned_workloads
from kmlbench.report import figures, plots
from kmlbench.report.figures import Plot
from kmlbench.report.plots import Series, Theme
from kmlbench.stats.intervals import Interval
from kmlbench.workloads.latency import BEGINNINGS, STATISTICS

SHOWN = tuple(name for name in STATISTICS if name != "mean")

LEAST = 3  # with fewer percentiles there is no distribution to draw: the table has them

ROW_INCHES, LEGEND_INCHES, SPREAD = 0.52, 0.35, 0.62


@dataclass(frozen=True, slots=True, kw_only=True)
class Curve:
    """A cell's distribution: the statistics that it has, by name."""

    cell: Variant
    at: Mapping[str, Series]


def latency_plots(source: Source) -> tuple[Plot, ...]:
    """The distributions of every workload that has at least three percentiles."""
    return tuple(
        _plot(source, workload, name, statistics)
        for workload in planned_workloads(source.plan)
        for name in BEGINNINGS
        if len(statistics := _measured(source, workload, name)) >= LEAST
    )


def _measured(source: Source, workload: str, name: str) -> tuple[str, ...]:
    return tuple(statistic for statistic in SHOWN if source.unit(_measure(workload, name, statistic)))


def _measure(workload: str, name: str, statistic: str) -> Measure:
    return Measure(workload=workload, metric=f"{name}_{statistic}", process=Process.CLIENT)


def _plot(source: Source, workload: str, name: str, statistics: Sequence[str]) -> Plot:
    measures = {statistic: _measure(workload, name, statistic) for statistic in statistics}

    def curves(theme: Theme) -> list[Curve]:
        return list(_curves(source, measures, theme))

    title = f"{workload}: latency {BEGINNINGS[name]}"
    unit = source.unit(measures[statistics[0]]) or ""
    shown = [series for curve in curves(plots.LIGHT) for series in curve.at.values()]
    return Plot(
        name=f"{workload}-{name}",
        workload=workload,
        metric=measures[statistics[0]].metric,
        caption="Latency that so many of a run's events did not exceed, every run on a logarithmic axis; "
        f"the mean of each cell with its {measurements.level(source)}.",
        alternative=figures.alternative(title, unit, shown),
        series=shown,
        draw=lambda theme: _draw(curves(theme), statistics, title=title, axis=unit, theme=theme),
    )


def _curves(source: Source, measures: Mapping[str, Measure], theme: Theme) -> Iterator[Curve]:
    """The curve of every cell; `measures` are by statistic."""
    for cell in source.cells:
        at = {
            statistic: plots.of_cell(
                cell,
                theme,
                label=f"{cell}, {STATISTICS[statistic]}",
                values=source.of(measure, cell),
                estimate=estimate,
            )
            for statistic, measure in measures.items()
            if isinstance(estimate := source.mean(measure, cell), Interval)
        }
        if at:
            yield Curve(cell=cell, at=at)


def _draw(
    curves: Sequence[Curve], statistics: Sequence[str], *, title: str, axis: str, theme: Theme
) -> Figure:
    """A row for each statistic, in it a line for each cell, first on top."""
    with plots.style():
        size = (plots.WIDTH_INCHES, plots.MARGIN_INCHES + LEGEND_INCHES + ROW_INCHES * len(statistics))
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        many = sum(len(series.points) for curve in curves for series in curve.at.values()) > plots.MOST_POINTS
        for rank, curve in enumerate(curves):
            offset = SPREAD * (rank / max(1, len(curves) - 1) - 0.5) if len(curves) > 1 else 0.0
            for row, statistic in enumerate(statistics):
                if statistic in curve.at:
                    _mark(axes, -row - offset, curve.at[statistic], theme, as_picture=many)
        _frame(axes, statistics, theme)
        axes.set_xlabel(axis, color=theme.ink)
        _legend(figure, curves, theme)
        figure.suptitle(
            title, x=0.01, ha="left", fontsize=plots.FONT_POINTS, fontweight="bold", color=theme.ink
        )
    return figure


def _mark(axes: Axes, y: float, series: Series, theme: Theme, *, as_picture: bool) -> None:
    axes.scatter(
        series.points,
        [y] * len(series.points),
        s=14,
        marker=series.marker,
        color=series.colour,
        alpha=0.55,
        linewidth=0,
        zorder=2,
        rasterized=as_picture,
    )
    interval = series.estimate
    # A bound at or below zero has no place on a logarithmic axis; the table has it.
    if interval.low is not None and interval.high is not None and interval.low > 0:
        axes.plot([interval.low, interval.high], [y] * 2, color=theme.ink, linewidth=1.2, zorder=3)
    axes.plot(interval.estimate, y, marker="|", markersize=7, markeredgewidth=2, color=theme.ink, zorder=4)


def _frame(axes: Axes, statistics: Sequence[str], theme: Theme) -> None:
    axes.set_xscale("log")
    axes.set_ylim(0.5 - len(statistics), 0.5)
    axes.set_yticks(
        [-row for row in range(len(statistics))], [STATISTICS[statistic] for statistic in statistics]
    )
    low, high = axes.get_xlim()
    subs = (1.0,) if high > 100 * low else (1.0, 2.0, 5.0) if high > 4 * low else tuple(range(1, 10))
    axes.xaxis.set_major_locator(LogLocator(subs=subs))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.tick_params(axis="both", colors=theme.ink, length=0)
    axes.grid(axis="x", color=theme.faint, linewidth=0.6)
    axes.set_axisbelow(True)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(theme.ink)


def _legend(figure: Figure, curves: Sequence[Curve], theme: Theme) -> None:
    first = [next(iter(curve.at.values())) for curve in curves]
    handles = [
        Line2D([], [], linestyle="", marker=series.marker, color=series.colour, markersize=6)
        for series in first
    ]
    figure.legend(
        handles,
        [str(curve.cell) for curve in curves],
        loc="outside lower left",
        ncols=2,
        frameon=False,
        labelcolor=theme.ink,
        fontsize=plots.FONT_POINTS - 1,
        handletextpad=0.2,
    )
