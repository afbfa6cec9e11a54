# SPDX-License-Identifier: MIT
"""Every figure shows all raw points and the intervals, and draws the same twice."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import pytest
from matplotlib.collections import PathCollection
from matplotlib.figure import Figure
from support.synthetic_campaigns import Recipe, build

from kmlbench.analysis import measurements
from kmlbench.report import figures, latency_plot, plots
from kmlbench.report.figures import Plot
from kmlbench.results import reader


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
@pytest.mark.parametrize("recipe", [Recipe(blocks=1), Recipe(noise=0.0), Recipe(noise=0.0, effect=1.0)])
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


def test_the_same_figure_is_the_same_text(tmp_path: Path) -> None:
    plot = drawn(tmp_path, Recipe(workloads=("wisconsin",)))["wisconsin-cpu_total"]
    assert plots.svg(plot.draw(plots.LIGHT)) == plots.svg(plot.draw(plots.LIGHT))


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
    plot = (*figures.figure_plots(source)[:1], *latency_plot.latency_plots(source)[:1])
    plain = [plots.svg(each.draw(plots.LIGHT)) for each in plot]
    assert len(plain) == 2
    (tmp_path / "matplotlibrc").write_text(theirs)
    with mpl.rc_context(fname=tmp_path / "matplotlibrc"):
        assert [plots.svg(each.draw(plots.LIGHT)) for each in plot] == plain
