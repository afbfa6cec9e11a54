# SPDX-License-Identifier: MIT
"""What the report links to: the raw output of trials and boots, where it was kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from kmlbench.evidence import missing
from kmlbench.model import Completed, Failed, Trial
from kmlbench.records import BootFacts
from kmlbench.store import StoredCampaign
from kmlbench.stored import boot_path, raw_path


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialFiles:
    """A planned trial, how it ended, and the addresses of its raw output and its boot's; empty: not kept."""

    trial: Trial
    state: str
    raw: str
    boot: str


def trials(stored: StoredCampaign) -> tuple[TrialFiles, ...]:
    """Every planned trial, in the order of the plan."""
    states = _states(stored)
    boots = _boots(stored)
    return tuple(
        TrialFiles(
            trial=trial,
            state=states.get(trial, "spared by the stopping rule"),
            raw=_address(stored, raw_path(stored.directory, trial)),
            boot=boots.get(trial.boot, ""),
        )
        for trial in sorted(stored.campaign.plan, key=lambda one: one.position)
    )


def _states(stored: StoredCampaign) -> Mapping[Trial, str]:
    states = dict.fromkeys(missing(stored), "never ended")
    for outcome in stored.outcomes:
        match outcome:
            case Completed():
                states[outcome.trial] = "completed"
            case Failed():
                states[outcome.trial] = f"failed: {outcome.stage}"
    return states


def _boots(stored: StoredCampaign) -> Mapping[int, str]:
    """Where the last boot of each number left its output: that of the last resumption, if any."""

    def resumption(boot: BootFacts) -> int:
        return boot.resumption

    return {
        one.boot: _address(stored, boot_path(stored.directory, one.boot, one.resumption))
        for one in sorted(stored.facts, key=resumption)
    }


def _address(stored: StoredCampaign, path: Path) -> str:
    """The address of a directory as seen from the report; empty if nothing is there."""
    return quote(f"{path.relative_to(stored.directory).as_posix()}/") if path.is_dir() else ""
