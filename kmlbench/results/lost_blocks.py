# SPDX-License-Identifier: MIT
"""What a worker of a cluster leaves of a block that it did not end: a line of the record, and files.

The line comes first: what had ended does not count from then on, wherever its files are. A controller that is
killed between the two leaves them to the resumption, which moves what does not count to raw/lost-N.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from kmlbench.interruptions import LostBlock
from kmlbench.model import Outcome, Trial
from kmlbench.results.profiles import TABLES
from kmlbench.results.reader import RAW, StoredCampaign, lost_block_path, raw_path
from kmlbench.results.writer import CampaignDirectory, storing


def lost_block(
    before: Iterable[LostBlock], ended: Iterable[Trial], block: int, *, worker: str, cause: str
) -> LostBlock:
    """The loss of a block now. `before` are the losses so far, `ended` the trials that have an outcome."""
    return LostBlock(
        block=block,
        number=1 + sum(lost.block == block for lost in before),
        worker=worker,
        cause=cause,
        lost_utc=datetime.now(UTC).isoformat(timespec="milliseconds"),
        trials=tuple(trial for trial in ended if trial.block == block),
    )


def set_aside(directory: CampaignDirectory, plan: Sequence[Trial], lost: LostBlock) -> None:
    """Move what a lost block left in raw/ to raw/lost-block-BLOCK-NUMBER; what was derived from it goes.

    Raises MachineError.
    """
    aside = lost_block_path(directory.path, lost)
    with storing("what was lost", aside):
        for path in _left(directory.path, [trial for trial in plan if trial.block == lost.block]):
            aside.mkdir(parents=True, exist_ok=True)
            path.rename(aside / path.name)


def incomplete_blocks(stored: StoredCampaign) -> dict[int, tuple[Outcome, ...]]:
    """The blocks of which some trials have numbers and some do not, with what has."""
    open_blocks = set(stored.campaign.plan) - {outcome.trial for outcome in stored.completed}
    blocks = {trial.block for trial in open_blocks}
    kept: dict[int, tuple[Outcome, ...]] = {}
    for outcome in stored.completed:
        if outcome.trial.block in blocks:
            kept[outcome.trial.block] = (*kept.get(outcome.trial.block, ()), outcome)
    return kept


def _left(path: Path, trials: Sequence[Trial]) -> Iterator[Path]:
    for trial in trials:
        for table in TABLES:
            table.path(path, trial).unlink(missing_ok=True)
        if (raw := raw_path(path, trial)).exists():
            yield raw
    for boot in dict.fromkeys(trial.boot for trial in trials):
        yield from sorted((path / RAW).glob(f"boot-{boot:04d}*"))
