# SPDX-License-Identifier: MIT
"""The public names of the package: a stored campaign as frames and figures."""

from __future__ import annotations

import inspect
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure
from support.paths import REPOSITORY
from support.synthetic_campaigns import Recipe, build, stored_campaign

import kmlbench
from kmlbench.errors import InputError
from kmlbench.plan.comparisons import CELLS, STOCK_USR

HEAVY = ("pandas", "matplotlib", "scipy", "pyarrow", "sqlalchemy")


def test_every_public_name_is_there_with_its_documentation() -> None:
    for name in kmlbench.__all__:
        assert getattr(kmlbench, name)
        assert name == "__version__" or inspect.getdoc(getattr(kmlbench, name))
    with pytest.raises(AttributeError, match="no attribute 'frames'"):
        _ = kmlbench.frames


def test_the_import_of_the_package_loads_nothing_heavy() -> None:
    code = f"import sys, kmlbench; print([name for name in {HEAVY!r} if name in sys.modules])"
    text = subprocess.run(
        (sys.executable, "-c", code), cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert text.stdout == "[]\n"


def test_a_campaign_is_read_once_and_shown_as_frames(tmp_path: Path) -> None:
    path = stored_campaign(tmp_path)
    campaign = kmlbench.read(path)
    assert (campaign.path, campaign.control, campaign.confidence) == (path, False, 0.95)
    assert campaign.command.startswith("run-benchmark")
    pd.testing.assert_frame_equal(campaign.samples(), kmlbench.load(path))
    pd.testing.assert_frame_equal(campaign.effects(), kmlbench.effects(path))
    pd.testing.assert_frame_equal(campaign.explanation(), kmlbench.explain(path))
    assert list(campaign.proofs()["cell"]) == [str(cell) for cell in CELLS]
    assert campaign.proofs()["agrees"].all()
    assert campaign.holes().empty
    assert campaign.half_widths().empty
    assert set(campaign.plan()["cell"]) == {str(cell) for cell in CELLS}


def test_a_hole_says_which_trial_it_is_and_why(tmp_path: Path) -> None:
    campaign = kmlbench.read(build(tmp_path, Recipe(workloads=("getpid",), failing={1}, missing={15})))
    holes = campaign.holes()
    assert list(holes["state"]) == ["failed: measure", "never ended"]
    assert holes["trial"][0].startswith("0001-")
    assert holes["cause"][1] == "the campaign ended before it did"


def test_the_half_widths_of_a_control_are_its_own_and_those_beside_it(tmp_path: Path) -> None:
    recipe = Recipe(id="c0", control=True, cells=(STOCK_USR,), workloads=("getpid",), blocks=4)
    control = kmlbench.read(build(tmp_path, recipe))
    widths = control.half_widths()
    assert {"getpid"} == set(widths["workload"])
    assert (widths["half_width"] > 0).all()
    beside = kmlbench.read(build(tmp_path, Recipe(workloads=("getpid",))))
    pd.testing.assert_frame_equal(beside.half_widths(), widths)


def test_a_figure_is_one_of_matplotlib_and_shows_itself(tmp_path: Path) -> None:
    drawing = kmlbench.read(build(tmp_path, Recipe(workloads=("getpid",), blocks=2))).figures()[0]
    assert isinstance(drawing.draw(), Figure)
    assert isinstance(drawing.draw(dark=True), Figure)
    assert drawing._repr_svg_().startswith("<?xml")
    assert "stock:/usr" in drawing.alternative


def test_what_can_be_measured_is_listed_with_its_unit_and_direction() -> None:
    metrics = kmlbench.metrics().set_index("metric")
    assert metrics.loc["throughput", "better"] == "more"
    assert metrics.loc["cpu_total", "unit"] == "s"
    assert metrics.loc["cpu_total", "processes"] == "together, server, client"
    assert metrics.loc["pass_cpu", "section"] == "CPU by kind: user and system"
    assert metrics.index.is_unique


def test_a_directory_without_a_campaign_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        kmlbench.read(tmp_path)
