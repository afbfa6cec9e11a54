# SPDX-License-Identifier: MIT
"""What a terminal shows while a campaign runs: in place, at any width, and no escapes of a host."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console, Group
from support.synthetic_campaigns import Recipe, build

from kmlbench.cli.interrupts import SHUTDOWN_MESSAGE, Interruption
from kmlbench.cli.progress.display import shown
from kmlbench.cli.progress.plain import Plain
from kmlbench.cli.progress.terminal import Bar, Screen
from kmlbench.plan import schedule
from kmlbench.progress import Begun, Progress, Stage, StageBegun, TrialBegun, TrialEnded
from kmlbench.results import reader
from kmlbench.results.reader import StoredCampaign


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def stored(tmp_path: Path) -> StoredCampaign:
    """Eight blocks of which 40 trials of 128 have ended, on two pairs of hosts."""
    result = reader.read_campaign(build(tmp_path, Recipe(blocks=8, failing={5})))
    planned = schedule.distribute(result.campaign.plan, pairs=2)
    outcomes = tuple(
        replace(outcome, trial=planned[outcome.trial.position]) for outcome in result.outcomes[:40]
    )
    return replace(result, campaign=replace(result.campaign, plan=planned), outcomes=outcomes)


def walk(progress: Progress, stored: StoredCampaign) -> None:
    progress.tell(Begun(record=stored.campaign, directory=stored.directory))
    progress.stage("campaign", total=len(stored.campaign.plan))
    for outcome in stored.outcomes:
        progress.tell(TrialBegun(trial=outcome.trial))
        progress.tell(TrialEnded(outcome=outcome))
        progress.advance()
    progress.tell(TrialBegun(trial=stored.campaign.plan[40]))


def drawn(screen: Screen, width: int) -> list[str]:
    """What the screen shows at this moment, line by line, without its colours."""
    stream = io.StringIO()
    Console(file=stream, width=width).print(Group(*screen.get_renderables()))
    return stream.getvalue().splitlines()


@pytest.fixture
def screen(stored: StoredCampaign) -> Iterator[Screen]:
    with Screen(Terminal(), Interruption()) as result:
        walk(Bar(result), stored)
        yield result


def test_each_pair_has_its_step_and_time_and_all_have_a_ratio(screen: Screen) -> None:
    lines = drawn(screen, 140)
    assert re.search(r"40 of 128 trials, 1 failed, \d+:\d\d, about ", lines[0])
    assert lines[1].startswith("pair 1: between trials; about ")
    assert lines[2].startswith("pair 2: block 3 of 8, ")
    assert re.search(r", \d+:\d\d of about 0:12; about ", lines[2])
    assert lines[3].startswith("so far, no verdict: kml:/trusted against stock:/usr, wisconsin cpu_total ")
    assert len(lines) == 4


@pytest.mark.parametrize("width", [20, 40, 80])
def test_a_narrow_terminal_has_all_of_it_in_more_lines(screen: Screen, width: int) -> None:
    lines = drawn(screen, width)
    assert max(map(len, lines)) <= width
    text, wide = (" ".join(" ".join(line).replace("━", "").split()) for line in (lines, drawn(screen, 300)))
    assert text == wide


@pytest.mark.parametrize("stage", Stage)
def test_stages_between_trials_are_told(screen: Screen, stored: StoredCampaign, stage: Stage) -> None:
    boot = schedule.boots(stored.campaign.plan, {trial.workload: False for trial in stored.campaign.plan})[-1]
    before = drawn(screen, 140)
    screen.outlook.tell(StageBegun(boot=boot, stage=stage))
    after = drawn(screen, 140)
    assert after[2] != before[2]
    assert after[2].startswith("pair 2: block 8 of 8, stock: ")


def test_an_interruption_is_seen_while_what_runs_is_ended(screen: Screen) -> None:
    assert SHUTDOWN_MESSAGE not in drawn(screen, 140)
    screen.interruption.seen = True
    assert drawn(screen, 140)[-1] == SHUTDOWN_MESSAGE


def test_only_a_screen_keeps_others_from_writing_that() -> None:
    interruption = Interruption()
    with shown(Terminal(), interruption):
        assert interruption.drawn
    assert not interruption.drawn
    with shown(io.StringIO(), interruption):
        assert not interruption.drawn


@pytest.mark.parametrize("value", ["1", ""])
def test_no_colour_where_none_is_wanted(
    stored: StoredCampaign, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    """https://no-color.org: set to anything but nothing."""
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("NO_COLOR", value)
    stream = Terminal()
    with shown(stream) as progress:
        walk(progress, stored)
    # rich keeps the codes of a style from the first console that drew it: of 16 colours, or of more.
    assert bool(re.search(r"\x1b\[(?:3[0-8]|9[0-7])[;m]", stream.getvalue())) is not bool(value)
    assert "trials" in stream.getvalue()


@pytest.mark.parametrize("name", ["dumb", "unknown"])
def test_a_terminal_that_cannot_move_its_cursor_has_lines(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("TERM", name)
    stream = Terminal()
    with shown(stream) as progress:
        assert isinstance(progress, Plain)
        progress.note("a note")
    assert stream.getvalue() == "[0:00] a note\n"


def test_what_a_host_says_cannot_move_the_cursor(stored: StoredCampaign) -> None:
    planned = tuple(replace(trial, workload="\x1b[2J\x9b31mwisconsin") for trial in stored.campaign.plan)
    with Screen(Terminal(), Interruption()) as screen:
        bar = Bar(screen)
        bar.tell(Begun(record=replace(stored.campaign, plan=planned), directory=stored.directory))
        bar.tell(TrialBegun(trial=planned[0]))
        text = "\n".join(drawn(screen, 140))
    assert "\x1b" not in text
    assert "\x9b" not in text
    assert r"\x1b[2J\x9b31mwisconsin" in text


def test_lines_have_the_ratio_and_the_time_left_too(stored: StoredCampaign) -> None:
    stream = io.StringIO()
    with shown(stream) as progress:
        walk(progress, stored)
    lines = [line for line in stream.getvalue().splitlines() if "campaign: " in line]
    assert "of 128, about " in lines[-1]
    assert "so far, no verdict: " in lines[-1]
    assert len(lines) == 3
