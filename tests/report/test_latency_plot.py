# SPDX-License-Identifier: MIT
"""Latency distributions show every run at every percentile, and none where nothing was measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from matplotlib.collections import PathCollection
from support.synthetic_campaigns import Recipe, build

from kmlbench.analysis import measurements
from kmlbench.analysis.measurements import Source
from kmlbench.model import Measure, Process, Variant
from kmlbench.plan.comparisons import CELLS
from kmlbench.report import figures, latency_plot, plots
from kmlbench.report.figures import Plot
from kmlbench.results import reader


def source(root: Path, recipe: Recipe) -> Source:
    return measurements.source(reader.read_campaign(build(root, recipe)))


def drawn(root: Path) -> Plot:
    (plot,) = latency_plot.latency_plots(source(root, Recipe(workloads=("getpid", "oltp_point_select"))))
    return plot


def test_every_run_stands_at_every_percentile(tmp_path: Path) -> None:
    plot = drawn(tmp_path)
    (axes,) = plot.draw(plots.LIGHT).axes
    rows = [label.get_text() for label in axes.get_yticklabels()]
    points = [item for item in axes.collections if isinstance(item, PathCollection)]
    assert rows == ["median", "95th percentile", "99th percentile", "longest"]
    assert axes.get_xscale() == "log"
    assert len(points) == len(plot.series) == 4 * len(rows)
    assert {len(item.points) for item in plot.series} == {4}


def test_its_data_and_its_words_have_every_cell(tmp_path: Path) -> None:
    plot = drawn(tmp_path)
    lines = plots.plot_table(plot.series).splitlines()
    assert sum(line.startswith('"kml:/trusted, 99th percentile",point,') for line in lines) == 4
    assert "kml:/usr, longest 1.8" in plot.alternative
    assert "interval" in plot.alternative


def test_a_dark_page_has_other_colours_and_the_same_figure(tmp_path: Path) -> None:
    plot = drawn(tmp_path)
    light, dark = (plots.svg(plot.draw(theme)) for theme in (plots.LIGHT, plots.DARK))
    assert plots.LIGHT.ink in light
    assert plots.LIGHT.ink not in dark
    assert plots.svg(plot.draw(plots.LIGHT)) == light


@pytest.mark.parametrize("cell", CELLS, ids=str)
@pytest.mark.parametrize("theme", [plots.LIGHT, plots.DARK], ids=["light", "dark"])
def test_the_arms_of_a_control_differ_in_colour_and_in_marker(
    tmp_path: Path, cell: Variant, theme: plots.Theme
) -> None:
    recipe = Recipe(workloads=("oltp_point_select",), control=True, cells=(cell,))
    result = source(tmp_path, recipe)
    (latency,) = latency_plot.latency_plots(result)
    (legend,) = latency.draw(theme).legends
    assert [text.get_text() for text in legend.get_texts()] == [f"{cell} A", f"{cell} B"]
    marks = [(line.get_color(), line.get_marker()) for line in legend.get_lines()]
    of_cells = {(theme.cells[each], plots.MARKERS[each]) for each in CELLS}
    assert marks[0] == (theme.cells[cell], plots.MARKERS[cell])
    assert marks[1][0] not in {colour for colour, _ in of_cells}
    assert marks[1][1] not in {marker for _, marker in of_cells}
    if theme is plots.LIGHT:
        for plot in figures.figure_plots(result):
            if not plot.name.endswith("-change"):
                assert [(item.colour, item.marker) for item in plot.series] == marks


def test_two_percentiles_are_no_distribution(tmp_path: Path) -> None:
    result = source(tmp_path, Recipe(workloads=("oltp_point_select",)))
    few = {
        Measure(workload="oltp_point_select", metric=f"latency_{name}", process=Process.CLIENT): "ms"
        for name in ("mean", "p50", "p95")
    }
    assert latency_plot.latency_plots(replace(result, stored_units=few)) == ()
