# SPDX-License-Identifier: MIT
"""The recorder of a running campaign: outcomes, facts and notes, serialised over all pairs of hosts."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import InitVar, dataclass, field
from threading import RLock

from kmlbench.errors import KmlbenchError
from kmlbench.interruptions import LostBlock
from kmlbench.model import Boot, BootFacts, Completed, Failed, Outcome, Proof, Sample, Trial
from kmlbench.progress import BlockLost, Event, Progress, TrialEnded
from kmlbench.results import facts
from kmlbench.results.reader import StoredCampaign
from kmlbench.results.writer import CampaignDirectory
from kmlbench.run.stopwatch import Moment

Measured = tuple[Proof, tuple[Sample, ...]]


@dataclass(slots=True, kw_only=True)
class Recorder:
    """The record of a running campaign; every method may be called from any thread.

    `ended_after` gets the outcomes: after how many blocks a rule ends the campaign. `before` is the
    campaign before it was resumed: completed trials count, failed ones may end again. `require` may raise an
    error for a failed trial, which ends the campaign.
    """

    directory: CampaignDirectory
    progress: Progress
    ended_after: Callable[[Sequence[Outcome]], int | None]
    before: InitVar[StoredCampaign | None] = None
    require: Callable[[Failed], None] = lambda _: None
    failed: int = 0
    _outcomes: list[Outcome] = field(default_factory=list)
    _ended: set[Trial] = field(default_factory=set)
    _facts: list[BootFacts] = field(default_factory=list)
    _lock: RLock = field(default_factory=RLock)

    def __post_init__(self, before: StoredCampaign | None) -> None:
        if before is not None:
            self._outcomes.extend(before.completed)
            self._ended.update(outcome.trial for outcome in before.completed)
            self._facts.extend(before.measured_facts)

    def complete(self, trial: Trial, measured: Measured, started: Moment) -> None:
        """Store the numbers of a trial."""
        proof, samples = measured
        self._end(
            Completed(
                trial=trial,
                proof=proof,
                samples=samples,
                started_utc=started.utc,
                elapsed_s=started.elapsed_s,
            ),
            f"{_title(trial)}: {started.elapsed_s:.1f} s",
        )

    def fail(self, trial: Trial, stage: str, error: KmlbenchError, started: Moment) -> None:
        """Store that a trial failed, and why. Raises what `require` raises."""
        failed = Failed(
            trial=trial,
            stage=stage,
            cause=str(error),
            started_utc=started.utc,
            elapsed_s=started.elapsed_s,
        )
        self._end(failed, f"failed: {_title(trial)}, {stage}: {str(error).splitlines()[0]}")
        self.require(failed)

    def store(self, outcome: Outcome) -> None:
        """Store what a worker of a cluster measured; its own recorder has noted it."""
        self._end(outcome)

    def lose(self, lost: LostBlock, boots: Collection[int]) -> None:
        """Store that a block with these boots runs again: what had ended of it does not count."""
        gone = frozenset(lost.trials)
        with self._lock:
            self.directory.lose(lost)
            self.failed -= sum(isinstance(each, Failed) for each in self._outcomes if each.trial in gone)
            self._outcomes = [each for each in self._outcomes if each.trial not in gone]
            self._ended -= gone
            self._facts = [facts for facts in self._facts if facts.boot not in boots]
            self.progress.tell(BlockLost(lost=lost))
            self.progress.advance(-len(gone))

    def record_facts(self, boot: Boot, values: Mapping[str, str]) -> None:
        """Store the facts of a boot. Raises ProofError if those of the boots before differ."""
        self.directory.facts(boot.index, boot.kernel, values)
        with self._lock:
            self._facts.append(BootFacts(boot=boot.index, kernel=boot.kernel, facts=values, pair=boot.pair))
            facts.require_agreement(self._facts)

    def left(self, trials: Sequence[Trial]) -> tuple[Trial, ...]:
        """The trials among these that have not ended."""
        with self._lock:
            return tuple(trial for trial in trials if trial not in self._ended)

    @property
    def ended(self) -> frozenset[Trial]:
        """The trials that have ended."""
        with self._lock:
            return frozenset(self._ended)

    def blocks_that_suffice(self) -> int | None:
        """After how many blocks the rule ends the campaign; None if it does not."""
        with self._lock:
            return self.ended_after(self._outcomes)

    def note(self, text: str) -> None:
        """Emit one line."""
        with self._lock:
            self.progress.note(text)

    def tell(self, event: Event) -> None:
        """Emit an event."""
        with self._lock:
            self.progress.tell(event)

    def _end(self, outcome: Outcome, note: str = "") -> None:
        with self._lock:
            self.failed += isinstance(outcome, Failed)
            self.directory.append(outcome)
            self._outcomes.append(outcome)
            self._ended.add(outcome.trial)
            if note:
                self.progress.note(note)
            self.progress.tell(TrialEnded(outcome=outcome))
            self.progress.advance()


def _title(trial: Trial) -> str:
    return f"block {trial.block + 1}, {trial.variant}, {trial.workload}"
