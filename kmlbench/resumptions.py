# SPDX-License-Identifier: MIT
"""The stored form of a resumption: the line of outcomes.jsonl that says what an interruption cost."""

from __future__ import annotations

from dataclasses import dataclass

from kmlbench import fields
from kmlbench.fields import Record
from kmlbench.model import Trial
from kmlbench.records import read_trial, trial_record

RESUMED = "resumed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumption:
    """A campaign went on after its controller had ended. The first has `number` 1.

    `trials` had begun and have no outcome; `boots` (indices of the plan) had begun and did not get through
    their trials. Trials that had failed have their own lines.
    """

    number: int
    started_utc: str
    trials: tuple[Trial, ...]
    boots: tuple[int, ...]


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
