# SPDX-License-Identifier: MIT
"""Which figures a campaign has: the measures of every workload by cell, and their changes."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from kmlbench.analysis.measurements import Source, level
from kmlbench.model import Measure
from kmlbench.plan.comparisons import planned_workloads
from kmlbench.report import plots
from kmlbench.report.plots import Bar, Series, Theme
from kmlbench.stats.intervals import Interval
from kmlbench.workloads.base import Metric
from kmlbench.workloads.registry import METRICS


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """A figure that can be drawn for a light and for a dark page. `name` is safe as a file name.

    `series` is what it shows, in the colours of the light page.
    """

    name: str
    workload: str
    metric: str
    caption: str
    alternative: str
    series: Sequence[Series]
    draw: Callable[[Theme], Figure]


@dataclass(frozen=True, slots=True, kw_only=True)
class BarPlot:
    """The same for a figure of bars."""

    name: str
    caption: str
    alternative: str
    bars: Sequence[Bar]
    draw: Callable[[Theme], Figure]


def figure_plots(data: Source) -> tuple[Plot, ...]:
    """All figures of a campaign, by workload; nothing that was not measured."""
    return tuple(
        plot
        for workload in planned_workloads(data.plan)
        for metric in METRICS.values()
        if metric.figure and (measure := _first(data, workload, metric))
        for plot in _pair(data, measure, metric)
    )


def _pair(data: Source, measure: Measure, metric: Metric) -> tuple[Plot, ...]:
    change = _changes(data, measure, metric.figure) if metric.compared else None
    return tuple(plot for plot in (_cells(data, measure, metric.figure), change) if plot)


def _first(data: Source, workload: str, metric: Metric) -> Measure | None:
    """The metric of the first of its processes for which it was measured."""
    measures = (
        Measure(workload=workload, metric=metric.name, process=process) for process in metric.processes
    )
    return next((measure for measure in measures if data.unit(measure)), None)


def _cells(data: Source, measure: Measure, name: str) -> Plot:
    def series(theme: Theme) -> list[Series]:
        return [
            plots.of_cell(
                variant, theme, label=str(variant), values=data.of(measure, variant), estimate=estimate
            )
            for variant in data.cells
            if isinstance(estimate := data.mean(measure, variant), Interval)
        ]

    shown = series(plots.LIGHT)
    title, unit = f"{measure.workload}: {name}", data.unit(measure) or ""
    return Plot(
        name=f"{measure.workload}-{measure.metric}",
        workload=measure.workload,
        metric=measure.metric,
        caption=f"{name[0].upper()}{name[1:]} of every trial; the mean of each cell with its {level(data)}.",
        alternative=alternative(title, unit, shown),
        series=shown,
        draw=lambda theme: plots.draw(series(theme), title=title, axis=unit, theme=theme),
    )


def _changes(data: Source, measure: Measure, name: str) -> Plot | None:
    def series(theme: Theme) -> list[Series]:
        return [
            Series(
                label=str(comparison),
                points=[percent(ratio) for ratio in data.block_ratios(measure, comparison)],
                estimate=as_percent(estimate),
                colour=theme.comparison,
                marker="o",
            )
            for comparison in data.comparisons
            if isinstance(estimate := data.ratio(measure, comparison), Interval)
        ]

    shown = series(plots.LIGHT)
    if not shown:
        return None
    title = f"{measure.workload}: change of {name}"
    return Plot(
        name=f"{measure.workload}-{measure.metric}-change",
        workload=measure.workload,
        metric=measure.metric,
        caption=f"Change of {name} in every block; the mean with its {level(data)}.",
        alternative=alternative(title, "%", shown),
        series=shown,
        draw=lambda theme: plots.draw(series(theme), title=title, axis="change, %", theme=theme, zero=0),
    )


def as_percent(ratio: Interval) -> Interval:
    return Interval(
        estimate=percent(ratio.estimate),
        low=None if ratio.low is None else percent(ratio.low),
        high=None if ratio.high is None else percent(ratio.high),
        blocks=ratio.blocks,
        confidence=ratio.confidence,
        exact=ratio.exact,
    )


def percent(ratio: float) -> float:
    """A ratio as a change."""
    return (ratio - 1) * 100


def alternative(title: str, unit: str, series: Sequence[Series]) -> str:
    """What a figure shows, in words: the estimate and the interval of every series."""
    return f"{title}. {'; '.join(f'{row.label} {_in_words(row.estimate, unit)}' for row in series)}."


def _in_words(estimate: Interval, unit: str) -> str:
    if estimate.low is None or estimate.high is None:
        return f"{estimate.estimate:.4g} {unit}, {estimate.unbounded}"
    return f"{estimate.estimate:.4g} {unit}, interval {estimate.low:.4g} to {estimate.high:.4g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A figure for a light and for a dark page, as data URIs. `data` is the name of its CSV file."""

    caption: str
    alternative: str
    light: str
    dark: str
    data: str


def picture(plot: Plot | BarPlot, directory: Path) -> Picture:
    """Draw a figure and store its drawings and its data in `directory`."""
    light, dark = plots.light_and_dark(plot.draw)
    for suffix, text in (("", light), ("-dark", dark)):
        (directory / f"{plot.name}{suffix}.svg").write_text(text, encoding="utf-8")
    data = f"{plot.name}.csv"
    shown = plots.plot_table(plot.series) if isinstance(plot, Plot) else plots.bar_table(plot.bars)
    (directory / data).write_text(shown, encoding="utf-8")
    return Picture(
        caption=plot.caption,
        alternative=plot.alternative,
        light=_data_uri(light),
        dark=_data_uri(dark),
        data=data,
    )


def _data_uri(svg: str) -> str:
    return "data:image/svg+xml;base64," + b64encode(svg.encode()).decode()
