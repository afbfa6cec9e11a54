# SPDX-License-Identifier: MIT
"""Encodes and decodes the record: campaign.json, facts.json, argv.json and the lines of outcomes.jsonl.

Readers raise ValueError with the name of the field that is missing or of the wrong type; the caller knows
the file and the line.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from msgspec import UNSET, UnsetType

from kmlbench.interruptions import LostBlock, Resumption
from kmlbench.model import (
    FORMAT,
    BootFacts,
    CommandResult,
    Completed,
    Failed,
    Outcome,
    PlannedCampaign,
    Proof,
    Stopping,
    Trial,
    Variant,
)
from kmlbench.results import lines
from kmlbench.results.records import (
    CampaignRecord,
    CommandRecord,
    CompletedRecord,
    FactsRecord,
    FailedRecord,
    Format,
    LineRecord,
    LostBlockRecord,
    LostBoot,
    ProofRecord,
    ResumptionRecord,
    StoppingRecord,
    TrialRecord,
)
from kmlbench.results.samples import SampleReader, SampleRecord


class UnknownFormat(ValueError):
    """A record of another format than this version reads, and what to do about it."""

    def __init__(self, number: int) -> None:
        super().__init__(f"format {number} is unknown; this version of kmlbench reads format {FORMAT}")
        self.remedy = (
            "read it with a newer kmlbench: git_commit in its campaign.json names the one that wrote it"
            if number > FORMAT
            else "restore the file from a copy: no version of kmlbench wrote that format"
        )


_FORMAT = msgspec.json.Decoder(Format)
_CAMPAIGN = msgspec.json.Decoder(CampaignRecord)
_FACTS = msgspec.json.Decoder(FactsRecord)
_LINE: msgspec.json.Decoder[LineRecord] = msgspec.json.Decoder(LineRecord)
_COMMAND = msgspec.json.Decoder(CommandRecord)


def campaign_text(campaign: PlannedCampaign) -> str:
    """The content of campaign.json."""
    rule = campaign.stopping
    record = CampaignRecord(
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
        stopping=UNSET if rule is None else msgspec.convert(rule, StoppingRecord, from_attributes=True),
        definitions=dict(campaign.definitions) or UNSET,
        plan=_trial_records(campaign.plan),
    )
    return lines.seal(record) + "\n"


def decode_campaign(text: str) -> PlannedCampaign:
    """The campaign in `text`. Raises ValueError, also for a format this version does not know."""
    _require_format(text)
    record = lines.decode(text, _CAMPAIGN)
    rule = record.stopping
    return PlannedCampaign(
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
        definitions={} if record.definitions is UNSET else record.definitions,
    )


def facts_text(boot: BootFacts) -> str:
    """The content of facts.json."""
    record = FactsRecord(
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
    record = lines.decode(text, _FACTS)
    return BootFacts(boot=record.boot, kernel=record.kernel, facts=record.facts, resumption=record.resumption)


def _require_format(text: str) -> None:
    """Raise UnknownFormat unless `text` has the format that this version writes."""
    number = lines.decode(text, _FORMAT).format
    if number != FORMAT:
        raise UnknownFormat(number)


def outcome_text(outcome: Outcome) -> str:
    """The line of outcomes.jsonl about a trial that ended."""
    trial = _trial_record(outcome.trial)
    match outcome:
        case Completed():
            return lines.seal(_completed_record(outcome, trial)) + "\n"
        case Failed():
            failed = FailedRecord(
                trial=trial,
                started_utc=outcome.started_utc,
                elapsed_s=outcome.elapsed_s,
                stage=outcome.stage,
                cause=outcome.cause,
                raw=_raw_record(outcome),
            )
            return lines.seal(failed) + "\n"


def _completed_record(outcome: Completed, trial: TrialRecord) -> CompletedRecord:
    return CompletedRecord(
        trial=trial,
        started_utc=outcome.started_utc,
        elapsed_s=outcome.elapsed_s,
        proof=msgspec.convert(outcome.proof, ProofRecord, from_attributes=True),
        samples=[SampleRecord.of(sample) for sample in outcome.samples],
        raw=_raw_record(outcome),
    )


def _raw_record(outcome: Outcome) -> dict[str, str] | UnsetType:
    return UNSET if outcome.raw is None else dict(outcome.raw)


def _raw(record: CompletedRecord | FailedRecord) -> dict[str, str] | None:
    return None if record.raw is UNSET else record.raw


def resumption_text(resumption: Resumption) -> str:
    """The line of outcomes.jsonl about a campaign that went on."""
    record = ResumptionRecord(
        number=resumption.number,
        started_utc=resumption.started_utc,
        lost_trials=_trial_records(resumption.trials),
        lost_boots=tuple(LostBoot(boot=boot) for boot in resumption.boots),
    )
    return lines.seal(record) + "\n"


def lost_block_text(lost: LostBlock) -> str:
    """The line of outcomes.jsonl about a block that runs again."""
    record = LostBlockRecord(
        block=lost.block,
        number=lost.number,
        worker=lost.worker,
        cause=lost.cause,
        lost_utc=lost.lost_utc,
        lost_trials=_trial_records(lost.trials),
    )
    return lines.seal(record) + "\n"


def read_line(text: str, samples: SampleReader, *, resumption: int = 0) -> Outcome | Resumption | LostBlock:
    """What a line of outcomes.jsonl says. Raises ValueError.

    All lines of a campaign share the reader `samples`; `resumption` counts the resumptions before this line.
    """
    match lines.decode(text, _LINE):
        case CompletedRecord() as record:
            return Completed(
                trial=_trial(record.trial),
                proof=msgspec.convert(record.proof, Proof, from_attributes=True),
                samples=samples.read(record.samples),
                started_utc=record.started_utc,
                elapsed_s=record.elapsed_s,
                resumption=resumption,
                raw=_raw(record),
            )
        case FailedRecord() as record:
            return Failed(
                trial=_trial(record.trial),
                stage=record.stage,
                cause=record.cause,
                started_utc=record.started_utc,
                elapsed_s=record.elapsed_s,
                resumption=resumption,
                raw=_raw(record),
            )
        case ResumptionRecord() as record:
            return Resumption(
                number=record.number,
                started_utc=record.started_utc,
                trials=_trials(record.lost_trials),
                boots=tuple(lost.boot for lost in record.lost_boots),
            )
        case LostBlockRecord() as record:
            return LostBlock(
                block=record.block,
                number=record.number,
                worker=record.worker,
                cause=record.cause,
                lost_utc=record.lost_utc,
                trials=_trials(record.lost_trials),
            )


def command_text(result: CommandResult) -> str:
    """The content of argv.json: a command without its output."""
    record = CommandRecord(argv=result.argv, returncode=result.returncode, elapsed_s=result.elapsed_s)
    return lines.encode(record) + "\n"


def read_command(text: str, *, stdout: str, stderr: str) -> CommandResult:
    """The command in `text`, with the output that it printed. Raises ValueError."""
    record = lines.decode(text, _COMMAND)
    return CommandResult(
        argv=record.argv,
        returncode=record.returncode,
        elapsed_s=record.elapsed_s,
        stdout=stdout,
        stderr=stderr,
    )


def _trial_record(trial: Trial) -> TrialRecord:
    return TrialRecord(
        position=trial.position,
        block=trial.block,
        boot=trial.boot,
        kernel=trial.variant.kernel,
        prefix=trial.variant.prefix,
        workload=trial.workload,
        pair=trial.pair,
    )


def _trial_records(trials: Sequence[Trial]) -> tuple[TrialRecord, ...]:
    return tuple(map(_trial_record, trials))


def _trial(record: TrialRecord) -> Trial:
    return Trial(
        block=record.block,
        boot=record.boot,
        position=record.position,
        variant=Variant(kernel=record.kernel, prefix=record.prefix),
        workload=record.workload,
        pair=record.pair,
    )


def _trials(records: Sequence[TrialRecord]) -> tuple[Trial, ...]:
    return tuple(map(_trial, records))
