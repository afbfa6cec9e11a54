# SPDX-License-Identifier: MIT
"""What an interruption cost: trials that had begun and never ended, and the boots they were in.

The raw output of what will run again is moved to raw/lost-N, so that a trial's own directory holds the output
of the outcome that counts. All of this may itself be interrupted and repeated.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

from kmlbench.interruptions import Resumption
from kmlbench.model import Failed, Trial
from kmlbench.results.reader import StoredCampaign, boot_path, lost_path, raw_path
from kmlbench.results.writer import CampaignDirectory, storing


def settle_losses(directory: CampaignDirectory, stored: StoredCampaign) -> Resumption:
    """Move the raw output of lost trials aside and record what was lost. Raises MachineError."""
    completed = {outcome.trial for outcome in stored.completed}
    again = [trial for trial in stored.campaign.plan if trial not in completed]
    aside = lost_path(stored.directory, directory.resumption)
    with storing("what was lost", aside):
        _move_aside(stored.directory, again, aside)
    before = directory.resumption - 1
    ended = {outcome.trial for outcome in stored.outcomes if outcome.resumption == before} | completed
    resumption = Resumption(
        number=directory.resumption,
        started_utc=datetime.now(UTC).isoformat(timespec="milliseconds"),
        trials=tuple(trial for trial in again if trial not in ended and (aside / trial.id).exists()),
        boots=_cut(stored, ended, before),
    )
    directory.resume(resumption)
    return resumption


def loss_sentence(resumption: Resumption, repeated: Iterable[Failed]) -> str:
    """What is run again, in one sentence."""
    failed = list(repeated)
    parts = [
        f"{len(items)} {what}"
        for items, what in (
            (resumption.trials, "of its trials had begun but not ended"),
            (resumption.boots, "of its boots had been cut off"),
            (failed, "of its trials had failed"),
        )
        if items
    ]
    return f"resumption {resumption.number}: {', '.join(parts) or 'nothing was lost'}"


def _move_aside(path: Path, again: Iterable[Trial], aside: Path) -> None:
    for trial in again:
        left = raw_path(path, trial)
        if left.exists():
            aside.mkdir(parents=True, exist_ok=True)
            left.rename(aside / trial.id)


def _cut(stored: StoredCampaign, ended: set[Trial], resumption: int) -> tuple[int, ...]:
    open_boots = sorted({trial.boot for trial in stored.campaign.plan if trial not in ended})
    return tuple(boot for boot in open_boots if boot_path(stored.directory, boot, resumption).exists())
