# SPDX-License-Identifier: MIT
"""What others published stands beside a workload of the same name, in a fold, and changes no answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.synthetic_campaigns import Recipe, build

from kmlbench.analysis import measurements, published
from kmlbench.analysis.published import Figure
from kmlbench.report import elsewhere, write
from kmlbench.results import reader

RECIPE = Recipe(blocks=2, workloads=("redis_get", "oltp_point_select"))

OTHERS = """format = 1
name = "Somebody"
about = "<b>a miracle</b>"

[[source]]
id = "page"
title = "A page"
author = "Some Body"
date = "2026"

[[figure]]
workloads = ["oltp_point_select"]
load = "point selects"
measure = "CPU time"
against = "everything else"
platform = "a machine of theirs"
source = "page"
place = "at the end"
quote = "99 % less"
percent = -99
"""


def report(directory: Path) -> Any:
    write.write_report(directory)
    return json.loads((directory / "report.json").read_text())


def parts(page: Any) -> dict[str, Any]:
    """What was published of each workload."""
    return {part["workload"]: part for part in page["sections"] if part["identifier"] == "published"}


def workloads_with_figures(directory: Path, recipe: Recipe) -> list[str]:
    stored = reader.read_campaign(directory)
    found = elsewhere.published_sections(
        measurements.source(stored), stored.campaign.platform, recipe.workloads
    )
    return [part.workload for part in found]


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return report(build(tmp_path_factory.mktemp("written"), RECIPE))


@pytest.fixture(scope="module")
def of_others(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same campaign where others published nothing but of a workload without figures otherwise."""
    root = tmp_path_factory.mktemp("others")
    (root / "others.toml").write_text(OTHERS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("kmlbench.analysis.published.PUBLISHED", root)
        published.peers.cache_clear()
        directory = build(root, RECIPE)
        write.write_report(directory)
    published.peers.cache_clear()
    return directory


def test_a_workload_has_what_others_published_of_it_in_a_fold_after_its_own(written: Any) -> None:
    part = parts(written)["redis_get"]
    assert part["folded"]
    assert part["title"] == "Published elsewhere"
    mine = [section for section in written["sections"] if section["workload"] == "redis_get"]
    assert mine[-1] == part
    (table,) = part["tables"]
    own, *rest = table["groups"]
    cpu = next(section for section in mine if section["identifier"] == "cpu")["tables"][0]
    assert own["title"] == "this campaign: kml:/trusted"
    assert own["rows"][0]["cells"][3] == {
        "text": "QEMU TCG, instruction clock",
        "aside": "this campaign",
        "beside": "",
    }
    assert own["rows"][0]["cells"][0] == cpu["groups"][0]["rows"][0]["cells"][cpu["first_change"]]
    assert [group["title"].partition(":")[0] for group in rest] == [
        *("Lupine", "Privbox", "UKL", "Userspace Bypass", "zpoline")
    ]
    change, measure, against, place = rest[0]["rows"][0]["cells"]
    assert change == {"text": "+0.94 %", "aside": "[+0.32, +1.72]", "beside": ""}
    assert (measure["text"], against["text"]) == ("requests a second", "the same kernel without KML")
    assert place["text"].startswith("Firecracker guest")
    assert "EuroSys 2020" in place["aside"]


def test_a_workload_without_published_figures_has_none(written: Any) -> None:
    assert set(parts(written)) == {"redis_get"}


def test_a_control_has_none(tmp_path: Path) -> None:
    recipe = Recipe(blocks=2, workloads=("getpid",), control=True)
    assert workloads_with_figures(build(tmp_path, recipe), recipe) == []


def test_a_workload_that_was_not_measured_has_none(tmp_path: Path) -> None:
    recipe = Recipe(blocks=1, workloads=("redis_get", "getpid"), missing={0, 1, 4, 5})
    assert workloads_with_figures(build(tmp_path, recipe), recipe) == ["getpid"]


def test_a_file_of_toml_is_all_that_another_workload_takes_and_its_texts_are_texts(of_others: Path) -> None:
    (part,) = parts(json.loads((of_others / "report.json").read_text())).values()
    assert part["workload"] == "oltp_point_select"
    row = part["tables"][0]["groups"][1]["rows"][0]
    assert [cell["text"] for cell in row["cells"]] == [
        *("−99 %", "CPU time", "everything else", "a machine of theirs")
    ]
    assert row["cells"][3]["aside"] == "Some Body, A page, 2026, at the end"
    page = (of_others / "report.html").read_text()
    assert "&lt;b&gt;a miracle&lt;/b&gt;" in page
    assert "<b>a miracle" not in page


def test_it_changes_no_verdict_and_no_number_of_the_campaign(written: Any, of_others: Path) -> None:
    own, other = ({**page} for page in (written, json.loads((of_others / "report.json").read_text())))
    assert parts(own) != parts(other)
    for page in (own, other):
        page["sections"] = [part for part in page["sections"] if part["identifier"] != "published"]
    assert own == other


@pytest.mark.parametrize(
    ("effect", "shown"),
    [
        ({"percent": 26}, "+26 %"),
        ({"percent": 0}, "0 %"),
        ({"percent": 0.71, "interval": {"low": -0.02, "high": 1.39, "level": 95}}, "+0.71 % [−0.02, +1.39]"),
        ({"range": {"low": 4.4, "high": 10.8}}, "+4.4 to +10.8 %"),
        ({"at_most": -83}, "up to −83 %"),
        ({"amounts": {"control": 432, "treated": 12, "unit": "cycles"}}, "−97.2 % 432 → 12 cycles"),
        ({"amounts": {"control": 1939, "treated": 38219, "unit": "ns"}}, "+1,870 % 1,939 → 38,219 ns"),
        ({"amounts": {"control": 142.08, "treated": 122.66, "unit": "s"}}, "−13.7 % 142.08 → 122.66 s"),
    ],
)
def test_an_effect_is_written_as_its_source_has_it(effect: dict[str, Any], shown: str) -> None:
    figure = Figure(
        workloads=("a",),
        load="a",
        measure="a",
        against="a",
        platform="a",
        source="a",
        quote="a",
        **convert(effect),
    )
    cell = elsewhere.change(figure)
    assert f"{cell.text} {cell.aside}".strip() == shown


def convert(effect: dict[str, Any]) -> dict[str, Any]:
    kinds = {"interval": published.Bounds, "range": published.Range, "amounts": published.Amounts}
    return {name: kinds[name](**value) if name in kinds else value for name, value in effect.items()}
