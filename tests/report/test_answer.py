# SPDX-License-Identifier: MIT
"""The first sentence says what the campaign can bear, and nothing more."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.synthetic_campaigns import Recipe, build, edit, plan

import kmlbench
from kmlbench.analysis import measurements
from kmlbench.cli.main import main
from kmlbench.errors import InputError
from kmlbench.plan.comparisons import KML_TRUSTED, STOCK_TRUSTED, STOCK_USR
from kmlbench.plan.question import main_workload
from kmlbench.report.answer import Answer, answer
from kmlbench.results import reader
from kmlbench.stats import intervals
from kmlbench.stats.intervals import MARGIN, Interval, Verdict


def answer_to(root: Path, recipe: Recipe) -> Answer:
    return answer_of(build(root, recipe))


def answer_of(path: Path) -> Answer:
    stored = reader.read_campaign(path)
    return answer(measurements.source(stored), stored.campaign.platform)


def test_a_difference_under_emulation_is_told_in_instructions(tmp_path: Path) -> None:
    reply = answer_to(tmp_path, Recipe(effect=0.9, noise=0.00001))
    assert reply.sentence == (
        "wisconsin: server and client from kml:/trusted took 10.00 % fewer instructions than from stock:/usr."
    )
    assert "Ratio of instructions executed 0.9" in reply.figures
    assert "blocks: 4, platform: QEMU TCG, instruction clock" in reply.figures
    assert "not a speed-up" in reply.limit
    assert not any(word in reply.sentence + reply.figures for word in ("faster", "time", "second"))


@pytest.mark.parametrize(
    ("effect", "message"),
    [
        (
            0.9,
            "getpid: the client from kml:/trusted took 10.00 % fewer instructions than from stock:/usr.",
        ),
        (
            1.0,
            "getpid: the client from kml:/trusted and from stock:/usr: no difference larger than 1 % in "
            "instructions executed.",
        ),
    ],
)
def test_without_a_server_the_client_alone_is_told_of(tmp_path: Path, effect: float, message: str) -> None:
    recipe = Recipe(workloads=("getpid", "syscalls"), effect=effect, noise=0.00001, seed=8)
    assert answer_to(tmp_path, recipe).sentence == message


def test_a_difference_on_hardware_is_told_in_time(tmp_path: Path) -> None:
    reply = answer_to(tmp_path, Recipe(effect=1.05, noise=0.0001, platform="real hosts"))
    assert "took 5.0" in reply.sentence
    assert "% more CPU time than from stock:/usr." in reply.sentence


def test_emulated_real_time_makes_no_claim(tmp_path: Path) -> None:
    reply = answer_to(tmp_path, Recipe(effect=0.5, platform="QEMU TCG, real time"))
    assert "No claim about speed" in reply.sentence
    assert "less" not in reply.sentence


def test_no_difference_names_the_margin(tmp_path: Path) -> None:
    reply = answer_to(tmp_path, Recipe(effect=1.0, noise=0.001, blocks=6))
    assert "no difference larger than 1 %" in reply.sentence


UNDECIDED = Recipe(
    effect=1.0, noise=0.006, blocks=3, workloads=("wisconsin",), cells=(STOCK_USR, KML_TRUSTED), seed=100
)


def test_undecided_says_of_the_blocks_what_plan_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = build(tmp_path, UNDECIDED)
    sentence = answer_of(path).sentence
    assert main(["plan", str(path), "--half-width", "0.5%"]) == 0
    planned = re.search(
        r"wisconsin \(together\): (\d+) blocks[^;]*; (\d+) blocks.* to reach it with 80 % probability",
        capsys.readouterr().out,
    )
    assert planned is not None
    assert sentence == (
        "wisconsin: undecided whether kml:/trusted against stock:/usr differs in instructions executed. "
        f"An interval of ±0.5 % would decide: {planned[1]} blocks like these, {planned[2]} with 80 % "
        "probability."
    )


@pytest.mark.slow
def test_who_follows_the_sentence_is_not_left_undecided_more_often_than_it_says(tmp_path: Path) -> None:
    """Campaigns of as many blocks as an undecided one asked for; nothing differs."""
    random = np.random.default_rng(2005)
    decided: list[bool] = []
    for seed in range(100, 130):
        sentence = answer_of(build(tmp_path, replace(UNDECIDED, seed=seed))).sentence
        if asked := re.findall(r"(\d+) (?:blocks|with)", sentence):
            blocks = range(int(asked[-1]))
            arms = np.exp(random.normal(0, UNDECIDED.noise, (2, len(blocks))))
            treated, control = ({block: [arm[block]] for block in blocks} for arm in arms)
            ratio = intervals.ratio_interval(treated, control)
            assert isinstance(ratio, Interval)
            decided.append(intervals.verdict(ratio, margin=MARGIN) is not Verdict.UNDECIDED)
    assert len(decided) > 15
    assert np.mean(decided) >= 0.8


def test_blocks_that_nobody_has_are_not_counted(tmp_path: Path) -> None:
    reply = answer_to(tmp_path, replace(UNDECIDED, noise=0.5))
    assert reply.sentence.endswith("An interval of ±0.5 % would decide: more than 1000 blocks like these.")


@pytest.mark.parametrize(
    ("effect", "sentence", "verdict"),
    [
        (
            0.5,
            "wisconsin: server and client from kml:/trusted took exactly 50.00 % fewer instructions than "
            "from stock:/usr, no variation in 4 blocks.",
            "exact",
        ),
        (
            1.0,
            "wisconsin: server and client from kml:/trusted and from stock:/usr: exactly the same in "
            "instructions executed, no variation in 4 blocks.",
            "exact",
        ),
    ],
)
def test_what_never_varied_is_exact(tmp_path: Path, effect: float, sentence: str, verdict: str) -> None:
    reply = answer_to(tmp_path, Recipe(effect=effect, noise=0.0))
    assert (reply.sentence, reply.verdict) == (sentence, verdict)


def test_two_equal_blocks_are_not_enough_to_be_exact(tmp_path: Path) -> None:
    reply = answer_to(tmp_path, Recipe(effect=0.5, noise=0.0, blocks=2))
    assert reply.verdict == "undecided"
    assert reply.sentence.endswith("so its variance is unknown; an exact one takes 3.")


def test_one_block_is_undecided_whatever_it_shows(tmp_path: Path) -> None:
    reply = answer_to(tmp_path, Recipe(effect=0.5, blocks=1))
    assert "undecided" in reply.sentence
    assert "One block gives no interval" in reply.sentence


def test_a_cell_that_was_not_planned_is_no_answer(tmp_path: Path) -> None:
    reply = answer_to(tmp_path, Recipe(cells=(STOCK_USR, STOCK_TRUSTED)))
    assert reply.sentence == (
        "No answer: kml:/trusted against stock:/usr cannot be compared for wisconsin: "
        "kml:/trusted: no completed trial."
    )
    assert reply.figures == ""


def test_an_unknown_platform_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r'platform "a toaster" is unknown'):
        answer_to(tmp_path, Recipe(platform="a toaster"))


@pytest.mark.parametrize(
    ("workloads", "expected"),
    [
        (("getpid", "wisconsin_cached"), "wisconsin_cached"),
        (("oltp", "getpid"), "getpid"),
        ((), "nothing"),
        (("calls_oltp", "getpid"), "getpid"),
        (("calls_oltp",), "calls_oltp"),
    ],
)
def test_the_main_workload_is_wisconsin_where_there_is_one(workloads: tuple[str, ...], expected: str) -> None:
    assert main_workload(plan(Recipe(workloads=workloads))) == expected


def test_counted_instructions_answer_where_there_are_any(tmp_path: Path) -> None:
    """CPU says −3.3 % give or take; the instructions of a round say exactly what they say."""
    directory = build(tmp_path, Recipe(workloads=("oltp_point_select",)))

    def count(record: Any) -> None:
        treated = (record["trial"]["kernel"], record["trial"]["prefix"]) == ("kml", "/trusted")
        value = (800.0 if treated else 1000.0) + record["trial"]["block"]
        counted = {"metric": "instructions", "unit": "instructions", "value": value}
        record["samples"].append({**counted, "process": "together", "driver": "sysbench"})

    edit(directory / "outcomes.jsonl", count)
    campaign = kmlbench.read(directory)
    assert "took 19.97 % fewer instructions" in campaign.answer().sentence
    names = [drawing.name for drawing in campaign.figures()]
    assert "oltp_point_select-instructions-change" in names
