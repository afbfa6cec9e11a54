# SPDX-License-Identifier: MIT
"""What the controller of a cluster and its workers say to each other: pickled, between equal programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from kmlbench.build.bases import Base
from kmlbench.config.campaign import CampaignSpec
from kmlbench.hosts.spec import HostSpec
from kmlbench.model import Clock, Kernel, PlannedCampaign, Platform
from kmlbench.progress import StageBegun, TrialBegun, TrialEnded


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What hosts of a worker are made ready for: to be examined, or for a block.

    `hosts` are those of the controller, for a worker without its own; `version` is the program's.
    """

    version: str
    spec: CampaignSpec
    hosts: Mapping[Kernel, HostSpec]
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockJob(Job):
    """A block to run. `record` is the campaign with this block's trials alone; `resumption` is its own."""

    record: PlannedCampaign
    resumption: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """What a worker is, before anything has booted: workers of a campaign are alike in all but `tools`."""

    platform: Platform
    clock: Clock | None
    linux: Base | None
    releases: Mapping[Kernel, str]
    facts: Mapping[Kernel, Mapping[str, str]]
    tools: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A worker is done with a job; `error` is why not as wanted, `exit_code` that of its class in errors."""

    error: str = ""
    exit_code: int = 0


Content = Examination | StageBegun | TrialBegun | TrialEnded | Ended | str


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What a worker sends about a job: an event, a note or an answer.

    `files` are new or have changed since the delivery before, by their paths in the campaign's directory.
    """

    content: Content
    files: Mapping[str, bytes] = field(default_factory=dict)
