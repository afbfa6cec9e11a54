# SPDX-License-Identifier: MIT
"""What happens in a campaign, as it happens: for whoever watches it. Nothing here decides anything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from kmlbench.model import Outcome, Prefix, Trial
from kmlbench.plan import Boot
from kmlbench.records import Campaign


class Stage(StrEnum):
    """What a pair of hosts does when it runs no trial."""

    BOOT = "boot"
    INSPECT = "inspect"
    SERVER = "server"
    CLOSE = "close"


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """What is to be run, before anything is started. `estimate_s` is a guess in seconds of this machine."""

    trials: tuple[Trial, ...]
    seed: int
    estimate_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """The campaign in `directory` begins, or goes on where `before` had got to."""

    record: Campaign
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
class Reported:
    """The report is written, and everything is done; `failed` trials of this run had no numbers."""

    report: Path
    failed: int


Event = Planned | Begun | StageBegun | TrialBegun | TrialEnded | Reported
