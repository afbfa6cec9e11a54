# SPDX-License-Identifier: MIT
"""Every figure shows all raw points and the intervals, and draws the same twice."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import matplotlib as mpl
import pytest
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from support.synthetic_campaigns import REAL, Recipe, build

from kmlbench.analysis import measurements
from kmlbench.report import figures, latency_plot, plots
from kmlbench.report.figures import Plot
from kmlbench.report.plots import Bar, Series, Theme
from kmlbench.results import reader
from kmlbench.stats.intervals import Interval

Draw = Callable[[Theme], Figure]

# Every metric that has a figure.
EACH = Recipe(workloads=("getpid", "oltp_point_select", "wisconsin"))


def of_a_real_campaign() -> list[Draw]:
    plots_of_it = figures.figure_plots(measurements.source(reader.read_campaign(REAL)))
    return [plot.draw for plot in plots_of_it]


def of_a_control(root: Path) -> list[Draw]:
    """With a second arm and a legend."""
    recipe = Recipe(blocks=2, workloads=("oltp_point_select",), control=True)
    source = measurements.source(reader.read_campaign(build(root, recipe)))
    return [plot.draw for plot in (*figures.figure_plots(source), *latency_plot.latency_plots(source))]


def of_bars(theme: Theme) -> Figure:
    bars = [Bar(label="scheduler", value=-3.0), Bar(label="all", value=-3.0)]
    return plots.draw_bars(bars, title="where", axis="instructions", theme=theme)


def of_many_points(theme: Theme) -> Figure:
    interval = Interval(estimate=0.5, low=0.4, high=0.6, blocks=2)
    points = [index / plots.MOST_POINTS for index in range(plots.MOST_POINTS + 1)]
    row = Series(label="many", points=points, estimate=interval, colour=theme.comparison, marker="o")
    return plots.draw([row], title="many", axis="s", theme=theme)


def drawn(root: Path, recipe: Recipe) -> dict[str, Plot]:
    return {
        plot.name: plot
        for plot in figures.figure_plots(measurements.source(reader.read_campaign(build(root, recipe))))
    }


def points(figure: Figure) -> list[int]:
    (axes,) = figure.axes
    # Matplotlib says that offsets are ArrayLike, which need not have a length.
    return [len(item.get_offsets()) for item in axes.collections if isinstance(item, PathCollection)]  # type: ignore[arg-type]


def test_every_measure_of_every_workload_has_its_figure(tmp_path: Path) -> None:
    assert sorted(drawn(tmp_path, Recipe(workloads=("getpid", "oltp_point_select")))) == [
        "getpid-cpu_total",
        "getpid-cpu_total-change",
        "getpid-getpid_libc_ns",
        "getpid-getpid_syscall_ns",
        "getpid-getpid_syscall_ns-change",
        "oltp_point_select-cpu_total",
        "oltp_point_select-cpu_total-change",
        "oltp_point_select-latency_mean",
        "oltp_point_select-latency_p95",
        "oltp_point_select-throughput",
        "oltp_point_select-throughput-change",
    ]


def test_all_raw_points_are_shown_also_beside_a_hole(tmp_path: Path) -> None:
    plot = drawn(tmp_path, Recipe(blocks=4, workloads=("wisconsin",), failing={0}))["wisconsin-cpu_total"]
    assert points(plot.draw(plots.LIGHT)) == [3, 4, 4, 4]


def test_a_change_shows_every_block(tmp_path: Path) -> None:
    plot = drawn(tmp_path, Recipe(blocks=3, workloads=("wisconsin",)))["wisconsin-cpu_total-change"]
    assert points(plot.draw(plots.DARK)) == [3, 3, 3, 3]
    assert "kml:/trusted against stock:/usr -3" in plot.alternative


@pytest.mark.slow
@pytest.mark.parametrize(
    "recipe", [replace(EACH, blocks=1), replace(EACH, noise=0.0), replace(EACH, noise=0.0, effect=1.0)]
)
def test_no_variance_and_no_interval_draw_without_a_warning(tmp_path: Path, recipe: Recipe) -> None:
    for plot in drawn(tmp_path, recipe).values():
        assert plots.svg(plot.draw(plots.LIGHT)).startswith("<?xml")


def test_nothing_measured_draws_nothing(tmp_path: Path) -> None:
    assert drawn(tmp_path, Recipe(blocks=1, missing=range(16))) == {}


def test_noise_is_not_magnified_into_a_difference(tmp_path: Path) -> None:
    plot = drawn(tmp_path, Recipe(noise=1e-6, effect=1.0, workloads=("wisconsin",)))[
        "wisconsin-cpu_total-change"
    ]
    low, high = plot.draw(plots.LIGHT).axes[0].get_xlim()
    assert high - low >= 2


@pytest.mark.parametrize(
    ("value", "prefix"),
    [(3e-9, "n"), (2e-5, "µ"), (0.5, ""), (3000.0, ""), (2e5, "k"), (3e8, "M"), (4e10, "G"), (5e13, "T")],
)
def test_numbers_below_an_axis_have_their_size_with_them_and_no_power_of_ten_at_its_edge(
    value: float, prefix: str
) -> None:
    interval = Interval(estimate=value, low=value * 0.9, high=value * 1.1, blocks=2)
    row = Series(label="all", points=[value, -value], estimate=interval, colour="#000000", marker="o")
    figure = plots.draw([row], title="all", axis="instructions", theme=plots.LIGHT)
    figure.draw_without_rendering()
    (axes,) = figure.axes
    assert axes.xaxis.get_offset_text().get_text() == ""
    texts = [label.get_text() for label in axes.get_xticklabels() if label.get_text() not in {"0", ""}]
    assert {text.strip("−.0123456789 ,") for text in texts} == {prefix}
    assert all(len(text) <= len("−800,000") for text in texts)


def test_the_same_figure_is_the_same_text(tmp_path: Path) -> None:
    plot = drawn(tmp_path, Recipe(workloads=("wisconsin",)))["wisconsin-cpu_total"]
    assert plots.svg(plot.draw(plots.LIGHT)) == plots.svg(plot.draw(plots.LIGHT))


@pytest.mark.slow
@pytest.mark.parametrize(
    "theirs",
    [
        "axes.formatter.use_locale: True\naxes.grid: True\naxes.linewidth: 5\nlines.linewidth: 9\n",
        "savefig.facecolor: red\nsavefig.bbox: tight\nsvg.image_inline: False\nfigure.dpi: 300\n",
        "text.usetex: True\n",
        "axes.prop_cycle: cycler('color', 'rg')\nxtick.labelsize: 30\nmathtext.fontset: cm\nsvg.id: mine\n",
    ],
)
def test_nothing_of_the_users_changes_a_figure(tmp_path: Path, theirs: str) -> None:
    recipe = Recipe(blocks=2, workloads=("oltp_point_select",))
    source = measurements.source(reader.read_campaign(build(tmp_path, recipe)))
    shown = (*figures.figure_plots(source)[:1], *latency_plot.latency_plots(source)[:1])
    draws = [*(plot.draw for plot in shown), of_bars]
    plain = [plots.svg(draw(plots.LIGHT)) for draw in draws]
    assert len(plain) == 3
    (tmp_path / "matplotlibrc").write_text(theirs)
    with mpl.rc_context(fname=tmp_path / "matplotlibrc"):
        assert [plots.svg(draw(plots.LIGHT)) for draw in draws] == plain


def test_a_dark_figure_is_the_light_one_in_the_colours_of_a_dark_page(tmp_path: Path) -> None:
    for draw in (*of_a_real_campaign()[:2], *of_a_control(tmp_path), of_bars, of_many_points):
        light, dark = plots.light_and_dark(draw)
        assert light == plots.svg(draw(plots.LIGHT))
        assert without_identifiers(dark) == without_identifiers(plots.svg(draw(plots.DARK)))
        assert plots.LIGHT.ink in light
        assert not [colour for colour in plots.LIGHT.colours if colour.lower() in dark]


def without_identifiers(svg: str) -> str:
    """Matplotlib names a marker by a hash of its form and its colour."""
    return re.sub(r"\bm[0-9a-f]{10}\b", "m", svg)


def test_nothing_reaches_out_of_a_figure(tmp_path: Path) -> None:
    for draw in (*of_a_real_campaign(), *of_a_control(tmp_path), of_bars, of_many_points):
        figure = draw(plots.LIGHT)
        figure.draw_without_rendering()
        box = figure.get_tightbbox()
        width, height = figure.get_size_inches()
        assert min(box.x0, box.y0) >= 0
        assert (box.x1 <= width, box.y1 <= height) == (True, True)
