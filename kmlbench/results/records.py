# SPDX-License-Identifier: MIT
"""The shape of the files of the record, format 1: their fields in order, with their types and limits.

A field that is not required here was not written by some version. Unknown fields are ignored.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from kmlbench.model import Kernel, Prefix, Process
from kmlbench.results.lines import Count, Finite, Word
from kmlbench.results.samples import SampleRecord


class Format(Struct, frozen=True, kw_only=True):
    """What all files have."""

    format: int


class TrialRecord(Struct, frozen=True, kw_only=True):
    """A trial, in the plan of campaign.json and in every outcome."""

    position: Count
    block: Count
    boot: Count
    kernel: Kernel
    prefix: Prefix
    workload: Word
    # Old campaigns, of a single pair of hosts, do not have it.
    pair: Count = 0


class StoppingRecord(Struct, frozen=True, kw_only=True):
    """The rule that may end a campaign, in campaign.json."""

    half_width: Annotated[float, Meta(gt=0, le=1e300)]
    confidence: Annotated[float, Meta(gt=0, lt=1)]
    first: Annotated[int, Meta(ge=2)]
    every: Annotated[int, Meta(ge=1)]
    workload: str
    metric: str
    process: Process


class CampaignRecord(Format, frozen=True, kw_only=True):
    """campaign.json."""

    id: str
    started_utc: str
    title: str
    platform: str
    control: bool
    seed: int
    options: dict[str, str]
    git_commit: str
    tools: dict[str, str]
    stopping: StoppingRecord | UnsetType = UNSET
    definitions: dict[str, str] | UnsetType = UNSET
    plan: tuple[TrialRecord, ...]


class FactsRecord(Format, frozen=True, kw_only=True, omit_defaults=True):
    """facts.json."""

    boot: Count
    resumption: Count = 0
    kernel: Kernel
    facts: dict[str, str]


class ProofRecord(Struct, frozen=True, kw_only=True):
    """What was seen from inside, in an outcome."""

    kernel_release: str
    cpl: int
    client_kernel_mode: bool | None
    server_kernel_mode: bool | None


class CompletedRecord(Struct, frozen=True, kw_only=True, tag_field="status", tag="completed"):
    """A line of outcomes.jsonl: a trial with numbers."""

    trial: TrialRecord
    started_utc: str
    elapsed_s: Finite
    proof: ProofRecord
    samples: list[SampleRecord]
    raw: dict[str, str] | UnsetType = UNSET


class FailedRecord(Struct, frozen=True, kw_only=True, tag_field="status", tag="failed"):
    """A line of outcomes.jsonl: a trial without."""

    trial: TrialRecord
    started_utc: str
    elapsed_s: Finite
    stage: str
    cause: str
    raw: dict[str, str] | UnsetType = UNSET


class LostBoot(Struct, frozen=True, kw_only=True):
    """A boot that was cut off, by its index in the plan."""

    boot: Count


class ResumptionRecord(Struct, frozen=True, kw_only=True, tag_field="status", tag="resumed"):
    """A line of outcomes.jsonl: the campaign went on."""

    number: Count
    started_utc: str
    lost_trials: tuple[TrialRecord, ...]
    lost_boots: tuple[LostBoot, ...]


class LostBlockRecord(Struct, frozen=True, kw_only=True, tag_field="status", tag="lost"):
    """A line of outcomes.jsonl: a worker did not end a block, which runs again as a whole."""

    block: Count
    number: Count
    worker: str
    cause: str
    lost_utc: str
    lost_trials: tuple[TrialRecord, ...]


LineRecord = CompletedRecord | FailedRecord | ResumptionRecord | LostBlockRecord


class CommandRecord(Struct, frozen=True, kw_only=True):
    """argv.json of a step."""

    argv: tuple[str, ...]
    returncode: int
    elapsed_s: Finite
