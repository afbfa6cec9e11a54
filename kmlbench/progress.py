# SPDX-License-Identifier: MIT
"""Progress of long steps. Only `kmlbench.cli` displays it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from kmlbench.interruptions import LostBlock
from kmlbench.model import Boot, Outcome, PlannedCampaign, Prefix, Trial


class Progress(Protocol):
    """What long steps report to."""

    def stage(self, name: str, *, total: int | None = None) -> None:
        """A new stage begins; `total` is its number of units where that can be known."""

    def advance(self, count: int = 1) -> None:
        """`count` more units of the current stage are done."""

    def note(self, text: str) -> None:
        """One line that the user should see and keep."""

    def tell(self, event: Event) -> None:
        """Report an event of a campaign; called from any thread, one call at a time."""


class Silent:
    """Reports nothing; for tests and for callers that do not care."""

    def stage(self, name: str, *, total: int | None = None) -> None:
        del name, total

    def advance(self, count: int = 1) -> None:
        del count

    def note(self, text: str) -> None:
        del text

    def tell(self, event: Event) -> None:
        del event


class Stage(StrEnum):
    """What a pair of hosts is doing outside of trials."""

    BOOT = "boot"
    INSPECT = "inspect"
    SERVER = "server"
    CLOSE = "close"


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """What will run, before anything is started. `estimate_s` is in seconds of this machine's time."""

    trials: tuple[Trial, ...]
    seed: int
    estimate_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """The campaign in `directory` starts, or resumes after `before`."""

    record: PlannedCampaign
    directory: Path
    before: Sequence[Outcome] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StageBegun:
    """A pair of hosts does something for `boot`; `prefix` is where a server is started from."""

    boot: Boot
    stage: Stage
    prefix: Prefix | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialBegun:
    """A trial begins."""

    trial: Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialEnded:
    """A trial ended, and its outcome is stored."""

    outcome: Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockLost:
    """A worker of a cluster did not end a block, which runs again: its trials have not ended any more."""

    lost: LostBlock


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """The report is written, and everything is done; `failed` trials of this run had no numbers."""

    report: Path
    failed: int


Event = Planned | Begun | StageBegun | TrialBegun | TrialEnded | BlockLost | Reported
