# SPDX-License-Identifier: MIT
"""Costs of another machine: exported, checked, and used for a projection that is called one."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from report.test_write import Page
from run.test_campaign import Rig
from support.synthetic_campaigns import COSTS, Recipe, build

import kmlbench
from kmlbench.analysis import cost_model, measurements, projection
from kmlbench.analysis.explanation import NO_COUNTERS, Quantity
from kmlbench.analysis.syscall_costs import KINDS
from kmlbench.cli.main import main
from kmlbench.errors import InputError
from kmlbench.model import Process
from kmlbench.plan.comparisons import CELLS, KML_TRUSTED, PRIMARY, STOCK_USR
from kmlbench.report import write
from kmlbench.results import reader
from kmlbench.stats.intervals import Absent, Interval

BAD_INPUT, DIFFERS = 2, 7
WORKLOAD = "oltp_point_select"
ELSEWHERE = Recipe(workloads=("syscalls",), platform="real hosts", saved_ns=60.0, id="metal", noise=0.0)
HERE = Recipe(workloads=(WORKLOAD, f"calls_{WORKLOAD}"), noise=0.0)


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A campaign on other hardware."""
    return build(tmp_path_factory.mktemp("elsewhere"), ELSEWHERE)


@pytest.fixture
def costs(elsewhere: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """The file that `kmlbench costs` prints of it."""
    assert main(["costs", str(elsewhere)]) == 0
    path = tmp_path / "costs-of-metal.json"
    path.write_text(capsys.readouterr().out)
    return path


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A campaign without costs of its own, of which nobody has written a report."""
    return build(tmp_path_factory.mktemp("here"), HERE)


def test_what_a_campaign_measured_is_what_the_file_says(elsewhere: Path, costs: Path) -> None:
    stored = reader.read_campaign(elsewhere)
    model = cost_model.read_cost_model(costs)
    assert model == cost_model.cost_model_of(stored)
    assert (model.platform, model.name, model.blocks) == ("real hosts", stored.directory.name, 4)
    assert model.costs[STOCK_USR]["read"] == (COSTS["read"],) * 4
    assert set(model.costs) == {STOCK_USR, KML_TRUSTED, CELLS[2]}
    assert cost_model.cost_model_json(model) == costs.read_text()


def test_the_projection_is_the_campaigns_calls_at_the_files_costs(here: Path, costs: Path) -> None:
    source = measurements.source(reader.read_campaign(here))
    projections = projection.projected(source, cost_model.read_cost_model(costs))
    assert {each.comparison.control for each in projections} == {STOCK_USR, CELLS[2]}
    together = next(
        each for each in projections if each.process is Process.TOGETHER and each.comparison == PRIMARY
    )
    numbers = {
        name: estimate.estimate
        for name, estimate in together.estimates.items()
        if isinstance(estimate, Interval)
    }
    assert numbers == pytest.approx(
        {
            Quantity.CALLS: 8,
            Quantity.SAVED: 60,
            Quantity.PREDICTED: 480,
            Quantity.FOR_WORTH: 0.1 / 60e-9,
        }
    )


def test_the_interval_is_that_of_the_costs(here: Path, tmp_path: Path) -> None:
    noisy = cost_model.cost_model_of(
        reader.read_campaign(build(tmp_path / "elsewhere", replace(ELSEWHERE, noise=0.01)))
    )
    source = measurements.source(reader.read_campaign(here))
    projections = projection.projected(source, noisy)[0].estimates
    saved, predicted = projections[Quantity.SAVED], projections[Quantity.PREDICTED]
    assert isinstance(saved, Interval)
    assert isinstance(predicted, Interval)
    assert saved.low is not None
    assert saved.low < saved.estimate
    assert predicted.low == pytest.approx(8 * saved.low)


def test_without_counted_calls_nothing_is_projected(tmp_path: Path, costs: Path) -> None:
    source = measurements.source(reader.read_campaign(build(tmp_path, replace(HERE, direct=(0, 0)))))
    for result in projection.projected(source, cost_model.read_cost_model(costs)):
        assert set(result.estimates.values()) == {Absent(reason=NO_COUNTERS)}


def test_a_cost_that_is_no_lower_saves_nothing(here: Path, tmp_path: Path) -> None:
    model = cost_model.cost_model_of(
        reader.read_campaign(build(tmp_path / "elsewhere", replace(ELSEWHERE, saved_ns=-1.0)))
    )
    source = measurements.source(reader.read_campaign(here))
    projections = projection.projected(source, model)[0].estimates
    assert projections[Quantity.FOR_WORTH] == Absent(reason="a call saves nothing")


@pytest.mark.slow
def test_the_report_calls_it_a_projection_with_its_platform(tmp_path: Path, costs: Path) -> None:
    path = build(tmp_path, HERE)
    assert main(["report", str(path), "--cost-model", str(costs)]) == 0
    text = Page(path / "report.html").text
    assert "This is a projection, not a measurement" in text
    assert "platform real hosts, processor QEMU TCG CPU version 2.5+, blocks: 4" in text
    assert "projected saving, ns" in text
    assert "add syscalls to --workloads" in text
    assert cost_model.read_cost_model(path / "costs.json") == cost_model.read_cost_model(costs)
    write.write_report(path)
    assert "projection" not in Page(path / "report.html").text
    assert not (path / "costs.json").exists()


def test_the_help_says_what_becomes_of_a_copy_of_the_costs(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["report", "--help"])
    assert "without it, DIR/costs.json is removed" in " ".join(capsys.readouterr().out.split())


def test_the_frame_tells_projection_and_measurement_apart(tmp_path: Path, costs: Path) -> None:
    path = build(tmp_path, replace(HERE, workloads=(*HERE.workloads, "syscalls")))
    frame = kmlbench.explain(path, cost_model=costs)
    rows = frame[
        (frame["quantity"] == "saved_per_call")
        & (frame["process"] == "server")
        & (frame["comparison"] == str(PRIMARY))
    ]
    name = cost_model.read_cost_model(costs).name
    assert dict(zip(rows["costs"], rows["estimate"], strict=True)) == pytest.approx(
        {"measured": 100, f"projection: {name}": 60}
    )
    assert len(frame) == 6 * 11 + 6 * 4
    assert frame["low"].isna().all()
    assert set(frame["reason"]) == {"no variation in 4 blocks"}


def without_name(record: Any) -> None:
    del record["name"]


def another_file(record: Any) -> None:
    record["what"] = "a shopping list"


def another_format(record: Any) -> None:
    record["format"] = 2


def emulated_time(record: Any) -> None:
    record["platform"] = "QEMU TCG, real time"


def an_unknown_platform(record: Any) -> None:
    record["platform"] = "a toaster"


def no_stock(record: Any) -> None:
    del record["costs_ns"]["stock:/usr"]


def an_unknown_cell(record: Any) -> None:
    record["costs_ns"]["xen:/usr"] = {}


def a_kind_less(record: Any) -> None:
    del record["costs_ns"]["kml:/trusted"]["poll"]


def an_unknown_kind(record: Any) -> None:
    record["costs_ns"]["kml:/trusted"]["ioctl"] = [1.0]


def a_shorter_list(record: Any) -> None:
    record["costs_ns"]["kml:/trusted"]["poll"].pop()


def an_empty_list(record: Any) -> None:
    record["costs_ns"]["kml:/trusted"]["poll"] = []


def a_text(record: Any) -> None:
    record["costs_ns"]["kml:/trusted"]["poll"] = ["80"]


def nothing_a_call(record: Any) -> None:
    record["costs_ns"]["kml:/trusted"]["poll"][0] = 0


def too_much_a_call(record: Any) -> None:
    record["costs_ns"]["kml:/trusted"]["poll"][0] = 1e40


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (without_name, 'field "name" is missing'),
        (another_file, 'not a file of "kmlbench costs", format 1'),
        (another_format, 'not a file of "kmlbench costs", format 1'),
        (emulated_time, 'field "platform" is "QEMU TCG, real time", none of'),
        (an_unknown_platform, 'field "platform" is "a toaster"'),
        (no_stock, 'field "costs_ns" lacks cells: stock:/usr'),
        (an_unknown_cell, "unknown cells: xen:/usr"),
        (a_kind_less, 'field "costs_ns" lacks kinds in kml:/trusted: poll'),
        (an_unknown_kind, "unknown kinds in kml:/trusted: ioctl; known: getpid"),
        (a_shorter_list, "lists of several lengths: [3, 4]"),
        (an_empty_list, 'field "costs_ns.kml:/trusted.poll" is []: expected a list of length >= 1'),
        (a_text, "field \"costs_ns.kml:/trusted.poll[0]\" is '80': expected a number"),
        (nothing_a_call, 'poll[0]" is 0: expected a number >= 1e-30'),
        (too_much_a_call, 'poll[0]" is 1e+40: expected a number <= 1e+30'),
    ],
)
def test_what_is_wrong_with_a_file_is_named(
    here: Path,
    costs: Path,
    damage: Callable[[Any], None],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    record = json.loads(costs.read_text())
    del record["crc32"]
    damage(record)
    costs.write_text(json.dumps(record))
    assert main(["report", str(here), "--cost-model", str(costs)]) == BAD_INPUT
    printed = capsys.readouterr().err
    assert f"{costs}: " in printed
    assert message in printed
    assert "remedy: make the file with `kmlbench costs DIR`" in printed
    assert not (here / "report.html").exists()


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode(errors="replace")))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
def test_anything_else_is_bad_input(tmp_path: Path, content: bytes) -> None:
    (path := tmp_path / "anything").write_bytes(content)
    with pytest.raises(InputError):
        cost_model.read_cost_model(path)


def test_a_bit_of_a_sealed_file_is_seen(costs: Path) -> None:
    costs.write_text(costs.read_text().replace("630", "631", 1))
    with pytest.raises(InputError, match="checksum"):
        cost_model.read_cost_model(costs)
    with pytest.raises(InputError, match="cannot be read"):
        cost_model.read_cost_model(costs.with_name("nowhere"))


@pytest.mark.parametrize(
    ("recipe", "message"),
    [
        (replace(ELSEWHERE, workloads=("getpid",)), "no block has the costs"),
        (replace(ELSEWHERE, cells=CELLS[:2]), "no block has the costs"),
        (replace(ELSEWHERE, platform="QEMU TCG, real time"), "says nothing about what a call costs"),
        (replace(ELSEWHERE, saved_ns=400), "call_getpid_ns is -178.1 in kml:/trusted, block 0: the loops"),
    ],
)
def test_a_campaign_without_costs_has_no_file(
    tmp_path: Path, recipe: Recipe, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["costs", str(build(tmp_path, recipe))]) == BAD_INPUT
    printed = capsys.readouterr()
    assert message in printed.err
    assert "remedy" in printed.err
    assert printed.out == ""


def test_a_block_without_a_cell_is_left_out(tmp_path: Path) -> None:
    path = build(tmp_path, replace(ELSEWHERE, missing={0}))
    assert cost_model.cost_model_of(reader.read_campaign(path)).blocks == 3


@pytest.mark.slow
def test_a_file_made_by_hand_is_as_good(tmp_path: Path) -> None:
    cells = {
        str(cell): {kind: [cost] for kind in KINDS} for cell, cost in ((STOCK_USR, 90), (KML_TRUSTED, 30))
    }
    (path := tmp_path / "by-hand.json").write_text(
        json.dumps(
            {
                **{"format": 1, "what": "kmlbench costs", "name": "<b>mine</b>", "measured_utc": "today"},
                **{"platform": "real hosts", "cpu_model": "a processor", "costs_ns": cells},
            }
        )
    )
    page = Page(write.write_report(build(tmp_path, HERE), cost_model=path))
    assert "<b>mine</b>" in page.text
    assert "b" not in page.tags
    assert "one block: no interval" in page.text


@pytest.mark.slow
def test_verify_derives_the_projection_again(
    tmp_path: Path, costs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = Rig(directory=tmp_path / "here").run().directory
    assert main(["report", str(whole), "--cost-model", str(costs)]) == 0
    assert main(["verify", str(whole)]) == 0
    page = (whole / "report.html").read_text()
    assert "there is nothing to project" in page
    (whole / "report.html").write_text(page.replace("<td>630<small>", "<td>629<small>"))
    assert main(["verify", str(whole)]) == DIFFERS
    assert "row 'read', column 'stock:/usr, ns': '629' is there, '630' is derived" in capsys.readouterr().err
    (whole / "report.html").write_text(page)
    model = cost_model.read_cost_model(whole / "costs.json")
    forged = {cell: {**kinds, "read": (650.0,) * 4} for cell, kinds in model.costs.items()}
    (whole / "costs.json").write_text(cost_model.cost_model_json(replace(model, costs=forged)))
    assert main(["verify", str(whole)]) == DIFFERS
    (whole / "costs.json").unlink()
    assert main(["verify", str(whole)]) == BAD_INPUT
    assert "costs.json: cannot be read" in capsys.readouterr().err
