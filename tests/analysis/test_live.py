# SPDX-License-Identifier: MIT
"""How a running campaign stands: the report's own ratio of what has ended, and the time that is left."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from support.synthetic_campaigns import Recipe, build

from kmlbench.analysis import live, measurements
from kmlbench.analysis.live import CampaignState, Outlook
from kmlbench.analysis.primary import main_measure
from kmlbench.cli.progress import text as told
from kmlbench.model import Platform
from kmlbench.plan import schedule, stopping
from kmlbench.plan.question import main_workload
from kmlbench.plan.schedule import COSTS
from kmlbench.progress import Begun, Stage, StageBegun, TrialBegun, TrialEnded
from kmlbench.results import reader
from kmlbench.results.reader import StoredCampaign
from kmlbench.stats.intervals import Absent, Interval


@dataclass(slots=True)
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


def walked(stored: StoredCampaign, clock: Clock, *, boot_s: float = 30.0, trials: int = 10**6) -> Outlook:
    """The outlook on a campaign of which so many trials have ended, one after the other."""
    result = Outlook(clock=clock)
    result.tell(Begun(record=stored.campaign, directory=stored.directory))
    boots = {
        boot.index: boot
        for boot in schedule.boots(
            stored.campaign.plan, dict.fromkeys({trial.workload for trial in stored.campaign.plan}, False)
        )
    }
    last = -1
    for outcome in stored.outcomes[:trials]:
        if outcome.trial.boot != last:
            last = outcome.trial.boot
            result.tell(StageBegun(boot=boots[last], stage=Stage.BOOT))
            clock.now += boot_s
        result.tell(TrialBegun(trial=outcome.trial))
        clock.now += outcome.elapsed_s
        result.tell(TrialEnded(outcome=outcome))
    return result


def state(actual: Outlook) -> CampaignState:
    assert actual.state is not None
    return actual.state


@pytest.mark.slow
@pytest.mark.parametrize("recipe", [Recipe(), Recipe(control=True), Recipe(failing={3, 9}), Recipe(blocks=9)])
def test_the_running_ratio_is_the_reports_of_what_has_ended(tmp_path: Path, recipe: Recipe) -> None:
    stored = reader.read_campaign(build(tmp_path, recipe))
    whole = measurements.source(stored)
    measure = main_measure(whole, main_workload(stored.campaign.plan))
    for ended in (0, 7, len(stored.outcomes) // 2, len(stored.outcomes)):
        source = measurements.source(replace(stored, outcomes=stored.outcomes[:ended]))
        shown = state(walked(stored, Clock(), trials=ended)).standing
        assert shown.ratio == source.ratio(measure, source.primary)
        assert shown.comparison == source.primary
    assert isinstance(shown.ratio, Interval)
    assert shown.ratio.low is not None


def test_a_rule_has_its_level_in_the_running_ratio_and_time_is_the_most(tmp_path: Path) -> None:
    rule = stopping.stopping_rule(0.001, workload="wisconsin", served=True)
    stored = reader.read_campaign(build(tmp_path, Recipe(blocks=8, stopping=rule)))
    shown = state(walked(stored, Clock(), trials=40))
    assert isinstance(shown.standing.ratio, Interval)
    assert shown.standing.ratio.confidence == 0.97
    assert told.time_left(90.0, shown) == "at most 1:30 left"


def test_emulated_time_has_no_running_ratio(tmp_path: Path) -> None:
    stored = reader.read_campaign(build(tmp_path, Recipe(platform=Platform.REAL_TIME)))
    shown = state(walked(stored, Clock()))
    assert shown.standing.ratio == Absent(reason=live.NO_CLAIM)
    assert live.NO_CLAIM in told.standing_line(shown.standing, shown)


def test_no_words_of_a_verdict_before_the_end(tmp_path: Path) -> None:
    stored = reader.read_campaign(build(tmp_path, Recipe(effect=0.5)))
    shown = state(walked(stored, Clock(), trials=48))
    text = told.standing_line(shown.standing, shown)
    assert text.startswith("so far, no verdict: kml:/trusted against stock:/usr, wisconsin cpu_total −")
    assert text.endswith("(95%, 3 of 4 blocks)")


def test_time_left_is_learnt_from_trials_and_boots(tmp_path: Path) -> None:
    """Every trial of these campaigns takes 12.5 s, and every boot 30 s beside its eight trials."""
    stored = reader.read_campaign(build(tmp_path))
    clock = Clock()
    result = Outlook(clock=clock)
    result.tell(Begun(record=stored.campaign, directory=stored.directory))
    guess = state(result).left_s(clock.now)
    assert guess == pytest.approx(
        8 * (COSTS.boot_s + COSTS.start_s) + 48 * COSTS.served_s + 64 * COSTS.trial_s
    )

    clock = Clock()
    at_boot_three = state(walked(stored, clock, trials=17))
    left = at_boot_three.left_s(clock.now)
    assert left == pytest.approx(7 * 12.5 + 5 * (30 + 8 * 12.5))
    assert walked(stored, clock).state is not None
    assert state(walked(stored, clock)).left_s(clock.now) == 0


def test_a_step_that_takes_long_does_not_make_the_rest_shorter(tmp_path: Path) -> None:
    stored = reader.read_campaign(build(tmp_path))
    clock = Clock()
    shown = walked(stored, clock, trials=62)
    shown.tell(TrialBegun(trial=stored.outcomes[62].trial))
    assert state(shown).left_s(clock.now) == pytest.approx(25.0)
    assert state(shown).left_s(clock.now + 5) == pytest.approx(20.0)
    assert state(shown).left_s(clock.now + 500) == pytest.approx(12.5)


def test_pairs_have_each_their_own_time_and_the_slowest_counts(tmp_path: Path) -> None:
    stored = reader.read_campaign(build(tmp_path, Recipe(blocks=6)))
    shared = replace(stored.campaign, plan=schedule.distribute(stored.campaign.plan, pairs=2))
    clock = Clock()
    result = Outlook(clock=clock)
    result.tell(Begun(record=shared, directory=stored.directory))
    times = {number: pair.left_s(clock.now) for number, pair in state(result).pairs.items()}
    assert times[0] == pytest.approx(2 * times[1])
    assert state(result).left_s(clock.now) == times[0]
    assert told.pair_line(1, state(result).pairs[1], state(result), clock.now).startswith("pair 2: ")


def test_a_campaign_that_goes_on_knows_what_it_had(tmp_path: Path) -> None:
    stored = reader.read_campaign(build(tmp_path, Recipe(failing={60})))
    clock = Clock()
    result = Outlook(clock=clock)
    result.tell(Begun(record=stored.campaign, directory=stored.directory, before=stored.completed))
    assert (state(result).done, state(result).failed) == (63, 0)
    assert state(result).left_s(clock.now) == pytest.approx(12.5 + COSTS.boot_s + COSTS.start_s)
    assert isinstance(state(result).standing.ratio, Interval)
