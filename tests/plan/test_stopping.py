# SPDX-License-Identifier: MIT
"""A stopping rule looks at the width alone, at fixed moments, and what it looks at still covers the truth."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy import stats as scipy_stats
from support.synthetic_campaigns import Recipe, build, edit

from kmlbench.errors import InputError
from kmlbench.model import (
    Completed,
    Failed,
    Outcome,
    PlannedCampaign,
    Process,
    Proof,
    Sample,
    Stopping,
    Trial,
)
from kmlbench.plan import stopping
from kmlbench.plan.comparisons import KML_TRUSTED, STOCK_USR
from kmlbench.report import write
from kmlbench.results import reader
from kmlbench.stats import intervals
from kmlbench.stats.intervals import Interval

pytestmark = pytest.mark.slow

BLOCKS = 20
RULE = stopping.stopping_rule(0.01, workload="wisconsin", served=True)
# The spread of blocks, in half-widths, at which looking does most harm: it ends after 14 to 17 blocks.
WORST = math.log1p(0.01) / 0.58
CAMPAIGNS = 2000
CELLS = (STOCK_USR, KML_TRUSTED)


def campaign(rule: Stopping | None = RULE, blocks: int = BLOCKS) -> PlannedCampaign:
    plan = tuple(
        Trial(
            block=block, boot=2 * block + rank, position=2 * block + rank, variant=cell, workload="wisconsin"
        )
        for block in range(blocks)
        for rank, cell in enumerate((STOCK_USR, KML_TRUSTED))
    )
    return PlannedCampaign(
        id="x", started_utc="", title="", platform="real hosts", control=False, seed=1, options={}, plan=plan,
        git_commit="", tools={}, stopping=rule,
    )  # fmt: skip


def outcomes(planned: PlannedCampaign, logs: list[float]) -> list[Outcome]:
    """The blocks' ratios are exp(logs)."""
    return [
        completed(trial, math.exp(logs[trial.block]) if trial.variant == KML_TRUSTED else 1.0)
        for trial in planned.plan[: 2 * len(logs)]
    ]


def completed(trial: Trial, value: float) -> Completed:
    sample = Sample(metric="cpu_total", unit="s", value=value, process=Process.TOGETHER, driver="d")
    proof = Proof(kernel_release="", cpl=3)
    return Completed(trial=trial, proof=proof, samples=(sample,), started_utc="", elapsed_s=1)


def failed(trial: Trial) -> Failed:
    return Failed(trial=trial, stage="run", cause="", started_utc="", elapsed_s=1)


def alarms(rule: Stopping, confidence: float) -> int:
    """In how many A/A campaigns that end by `rule` the interval leaves out the truth."""
    planned, random, result = campaign(rule), np.random.default_rng(2005), 0
    for _ in range(CAMPAIGNS):
        logs = random.normal(0, WORST, BLOCKS).tolist()
        ended = stopping.ended_after(planned, outcomes(planned, logs)) or BLOCKS
        blocks = {block: [math.exp(log)] for block, log in enumerate(logs[:ended])}
        ratio = intervals.ratio_interval(blocks, {block: [1.0] for block in blocks}, confidence=confidence)
        assert isinstance(ratio, Interval)
        result += intervals.verdict(ratio, margin=0.01) is intervals.Verdict.DIFFERENCE
    return result


def test_looking_makes_false_alarms_and_the_rules_level_pays_for_them() -> None:
    exact = [int(scipy_stats.binom.ppf(tail, CAMPAIGNS, 0.05)) for tail in (0.95, 0.99)]
    assert alarms(RULE, stopping.confidence(campaign())) <= exact[1]
    assert alarms(replace(RULE, confidence=0.95), 0.95) > exact[0]


def test_it_ends_at_the_first_look_that_is_narrow_enough() -> None:
    planned = campaign()
    logs = [0.02, -0.02, 0.02, -0.02, 0.02, -0.02] + [0.001, -0.001] * 7
    ended = stopping.ended_after(planned, outcomes(planned, logs))
    assert ended is not None
    assert ended > 6
    for look in range(6, ended + 1, 2):
        width = scipy_stats.t.ppf(0.985, look - 1) * np.std(logs[:look], ddof=1) / math.sqrt(look)
        assert (width <= math.log1p(0.01)) == (look == ended)


