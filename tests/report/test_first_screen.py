# SPDX-License-Identifier: MIT
"""The first screen: what kernel mode does to every workload, why, and one figure of all of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from matplotlib.axes import Axes
from support.synthetic_campaigns import Recipe, build, edit, plan

import kmlbench
from kmlbench.analysis import measurements
from kmlbench.model import Trial
from kmlbench.report import forest, plots, write
from kmlbench.results import reader
from kmlbench.results.profiles import PROFILE

WORKLOADS = ("getpid", "oltp_point_select", "wisconsin")
RECIPE = Recipe(blocks=3, workloads=WORKLOADS, noise=0.0, effect=1.0)

# Of a round: what kernel mode leaves of the kernel's part, and by how much blocks differ.
KERNEL = {"getpid": (0.5, 0.001), "oltp_point_select": (0.96, 0.002), "wisconsin": (0.9, 0.3)}
SIDES = {"user": 80_000.0, "kernel": 20_000.0}


def count(record: Any) -> None:
    """What the instrument counts; both cells of a block vary apart."""
    trial = record["trial"]
    treated = (trial["kernel"], trial["prefix"]) == ("kml", "/trusted")
    left, spread = KERNEL[trial["workload"]]
    factor = (left if treated else 1.0) * (1 + spread * (trial["block"] - 1) * (1 if treated else -0.5))
    kernel = SIDES["kernel"] * factor
    values = {"": SIDES["user"] + kernel, "_user": SIDES["user"], "_kernel": kernel}
    process = "client" if trial["workload"] == "getpid" else "together"
    record["samples"] += [
        {"metric": f"instructions{side}", "unit": "instructions", "value": value}
        | {"process": process, "driver": "sysbench"}
        for side, value in values.items()
    ]


def profile(trial: Trial) -> Mapping[str, tuple[object, ...]]:
    """Direct calls take over from the usual way, and the scheduler is a little dearer."""
    direct = trial.variant.kernel_mode
    way = (
        ("kernel mode", "kml_direct_call", 1200.0) if direct else ("entry and exit", "do_syscall_64", 2000.0)
    )
    rows = (
        ("client", "kernel", way[0], "kernel", *way[1:]),
        ("client", "kernel", "scheduler", "kernel", "__switch_to", 100.0 + 5.0 * direct),
        ("client", "user", "user code", "sysbench", "event", 5000.0 - 3000.0 * direct),
    )
    names = ("process", "side", "subsystem", "object", "function", "instructions")
    return dict(zip(names, zip(*rows, strict=True), strict=True))


@pytest.fixture(scope="module")
def campaign(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = build(tmp_path_factory.mktemp("first"), RECIPE)
    edit(directory / "outcomes.jsonl", count)
    for trial in plan(RECIPE):
        PROFILE.write(directory, trial, PROFILE.table(trial, profile(trial)))
    return directory


@pytest.fixture(scope="module")
def page(campaign: Path) -> Any:
    write.write_report(campaign)
    return json.loads((campaign / "report.json").read_text())


def sentence(page: Any, workload: str) -> str:
    (chapter,) = (chapter for chapter in page["chapters"] if chapter["workload"] == workload)
    return str(chapter["answer"]["sentence"])


def test_a_sentence_says_what_kernel_mode_does_and_why(campaign: Path, page: Any) -> None:
    assert sentence(page, "oltp_point_select") == (
        "oltp_point_select: server and client from kml:/trusted took 0.80 % fewer instructions than from "
        "stock:/usr; the kernel's part is 4.00 % less, most of it in the ways into and out of system calls."
    )
    assert page["answer"]["sentence"] == sentence(page, "wisconsin")
    assert kmlbench.read(campaign).answer().sentence == sentence(page, "wisconsin")


def test_there_is_no_reason_for_what_is_undecided(page: Any) -> None:
    assert "undecided whether" in sentence(page, "wisconsin")
    assert "kernel's part" not in sentence(page, "wisconsin")


def test_the_main_workload_comes_first_and_programs_without_a_server_last(page: Any) -> None:
    assert [chapter["workload"] for chapter in page["chapters"]] == [
        *("wisconsin", "oltp_point_select", "getpid")
    ]
    parts = [(part["workload"], part["identifier"]) for part in page["sections"]]
    assert parts[:2] == [("wisconsin", "table-2"), ("wisconsin", "whereabouts")]
    own = [identifier for workload, identifier in parts if workload == "getpid"]
    assert own[:2] == ["getpid", "instructions"]
    assert own[-1] == "published"


def test_what_is_decided_of_another_server_is_said_at_once(page: Any) -> None:
    assert [chapter["workload"] for chapter in page["chapters"] if chapter["headline"]] == [
        "oltp_point_select"
    ]


def test_what_the_emulated_counter_says_again_is_folded(page: Any) -> None:
    (part,) = (part for part in page["sections"] if part["identifier"] == "getpid")
    once, twice = part["tables"]
    assert (once["fold"], twice["fold"] != "") == ("", True)
    assert all("rdtsc" in row["label"] for group in twice["groups"] for row in group["rows"])
    assert not any("rdtsc" in row["label"] for group in once["groups"] for row in group["rows"])


def axes_of(campaign: Path) -> list[Axes]:
    source = measurements.source(reader.read_campaign(campaign))
    plot = forest.forest_plot(source, ("wisconsin", "oltp_point_select", "getpid"))
    assert plot is not None
    return plot.draw(plots.LIGHT).axes


def test_the_figure_has_every_workload_and_its_part_in_the_kernel(campaign: Path, page: Any) -> None:
    served, alone = axes_of(campaign)
    labels = [[text.get_text() for text in axes.texts][::2] for axes in (served, alone)]
    assert labels == [
        ["wisconsin", "in the kernel", "oltp_point_select", "in the kernel"],
        ["getpid", "in the kernel"],
    ]
    assert [text.get_text() for text in alone.texts][3].startswith("−50.00 [−50.")
    assert "oltp_point_select in the kernel -4 %, interval -" in page["overview"]["alternative"]
    assert (campaign / "figures" / page["overview"]["data"]).exists()


def test_an_interval_far_wider_than_what_is_decided_does_not_set_the_scale(campaign: Path) -> None:
    served, alone = axes_of(campaign)
    low, high = served.get_xlim()
    assert low < -4.5 < 0 < high < 10
    arrows = [line for line in served.lines if line.get_marker() in ("<", ">")]
    assert len(arrows) >= 2
    assert not [line for line in alone.lines if line.get_marker() in ("<", ">")]


def test_without_the_instrument_the_figure_is_of_cpu(tmp_path: Path) -> None:
    directory = build(tmp_path, Recipe(blocks=3, workloads=WORKLOADS))
    labels = [text.get_text() for axes in axes_of(directory) for text in axes.texts][::2]
    assert labels == ["wisconsin", "oltp_point_select", "getpid"]


def test_nothing_to_compare_is_no_figure(tmp_path: Path) -> None:
    source = measurements.source(reader.read_campaign(build(tmp_path, Recipe(blocks=1, missing=range(16)))))
    assert forest.forest_plot(source, ("wisconsin",)) is None


@pytest.mark.parametrize(
    ("recipe", "numbers"),
    [
        (Recipe(blocks=1, workloads=("wisconsin",), noise=0.0), "−3.30"),
        (Recipe(blocks=3, workloads=("wisconsin",), noise=0.0), "= −3.30"),
    ],
)
def test_what_has_no_interval_is_drawn_without_one(tmp_path: Path, recipe: Recipe, numbers: str) -> None:
    source = measurements.source(reader.read_campaign(build(tmp_path, recipe)))
    plot = forest.forest_plot(source, ("wisconsin",))
    assert plot is not None
    (axes,) = plot.draw(plots.LIGHT).axes
    assert axes.texts[1].get_text() == numbers
