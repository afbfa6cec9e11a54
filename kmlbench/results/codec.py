# SPDX-License-Identifier: MIT
"""The stored form of the nouns, format 1: what a line of outcomes.jsonl and campaign.json look like.

Readers raise ValueError with the name of the field that is missing or of the wrong type; the caller knows
the file and the line.
"""

from __future__ import annotations

from kmlbench.model import (
    FORMAT,
    BootFacts,
    Campaign,
    Completed,
    Failed,
    Kernel,
    Outcome,
    Prefix,
    Process,
    Proof,
    Resumption,
    Sample,
    Stopping,
    Trial,
    Variant,
)
from kmlbench.results import fields
from kmlbench.results.fields import Record
from kmlbench.results.samples import SampleReader


def campaign_record(campaign: Campaign) -> Record:
    """The content of campaign.json."""
    return {
        "format": campaign.format,
        "id": campaign.id,
        "started_utc": campaign.started_utc,
        "title": campaign.title,
        "platform": campaign.platform,
        "control": campaign.control,
        "seed": campaign.seed,
        "options": dict(campaign.options),
        "git_commit": campaign.git_commit,
        "tools": dict(campaign.tools),
        **({} if campaign.stopping is None else {"stopping": _stopping_record(campaign.stopping)}),
        "plan": [trial_record(trial) for trial in campaign.plan],
    }


def read_campaign(record: Record) -> Campaign:
    """The campaign in `record`. Raises ValueError, also for a format this version does not know."""
    require_format(record)
    return Campaign(
        id=fields.text(record, "id"),
        started_utc=fields.text(record, "started_utc"),
        title=fields.text(record, "title"),
        platform=fields.text(record, "platform"),
        control=fields.flag(record, "control"),
        seed=fields.integer(record, "seed"),
        options=fields.texts(record, "options"),
        plan=tuple(read_trial(trial) for trial in fields.mappings(record, "plan")),
        git_commit=fields.text(record, "git_commit"),
        tools=fields.texts(record, "tools"),
        stopping=_read_stopping(fields.mapping(record, "stopping")) if "stopping" in record else None,
    )


def _stopping_record(rule: Stopping) -> Record:
    return {
        "half_width": rule.half_width,
        "confidence": rule.confidence,
        "first": rule.first,
        "every": rule.every,
        "workload": rule.workload,
        "metric": rule.metric,
        "process": str(rule.process),
    }


def _read_stopping(record: Record) -> Stopping:
    rule = Stopping(
        half_width=fields.number(record, "half_width"),
        confidence=fields.number(record, "confidence"),
        first=fields.integer(record, "first"),
        every=fields.integer(record, "every"),
        workload=fields.text(record, "workload"),
        metric=fields.text(record, "metric"),
        process=Process(fields.text(record, "process")),
    )
    if not (rule.half_width > 0 and 0 < rule.confidence < 1 and rule.first >= 2 and rule.every >= 1):
        raise ValueError(f'field "stopping" is no rule: {dict(record)!r}')
    return rule


def facts_record(boot: BootFacts) -> Record:
    """The content of facts.json."""
    return {
        "format": FORMAT,
        "boot": boot.boot,
        **({"resumption": boot.resumption} if boot.resumption else {}),
        "kernel": str(boot.kernel),
        "facts": dict(boot.facts),
    }


def read_facts(record: Record) -> BootFacts:
    """The facts in `record`. Raises ValueError."""
    require_format(record)
    kernel = Kernel(fields.text(record, "kernel"))
    return BootFacts(
        boot=fields.natural(record, "boot"),
        kernel=kernel,
        facts=fields.texts(record, "facts"),
        resumption=fields.natural(record, "resumption") if "resumption" in record else 0,
    )


class UnknownFormat(ValueError):
    """A record of another format than this version reads, and what to do about it."""

    def __init__(self, found: int) -> None:
        super().__init__(f"format {found} is unknown; this version of kmlbench reads format {FORMAT}")
        self.remedy = (
            "read it with a newer kmlbench: git_commit in its campaign.json names the one that wrote it"
            if found > FORMAT
            else "restore the file from a copy: no version of kmlbench wrote that format"
        )


def require_format(record: Record) -> None:
    """Raise UnknownFormat unless `record` has the format that this version writes."""
    found = fields.integer(record, "format")
    if found != FORMAT:
        raise UnknownFormat(found)


