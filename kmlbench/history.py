# SPDX-License-Identifier: MIT
"""What became of each trial: the lines of outcomes.jsonl, put together in their order.

A trial ends once. Only a resumption lets a trial that failed before it end again, and then the later
outcome counts and the earlier one is what the campaign lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from kmlbench import fields
from kmlbench.fields import Record
from kmlbench.model import Completed, Failed, Outcome, Trial
from kmlbench.records import read_outcome
from kmlbench.resumptions import RESUMED, Resumption, read_resumption
from kmlbench.samplereader import SampleReader


@dataclass(slots=True)
class History:
    """The lines read so far."""

    plan: Sequence[Trial]
    resumptions: list[Resumption] = field(default_factory=list)
    superseded: list[Failed] = field(default_factory=list)
    _outcomes: dict[Trial, Outcome] = field(default_factory=dict)
    _samples: SampleReader = field(default_factory=SampleReader)
    _planned: frozenset[Trial] = field(init=False)

    def __post_init__(self) -> None:
        self._planned = frozenset(self.plan)

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """The outcome of each trial that ended, in the order of their lines."""
        return tuple(self._outcomes.values())

    def add(self, record: Record) -> None:
        """Read one more line. Raises ValueError for one that cannot stand there."""
        if fields.text(record, "status") == RESUMED:
            self._resume(read_resumption(record))
        else:
            self._end(read_outcome(record, self._samples, resumption=len(self.resumptions)))

    def _resume(self, resumption: Resumption) -> None:
        if resumption.number != len(self.resumptions) + 1:
            raise ValueError(f"resumption {resumption.number} follows {len(self.resumptions)} others")
        for trial in resumption.trials:
            self._require_open(trial)
        self.resumptions.append(resumption)

    def _end(self, outcome: Outcome) -> None:
        before = self._require_open(outcome.trial)
        if before is not None:
            if before.resumption == len(self.resumptions):
                raise ValueError(f"trial {outcome.trial.id} ended before")
            self.superseded.append(before)
            del self._outcomes[outcome.trial]
        self._outcomes[outcome.trial] = outcome

    def _require_open(self, trial: Trial) -> Failed | None:
        """The failure that `trial` had before, if any. Raises ValueError if it cannot end any more."""
        before = self._outcomes.get(trial)
        if trial not in self._planned or isinstance(before, Completed):
            raise ValueError(f"trial {trial.id} is not planned, or ended before")
        return before
