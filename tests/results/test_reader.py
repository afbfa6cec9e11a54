# SPDX-License-Identifier: MIT
"""Damage through the front door: a clear error or an honest state, never a traceback or a made-up number."""

from __future__ import annotations

import random
import re
import shutil
import warnings
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from support.synthetic_campaigns import Recipe, build, stored_campaign

import kmlbench
from kmlbench.analysis import frames
from kmlbench.cli.main import main
from kmlbench.errors import InputError
from kmlbench.results import reader
from kmlbench.results.reader import IncompleteRecord

SMALL = Recipe(blocks=1, workloads=("getpid", "wisconsin"))
FEW_FIGURES = replace(SMALL, workloads=("getpid",))
FLIPS = 250
REPORTS = 2
# A traceback or a mutated number is what these tests look for, a note is not.
LOADED = pytest.mark.filterwarnings("ignore::kmlbench.results.reader.IncompleteRecord")


@pytest.mark.slow
def test_a_cut_off_line_is_a_warning_and_a_note(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = build(tmp_path, SMALL)
    before = kmlbench.load(path)
    outcomes = path / "outcomes.jsonl"
    outcomes.write_bytes(outcomes.read_bytes()[:-20])

    with pytest.warns(IncompleteRecord, match=r"outcomes\.jsonl:8: the line is cut off"):
        frame = kmlbench.load(path)

    pd.testing.assert_frame_equal(frame, before.iloc[: len(frame)])
    assert len(before) - 30 < len(frame) < len(before)
    assert main(["report", str(path)]) == 0
    assert "outcomes.jsonl:8: the line is cut off" in capsys.readouterr().err


@LOADED
def test_no_cut_of_the_last_line_changes_a_number(tmp_path: Path) -> None:
    path = build(tmp_path, SMALL)
    outcomes = path / "outcomes.jsonl"
    whole = outcomes.read_bytes()
    last = whole[:-1].rindex(b"\n") + 1
    outcomes.write_bytes(whole[:last])
    expected = kmlbench.load(path)
    for offset in range(last + 1, len(whole), 97):
        outcomes.write_bytes(whole[:offset])
        pd.testing.assert_frame_equal(frames.samples_frame(reader.read_campaign(path)), expected)


@LOADED
@pytest.mark.parametrize("name", ["outcomes.jsonl", "campaign.json", "raw/boot-0000/facts.json"])
def test_a_flipped_bit_is_found_or_harmless(tmp_path: Path, name: str) -> None:
    """Of FLIPS flips none may end otherwise than in an error, or in the same numbers from the same trials."""
    path = build(tmp_path, SMALL)
    file = path / name
    whole = file.read_bytes()
    expected = reader.read_campaign(path)
    rng = random.Random(20)
    for _ in range(FLIPS):
        file.write_bytes(flipped(whole, rng))
        stored = read(path)
        if isinstance(stored, InputError):
            text = str(stored)
            assert name in text
            assert "remedy: " in text
            continue
        assert stored.campaign == expected.campaign
        assert stored.outcomes == expected.outcomes[: len(stored.outcomes)]
        assert len(stored.outcomes) == len(expected.outcomes) or stored.notes
        assert stored.facts == expected.facts


@pytest.mark.slow
@LOADED
@pytest.mark.parametrize("seed", range(REPORTS))
def test_a_campaign_of_before_the_checksums_never_ends_in_a_traceback(
    tmp_path: Path, seed: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """Several flips at once in each file of a real campaign, whose lines carry no checksum."""
    path = stored_campaign(tmp_path)
    rng = random.Random(seed)
    file = rng.choice([path / "outcomes.jsonl", path / "campaign.json", *path.glob("raw/*/facts.json")])
    whole = file.read_bytes()
    for _ in range(40):
        file.write_bytes(damaged(whole, rng))
        if isinstance(read(path), InputError):
            assert main(["report", str(path)]) == 2
        # A report takes a second: one of these is made.
        elif not (path / "report.html").exists():
            assert main(["report", str(path)]) in (0, 2)
    assert "Traceback" not in capsys.readouterr().err


def read(path: Path) -> reader.StoredCampaign | InputError:
    try:
        return reader.read_campaign(path)
    except InputError as error:
        return error


def flipped(content: bytes, rng: random.Random) -> bytes:
    position = rng.randrange(len(content))
    return content[:position] + bytes([content[position] ^ 1 << rng.randrange(8)]) + content[position + 1 :]


def damaged(content: bytes, rng: random.Random) -> bytes:
    """Some flipped bits, a piece cut out, or another digit."""
    match rng.randrange(3):
        case 0:
            return flipped(flipped(content, rng), rng)
        case 1:
            start = rng.randrange(len(content))
            return content[:start] + content[start + rng.randrange(1, 200) :]
        case _:
            digits = [match.start() for match in re.finditer(rb"[0-9]", content)]
            position = rng.choice(digits)
            return content[:position] + rng.choice([b"-", b"e", b"9", b"0"]) + content[position + 1 :]


def not_there(path: Path) -> Path:
    return path / "nowhere"


def empty(path: Path) -> Path:
    return path


def a_file(path: Path) -> Path:
    (path / "file").write_text("text")
    return path / "file"


def a_circle(path: Path) -> Path:
    (path / "circle").symlink_to("circle")
    return path / "circle"


def directories_for_files(path: Path) -> Path:
    (path / "campaign.json").mkdir()
    return path


def too_long(path: Path) -> Path:
    return path / ("x" * 5000)


@pytest.mark.parametrize("make", [not_there, empty, a_file, a_circle, directories_for_files, too_long])
def test_what_is_no_campaign(
    tmp_path: Path, make: Callable[[Path], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = make(tmp_path)
    assert main(["report", str(path)]) == 2
    printed = capsys.readouterr().err
    assert "remedy: give the directory of a campaign" in printed
    with pytest.raises(InputError):
        kmlbench.load(path)


@pytest.mark.slow
def test_a_campaign_without_its_raw_files_is_told_as_such(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = build(tmp_path, FEW_FIGURES)
    shutil.rmtree(path / "raw" / "boot-0001")
    assert main(["report", str(path)]) == 0
    text = "facts.json is missing for boots that were measured (1)"
    assert text in capsys.readouterr().err
    assert text in (path / "report.html").read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    "recipe", [replace(FEW_FIGURES, failing=range(4)), replace(FEW_FIGURES, noise=0.0, effect=1.0)]
)
def test_nothing_but_failures_and_no_variance_have_a_report(tmp_path: Path, recipe: Recipe) -> None:
    path = build(tmp_path, recipe)
    assert main(["report", str(path)]) == 0
    assert not re.search(r">\s*(nan|inf)\b", (path / "report.html").read_text(), re.IGNORECASE)


def test_a_whole_campaign_has_no_note(tmp_path: Path) -> None:
    with warnings.catch_warnings(action="error"):
        kmlbench.load(build(tmp_path, FEW_FIGURES))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["figures", "report.html", "samples.parquet"])
def test_a_report_that_cannot_be_written(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = build(tmp_path, FEW_FIGURES)
    if name == "figures":
        (path / name).symlink_to(tmp_path)
    else:
        (path / name).mkdir()
    assert main(["report", str(path)]) == 3
    printed = capsys.readouterr().err
    assert f"could not be written to {path}: " in printed
    assert ("is a symbolic link" if name == "figures" else "Is a directory") in printed
    assert "None" not in printed