def trial_record(trial: Trial) -> Record:
    """A trial, in campaign.json's plan and in every outcome."""
    return {
        "position": trial.position,
        "block": trial.block,
        "boot": trial.boot,
        "kernel": str(trial.variant.kernel),
        "prefix": str(trial.variant.prefix),
        "workload": trial.workload,
        "pair": trial.pair,
    }


def read_trial(record: Record) -> Trial:
    """The trial in `record`. Raises ValueError."""
    variant = Variant(
        kernel=Kernel(fields.text(record, "kernel")), prefix=Prefix(fields.text(record, "prefix"))
    )
    return Trial(
        block=fields.natural(record, "block"),
        boot=fields.natural(record, "boot"),
        position=fields.natural(record, "position"),
        variant=variant,
        workload=fields.word(record, "workload"),
        # Campaigns of one pair of hosts did not name it.
        pair=fields.natural(record, "pair") if "pair" in record else 0,
    )


def outcome_record(outcome: Outcome) -> Record:
    """One line of outcomes.jsonl."""
    common = {
        "trial": trial_record(outcome.trial),
        "started_utc": outcome.started_utc,
        "elapsed_s": outcome.elapsed_s,
    }
    match outcome:
        case Completed():
            samples = [_sample_record(sample) for sample in outcome.samples]
            proof = _proof_record(outcome.proof)
            return {"status": "completed", **common, "proof": proof, "samples": samples}
        case Failed():
            return {"status": "failed", **common, "stage": outcome.stage, "cause": outcome.cause}


def read_outcome(record: Record, samples: SampleReader, *, resumption: int = 0) -> Outcome:
    """The outcome in `record`; all outcomes of a campaign share the reader `samples`. Raises ValueError."""
    match fields.text(record, "status"):
        case "completed":
            return _read_completed(record, samples, resumption)
        case "failed":
            return _read_failed(record, resumption)
        case status:
            raise ValueError(f'field "status" is "{status}", not "completed" or "failed"')


def _read_completed(record: Record, samples: SampleReader, resumption: int) -> Completed:
    return Completed(
        trial=read_trial(fields.mapping(record, "trial")),
        proof=_read_proof(fields.mapping(record, "proof")),
        samples=samples.read(fields.mappings(record, "samples")),
        started_utc=fields.text(record, "started_utc"),
        elapsed_s=fields.number(record, "elapsed_s"),
        resumption=resumption,
    )


def _read_failed(record: Record, resumption: int) -> Failed:
    return Failed(
        trial=read_trial(fields.mapping(record, "trial")),
        stage=fields.text(record, "stage"),
        cause=fields.text(record, "cause"),
        started_utc=fields.text(record, "started_utc"),
        elapsed_s=fields.number(record, "elapsed_s"),
        resumption=resumption,
    )


def _sample_record(sample: Sample) -> Record:
    return {
        "metric": sample.metric,
        "unit": sample.unit,
        "value": sample.value,
        "process": str(sample.process),
        "driver": sample.driver,
    }


def _proof_record(proof: Proof) -> Record:
    return {
        "kernel_release": proof.kernel_release,
        "cpl": proof.cpl,
        "client_kernel_mode": proof.client_kernel_mode,
        "server_kernel_mode": proof.server_kernel_mode,
    }


def _read_proof(record: Record) -> Proof:
    return Proof(
        kernel_release=fields.text(record, "kernel_release"),
        cpl=fields.integer(record, "cpl"),
        client_kernel_mode=fields.optional_flag(record, "client_kernel_mode"),
        server_kernel_mode=fields.optional_flag(record, "server_kernel_mode"),
    )


RESUMED = "resumed"


def resumption_record(resumption: Resumption) -> Record:
    """One line of outcomes.jsonl."""
    return {
        "status": RESUMED,
        "number": resumption.number,
        "started_utc": resumption.started_utc,
        "lost_trials": [trial_record(trial) for trial in resumption.trials],
        "lost_boots": [{"boot": boot} for boot in resumption.boots],
    }


def read_resumption(record: Record) -> Resumption:
    """The resumption in `record`. Raises ValueError."""
    return Resumption(
        number=fields.natural(record, "number"),
        started_utc=fields.text(record, "started_utc"),
        trials=tuple(read_trial(trial) for trial in fields.mappings(record, "lost_trials")),
        boots=tuple(fields.natural(boot, "boot") for boot in fields.mappings(record, "lost_boots")),
    )