@pytest.mark.parametrize("ended_blocks", range(BLOCKS + 1))
def test_what_came_later_does_not_change_when_it_ended(ended_blocks: int) -> None:
    """The reader of a record comes to the same moment as the campaign that ran."""
    planned = campaign()
    logs = np.random.default_rng(4).normal(0, WORST / 1.5, BLOCKS).tolist()
    whole = stopping.ended_after(planned, outcomes(planned, logs))
    assert whole is not None
    seen = outcomes(planned, logs[:ended_blocks])
    assert stopping.ended_after(planned, seen) == (whole if ended_blocks >= whole else None)
    if ended_blocks < BLOCKS:
        half = completed(planned.plan[2 * ended_blocks], 1.0)
        assert stopping.ended_after(planned, [*seen, half]) == stopping.ended_after(planned, seen)


def test_the_effect_has_no_say() -> None:
    planned = campaign()
    logs = np.random.default_rng(4).normal(0, WORST / 1.5, BLOCKS)
    ends = {
        stopping.ended_after(planned, outcomes(planned, (logs + effect).tolist()))
        for effect in (-1, 0, 0.005, 1)
    }
    assert len(ends) == 1


@pytest.mark.parametrize("rule", [None, RULE])
def test_equal_blocks_show_no_width_and_no_rule_ends_nothing(rule: Stopping | None) -> None:
    planned = campaign(rule)
    assert stopping.ended_after(planned, outcomes(planned, [0.01] * BLOCKS)) is None
    assert stopping.confidence(campaign(None)) == 0.95


def test_blocks_that_failed_do_not_count_as_looked_at() -> None:
    planned = campaign()
    logs = [0.001, -0.001] * 5
    result = outcomes(planned, logs)
    result[6] = failed(planned.plan[6])
    assert stopping.ended_after(planned, result) == 8
    assert stopping.ended_after(planned, [failed(trial) for trial in planned.plan]) is None


def test_the_last_block_is_no_look() -> None:
    planned = campaign(blocks=6)
    assert stopping.ended_after(planned, outcomes(planned, [0.001, -0.001] * 3)) is None


def test_the_rule_is_recorded_and_the_trials_it_spared_are_no_holes(tmp_path: Path) -> None:
    recipe = Recipe(
        blocks=10, workloads=("wisconsin",), noise=0.0005, stopping=RULE, missing=range(8 * 4, 10 * 4),
        options={"blocks": "10", "stop_at": "1%"},
    )  # fmt: skip
    spared = build(tmp_path, replace(recipe, missing=range(6 * 4, 10 * 4)))
    assert reader.read_campaign(spared).campaign.stopping == RULE
    text = write.write_report(spared).read_text()
    assert "This campaign is incomplete" not in text
    assert "16 not needed, by the stopping rule" in text
    assert "every planned trial" not in text
    assert "None: every trial that was needed completed." in text
    assert "it did after 6 blocks" in text
    assert "97% confidence" in text
    assert "97 %, over blocks" in text
    assert "mean and 97 % interval" in text
    assert "--stop-at 1%" in text


def test_a_campaign_that_broke_off_before_the_rule_ended_it_has_holes(tmp_path: Path) -> None:
    recipe = Recipe(blocks=10, workloads=("wisconsin",), noise=0.05, stopping=RULE, missing=range(24, 40))
    text = write.write_report(build(tmp_path, recipe)).read_text()
    assert "This campaign is incomplete" in text
    assert "it did not, or not yet" in text


@pytest.mark.parametrize(
    ("key", "value"), [("first", 0), ("every", 0), ("half_width", -1), ("confidence", 95)]
)
def test_a_damaged_rule_is_bad_input(tmp_path: Path, key: str, value: float) -> None:
    path = build(tmp_path, Recipe(blocks=1, stopping=RULE))
    edit(path / "campaign.json", lambda record: record["stopping"].update({key: value}))
    with pytest.raises(InputError, match="stopping"):
        reader.read_campaign(path)
