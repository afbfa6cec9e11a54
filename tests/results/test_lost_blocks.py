# SPDX-License-Identifier: MIT
"""A block that runs again: what had ended of it does not count, and its files are kept elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from kmlbench.analysis.live import Outlook
from kmlbench.errors import InputError
from kmlbench.interruptions import LostBlock
from kmlbench.model import Completed, PlannedCampaign, Platform, Proof, Trial
from kmlbench.plan import schedule
from kmlbench.plan.comparisons import CELLS
from kmlbench.progress import Begun, BlockLost, TrialBegun, TrialEnded
from kmlbench.report import evidence
from kmlbench.results import lost_blocks, reader, writer
from kmlbench.results.writer import CampaignDirectory

PLAN = schedule.make_schedule(CELLS, {"getpid": False}, blocks=2, seed=1)
RECORD = PlannedCampaign(
    id="test",
    started_utc="2026-11-30T00:00:00Z",
    title="a test",
    platform=str(Platform.INSTRUCTIONS),
    control=False,
    seed=1,
    options={"cluster": "tcp://192.0.2.1:8786"},
    plan=PLAN,
    git_commit="unknown",
    tools={},
)


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[CampaignDirectory]:
    with writer.create(tmp_path, RECORD) as made:
        yield made


def outcome(trial: Trial, elapsed_s: float = 1.0) -> Completed:
    return Completed(
        trial=trial,
        proof=Proof(kernel_release="6.12", cpl=3),
        samples=(),
        started_utc="2026-11-30T00:00:00Z",
        elapsed_s=elapsed_s,
    )


def lost(block: int, *trials: Trial, number: int = 1) -> LostBlock:
    return LostBlock(
        block=block, number=number, worker="oak", cause="died", lost_utc="2026-11-30T00:00:01Z", trials=trials
    )


def test_what_had_ended_does_not_count_and_may_end_again(directory: CampaignDirectory) -> None:
    directory.append(outcome(PLAN[0]))
    directory.append(outcome(PLAN[4]))
    directory.lose(lost(0, PLAN[0]))
    stored = reader.read_campaign(directory.path)
    assert [each.trial for each in stored.completed] == [PLAN[4]]
    assert stored.lost_blocks == (lost(0, PLAN[0]),)
    directory.append(outcome(PLAN[0], elapsed_s=2.0))
    again = reader.read_campaign(directory.path)
    assert {each.trial: each.elapsed_s for each in again.completed} == {PLAN[4]: 1.0, PLAN[0]: 2.0}
    assert evidence.repeated_blocks(again) == (
        "block 1 ran again as a whole (died, oak); 1 of its trials had ended and do not count: "
        "raw/lost-block-0000-1",
    )


@pytest.mark.parametrize(
    "wrong",
    [lost(0, PLAN[1]), lost(1, PLAN[0]), lost(0, PLAN[0], number=2)],
    ids=["not ended", "other block", "out of order"],
)
def test_a_loss_that_cannot_follow_is_damage(directory: CampaignDirectory, wrong: LostBlock) -> None:
    directory.append(outcome(PLAN[0]))
    directory.lose(wrong)
    with pytest.raises(InputError, match=r"outcomes\.jsonl:2"):
        reader.read_campaign(directory.path)


def test_files_of_a_lost_block_are_kept_aside(directory: CampaignDirectory) -> None:
    for trial in (PLAN[0], PLAN[4]):
        (directory.raw(trial) / "stdout").write_text("numbers")
        (directory.boot(trial.boot) / "facts.json").write_text("{}")
    tables = directory.path / "profile"
    tables.mkdir()
    (tables / f"{PLAN[0].id}.parquet").touch()
    lost_blocks.set_aside(directory, PLAN, lost(0))
    raw = directory.path / "raw"
    assert {path.name for path in (raw / "lost-block-0000-1").iterdir()} == {PLAN[0].id, "boot-0000"}
    assert {path.name for path in raw.iterdir()} == {
        "lost-block-0000-1",
        PLAN[4].id,
        f"boot-{PLAN[4].boot:04d}",
    }
    assert list(tables.iterdir()) == []


def test_incomplete_blocks_are_those_of_which_some_trials_have_numbers(directory: CampaignDirectory) -> None:
    directory.append(outcome(PLAN[0]))
    for trial in PLAN[4:]:
        directory.append(outcome(trial))
    stored = reader.read_campaign(directory.path)
    incomplete = lost_blocks.incomplete_blocks(stored)
    assert {block: [each.trial for each in kept] for block, kept in incomplete.items()} == {0: [PLAN[0]]}


def test_the_display_forgets_a_lost_block_and_its_worker(tmp_path: Path) -> None:
    outlook = Outlook(clock=lambda: 0.0)
    outlook.tell(Begun(record=RECORD, directory=tmp_path))
    for lane, trial in enumerate((PLAN[0], PLAN[4])):
        outlook.tell(TrialBegun(trial=replace(trial, pair=lane)))
        outlook.tell(TrialEnded(outcome=outcome(trial)))
        outlook.tell(TrialBegun(trial=replace(PLAN[trial.position + 1], pair=lane)))
    assert outlook.state is not None
    assert (outlook.state.done, set(outlook.state.pairs)) == (2, {0, 1})
    outlook.tell(BlockLost(lost=lost(0, PLAN[0])))
    assert (outlook.state.done, set(outlook.state.pairs)) == (1, {1})
