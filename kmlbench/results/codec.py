# SPDX-License-Identifier: MIT
"""The stored form of the nouns, format 1: what campaign.json, facts.json, argv.json and a line of
outcomes.jsonl look like.

Readers raise ValueError with the name of the field that is missing or of the wrong type; the caller knows
the file and the line.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from kmlbench.model import (
    FORMAT,
    BootFacts,
    Campaign,
    CommandResult,
    Completed,
    Failed,
    Kernel,
    Outcome,
    Prefix,
    Process,
    Proof,
    Resumption,
    Stopping,
    Trial,
    Variant,
)
from kmlbench.results import lines
from kmlbench.results.lines import Count, Finite, Word
from kmlbench.results.samples import SampleReader, SampleRecord


class UnknownFormat(ValueError):
    """A record of another format than this version reads, and what to do about it."""

    def __init__(self, found: int) -> None:
        super().__init__(f"format {found} is unknown; this version of kmlbench reads format {FORMAT}")
        self.remedy = (
            "read it with a newer kmlbench: git_commit in its campaign.json names the one that wrote it"
            if found > FORMAT
            else "restore the file from a copy: no version of kmlbench wrote that format"
        )


class _Format(Struct, frozen=True, kw_only=True):
    format: int


class _TrialRecord(Struct, frozen=True, kw_only=True):
    position: Count
    block: Count
    boot: Count
    kernel: Kernel
    prefix: Prefix
    workload: Word
    # Campaigns of one pair of hosts did not name it.
    pair: Count = 0


class _StoppingRecord(Struct, frozen=True, kw_only=True):
    half_width: Annotated[float, Meta(gt=0, le=1e300)]
    confidence: Annotated[float, Meta(gt=0, lt=1)]
    first: Annotated[int, Meta(ge=2)]
    every: Annotated[int, Meta(ge=1)]
    workload: str
    metric: str
    process: Process


class _CampaignRecord(_Format, frozen=True, kw_only=True):
    id: str
    started_utc: str
    title: str
    platform: str
    control: bool
    seed: int
    options: dict[str, str]
    git_commit: str
    tools: dict[str, str]
    stopping: _StoppingRecord | UnsetType = UNSET
    plan: tuple[_TrialRecord, ...]


class _FactsRecord(_Format, frozen=True, kw_only=True, omit_defaults=True):
    boot: Count
    resumption: Count = 0
    kernel: Kernel
    facts: dict[str, str]


class _ProofRecord(Struct, frozen=True, kw_only=True):
    kernel_release: str
    cpl: int
    client_kernel_mode: bool | None
    server_kernel_mode: bool | None


class _CompletedRecord(Struct, frozen=True, kw_only=True, tag_field="status", tag="completed"):
    trial: _TrialRecord
    started_utc: str
    elapsed_s: Finite
    proof: _ProofRecord
    samples: list[SampleRecord]


class _FailedRecord(Struct, frozen=True, kw_only=True, tag_field="status", tag="failed"):
    trial: _TrialRecord
    started_utc: str
    elapsed_s: Finite
    stage: str
    cause: str


class _LostBoot(Struct, frozen=True, kw_only=True):
    boot: Count


class _ResumptionRecord(Struct, frozen=True, kw_only=True, tag_field="status", tag="resumed"):
    number: Count
    started_utc: str
    lost_trials: tuple[_TrialRecord, ...]
    lost_boots: tuple[_LostBoot, ...]


_Line = _CompletedRecord | _FailedRecord | _ResumptionRecord


class _CommandRecord(Struct, frozen=True, kw_only=True):
    argv: tuple[str, ...]
    returncode: int
    elapsed_s: Finite


_FORMAT = msgspec.json.Decoder(_Format)
_CAMPAIGN = msgspec.json.Decoder(_CampaignRecord)
_FACTS = msgspec.json.Decoder(_FactsRecord)
_LINE: msgspec.json.Decoder[_Line] = msgspec.json.Decoder(_Line)
_COMMAND = msgspec.json.Decoder(_CommandRecord)


def campaign_text(campaign: Campaign) -> str:
    """The content of campaign.json."""
    rule = campaign.stopping
    record = _CampaignRecord(
        format=campaign.format,
        id=campaign.id,
        started_utc=campaign.started_utc,
        title=campaign.title,
        platform=campaign.platform,
        control=campaign.control,
        seed=campaign.seed,
        options=dict(campaign.options),
        git_commit=campaign.git_commit,
        tools=dict(campaign.tools),
        stopping=UNSET if rule is None else msgspec.convert(rule, _StoppingRecord, from_attributes=True),
        plan=_trial_records(campaign.plan),
    )
    return lines.seal(record) + "\n"


def read_campaign(text: str) -> Campaign:
    """The campaign in `text`. Raises ValueError, also for a format this version does not know."""
    _require_format(text)
    record = lines.load(text, _CAMPAIGN)
    rule = record.stopping
    return Campaign(
        id=record.id,
        started_utc=record.started_utc,
        title=record.title,
        platform=record.platform,
        control=record.control,
        seed=record.seed,
        options=record.options,
        plan=_trials(record.plan),
        git_commit=record.git_commit,
        tools=record.tools,
        stopping=None if rule is UNSET else msgspec.convert(rule, Stopping, from_attributes=True),
    )


def facts_text(boot: BootFacts) -> str:
    """The content of facts.json."""
    record = _FactsRecord(
        format=FORMAT,
        boot=boot.boot,
        resumption=boot.resumption,
        kernel=boot.kernel,
        facts=dict(boot.facts),
    )
    return lines.seal(record) + "\n"


def read_facts(text: str) -> BootFacts:
    """The facts in `text`. Raises ValueError."""
    _require_format(text)
    record = lines.load(text, _FACTS)
    return BootFacts(boot=record.boot, kernel=record.kernel, facts=record.facts, resumption=record.resumption)


def _require_format(text: str) -> None:
    """Raise UnknownFormat unless `text` has the format that this version writes."""
    found = lines.load(text, _FORMAT).format
    if found != FORMAT:
        raise UnknownFormat(found)


def outcome_text(outcome: Outcome) -> str:
    """The line of outcomes.jsonl about a trial that ended."""
    trial = _trial_record(outcome.trial)
    match outcome:
        case Completed():
            return lines.seal(_completed_record(outcome, trial)) + "\n"
        case Failed():
            failed = _FailedRecord(
                trial=trial,
                started_utc=outcome.started_utc,
                elapsed_s=outcome.elapsed_s,
                stage=outcome.stage,
                cause=outcome.cause,
            )
            return lines.seal(failed) + "\n"


def _completed_record(outcome: Completed, trial: _TrialRecord) -> _CompletedRecord:
    return _CompletedRecord(
        trial=trial,
        started_utc=outcome.started_utc,
        elapsed_s=outcome.elapsed_s,
        proof=msgspec.convert(outcome.proof, _ProofRecord, from_attributes=True),
        samples=[SampleRecord.of(sample) for sample in outcome.samples],
    )


def resumption_text(resumption: Resumption) -> str:
    """The line of outcomes.jsonl about a campaign that went on."""
    record = _ResumptionRecord(
        number=resumption.number,
        started_utc=resumption.started_utc,
        lost_trials=_trial_records(resumption.trials),
        lost_boots=tuple(_LostBoot(boot=boot) for boot in resumption.boots),
    )
    return lines.seal(record) + "\n"


def read_line(text: str, samples: SampleReader, *, resumption: int = 0) -> Outcome | Resumption:
    """What a line of outcomes.jsonl says. Raises ValueError.

    All lines of a campaign share the reader `samples`; so many resumptions preceded this one.
    """
    match lines.load(text, _LINE):
        case _CompletedRecord() as record:
            return Completed(
                trial=_trial(record.trial),
                proof=msgspec.convert(record.proof, Proof, from_attributes=True),
                samples=samples.read(record.samples),
                started_utc=record.started_utc,
                elapsed_s=record.elapsed_s,
                resumption=resumption,
            )
        case _FailedRecord() as record:
            return Failed(
                trial=_trial(record.trial),
                stage=record.stage,
                cause=record.cause,
                started_utc=record.started_utc,
                elapsed_s=record.elapsed_s,
                resumption=resumption,
            )
        case _ResumptionRecord() as record:
            return Resumption(
                number=record.number,
                started_utc=record.started_utc,
                trials=_trials(record.lost_trials),
                boots=tuple(lost.boot for lost in record.lost_boots),
            )


def command_text(result: CommandResult) -> str:
    """The content of argv.json: a command without its output."""
    record = _CommandRecord(argv=result.argv, returncode=result.returncode, elapsed_s=result.elapsed_s)
    return lines.dump(record) + "\n"


def read_command(text: str, *, stdout: str, stderr: str) -> CommandResult:
    """The command in `text`, which printed this. Raises ValueError."""
    record = lines.load(text, _COMMAND)
    return CommandResult(
        argv=record.argv,
        returncode=record.returncode,
        elapsed_s=record.elapsed_s,
        stdout=stdout,
        stderr=stderr,
    )


def _trial_record(trial: Trial) -> _TrialRecord:
    return _TrialRecord(
        position=trial.position,
        block=trial.block,
        boot=trial.boot,
        kernel=trial.variant.kernel,
        prefix=trial.variant.prefix,
        workload=trial.workload,
        pair=trial.pair,
    )


def _trial_records(trials: Sequence[Trial]) -> tuple[_TrialRecord, ...]:
    return tuple(map(_trial_record, trials))


def _trial(record: _TrialRecord) -> Trial:
    return Trial(
        block=record.block,
        boot=record.boot,
        position=record.position,
        variant=Variant(kernel=record.kernel, prefix=record.prefix),
        workload=record.workload,
        pair=record.pair,
    )


def _trials(records: Sequence[_TrialRecord]) -> tuple[Trial, ...]:
    return tuple(map(_trial, records))
