# SPDX-License-Identifier: MIT
"""The state of a running campaign: what each pair of hosts is doing, the time left, the main ratio so far.

On a cluster, whose plan has one pair, events number the workers instead, which share what is left.

It receives events and decides nothing: the rule that may end a campaign (plan.stopping) looks at
the outcomes by itself. The ratio is the report's own, of the trials that have ended; before the end its
interval is not a verdict (docs/decisions/0030).
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from kmlbench.analysis import measurements
from kmlbench.analysis.platforms import meaning
from kmlbench.analysis.primary import PrimaryRatio, planned_measure, primary_ratio
from kmlbench.errors import InputError
from kmlbench.interruptions import LostBlock
from kmlbench.model import Failed, Outcome, PlannedCampaign, Trial, completed
from kmlbench.plan import stopping
from kmlbench.plan.comparisons import cell_of, primary
from kmlbench.plan.question import main_workload
from kmlbench.plan.schedule import COSTS
from kmlbench.progress import Begun, BlockLost, Event, Stage, StageBegun, TrialBegun, TrialEnded
from kmlbench.results.reader import StoredCampaign
from kmlbench.results.samples import Samples
from kmlbench.stats import intervals
from kmlbench.stats.intervals import Absent
from kmlbench.workloads.registry import defined, known_adapter

NO_CLAIM = "emulated real time says nothing about speed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """What one pair of hosts does, since when (by the clock), and how long its share still takes.

    `step_s` is what the present step should take, `later_s` everything after it. `doing` is None between
    steps; `boot` is the index of the boot that runs, or -1.
    """

    boot: int = -1
    doing: StageBegun | TrialBegun | None = None
    since: float = 0.0
    step_s: float = 0.0
    later_s: float = 0.0

    def left_s(self, now: float) -> float:
        """Seconds that are left at the moment `now`; a step that takes longer than it should has none."""
        return self.later_s + max(0.0, self.step_s - (now - self.since))


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignState:
    """How a campaign stands. `done` counts trials that ended, `failed` those of them without numbers."""

    planned: int
    blocks: int
    may_end_early: bool
    done: int
    failed: int
    pairs: Mapping[int, Pair]
    standing: PrimaryRatio

    def left_s(self, now: float) -> float:
        """Seconds until the slowest pair has finished its plan."""
        return max((pair.left_s(now) for pair in self.pairs.values()), default=0.0)


@dataclass(slots=True, kw_only=True)
class Outlook:
    """Follows a campaign by its events: one thread at a time calls `tell`; `state` may be read any time."""

    clock: Callable[[], float] = time.monotonic
    state: CampaignState | None = None
    _record: PlannedCampaign | None = None
    _outcomes: dict[Trial, Outcome] = field(default_factory=dict)
    _pairs: dict[int, Pair] = field(default_factory=dict)
    _boots: dict[int, tuple[float, float]] = field(default_factory=dict)
    _overheads: list[float] = field(default_factory=list)
    _standing: PrimaryRatio | None = None

    def tell(self, event: Event) -> None:
        """Take note of an event."""
        match event:
            case Begun():
                self._begin(event)
            case StageBegun(boot=boot, stage=Stage.BOOT):
                self._close(boot.pair)
                self._boots[boot.pair] = self.clock(), 0.0
                self._do(boot.pair, event)
            case StageBegun(boot=boot):
                self._do(boot.pair, event)
            case TrialBegun(trial=trial):
                self._do(trial.pair, event)
            case TrialEnded(outcome=outcome):
                self._end(outcome)
            case BlockLost(lost=lost):
                self._lose(lost)
            case _:
                return
        self._settle()

    def _begin(self, event: Begun) -> None:
        self._record = event.record
        self._outcomes = {outcome.trial: outcome for outcome in completed(event.before)}
        self._pairs = {trial.pair: Pair() for trial in event.record.plan}
        self._standing = primary_so_far(event.record, tuple(self._outcomes.values()))

    def _do(self, pair: int, doing: StageBegun | TrialBegun) -> None:
        boot = doing.trial.boot if isinstance(doing, TrialBegun) else doing.boot.index
        self._pairs[pair] = Pair(boot=boot, doing=doing, since=self.clock())

    def _end(self, outcome: Outcome) -> None:
        trial = outcome.trial
        self._outcomes[trial] = outcome
        # On a cluster, the worker whose boot it is.
        number = next((each for each, pair in self._pairs.items() if pair.boot == trial.boot), trial.pair)
        started, measured_s = self._boots.get(number, (self.clock(), 0.0))
        self._boots[number] = started, measured_s + outcome.elapsed_s
        self._pairs[number] = Pair(boot=trial.boot, since=self.clock())
        if self._record is not None and _bears_on_standing(self._record, trial):
            self._standing = primary_so_far(self._record, tuple(self._outcomes.values()))

    def _lose(self, lost: LostBlock) -> None:
        """Forget what had ended of a block, and its worker."""
        if self._record is None:
            return
        boots = {trial.boot for trial in self._record.plan if trial.block == lost.block}
        self._pairs = {number: pair for number, pair in self._pairs.items() if pair.boot not in boots}
        self._boots = {number: times for number, times in self._boots.items() if number in self._pairs}
        for trial in lost.trials:
            self._outcomes.pop(trial, None)
        self._standing = primary_so_far(self._record, tuple(self._outcomes.values()))

    def _close(self, pair: int) -> None:
        """Note how long the boot that this pair has finished took beside its trials."""
        if pair in self._boots:
            started, measured_s = self._boots.pop(pair)
            self._overheads.append(max(0.0, self.clock() - started - measured_s))

    def _settle(self) -> None:
        record = self._record
        if record is None or self._standing is None:
            return
        expected = _expected(record, self._outcomes.values())
        boot_s = intervals.mean(self._overheads) if self._overheads else COSTS.boot_s + COSTS.start_s
        ahead = [trial for trial in record.plan if trial not in self._outcomes]
        shared = len(self._pairs) > len({trial.pair for trial in record.plan})
        for number, pair in self._pairs.items():
            if shared:
                timed = _timed(pair, ahead, expected, boot_s)
                self._pairs[number] = replace(timed, later_s=timed.later_s / len(self._pairs))
            else:
                own = [trial for trial in ahead if trial.pair == number]
                self._pairs[number] = _timed(pair, own, expected, boot_s)
        self.state = CampaignState(
            planned=len(record.plan),
            blocks=len({trial.block for trial in record.plan}),
            may_end_early=record.stopping is not None,
            done=len(self._outcomes),
            failed=sum(isinstance(outcome, Failed) for outcome in self._outcomes.values()),
            pairs=dict(self._pairs),
            standing=self._standing,
        )


def primary_so_far(record: PlannedCampaign, outcomes: Sequence[Outcome]) -> PrimaryRatio:
    """The ratio that answers the campaign's question, as the report would have it of these outcomes.

    No verdict: the campaign has not ended.
    """
    workload = main_workload(record.plan)
    # Of all the numbers only those that this ratio is made of: it is computed after every trial.
    chosen = tuple(
        replace(outcome, samples=Samples.of(outcome.samples).having((stopping.METRIC,)))
        for outcome in completed(outcomes)
        if outcome.trial.workload == workload
    )
    stored = StoredCampaign(directory=Path("running"), campaign=record, outcomes=chosen, facts=())
    try:
        standing = primary_ratio(measurements.source(stored))
    except InputError as error:
        # The report will say so; watching a campaign must not end it.
        return PrimaryRatio(
            measure=planned_measure(workload, stored.own),
            comparison=primary(record.plan, control=record.control),
            ratio=Absent(reason=str(error)),
        )
    return standing if meaning(record.platform).claim else replace(standing, ratio=Absent(reason=NO_CLAIM))


def _bears_on_standing(record: PlannedCampaign, trial: Trial) -> bool:
    comparison = primary(record.plan, control=record.control)
    cell = cell_of(trial, control=record.control)
    return trial.workload == main_workload(record.plan) and cell in {comparison.treated, comparison.control}


def _expected(record: PlannedCampaign, outcomes: Iterable[Outcome]) -> Callable[[Trial], float]:
    """How long a trial takes: the mean of its workload's trials, or of all trials, or the planned cost."""
    taken: dict[str, list[float]] = defaultdict(list)
    for outcome in completed(outcomes):
        taken[outcome.trial.workload].append(outcome.elapsed_s)
    means = {workload: intervals.mean(times) for workload, times in taken.items()}
    scale = float(record.options.get("scale", "1"))
    if means:
        others = intervals.mean([*means.values()])
        return lambda trial: means.get(trial.workload, others)
    own = defined(record.definitions)
    adapters = {trial.workload: known_adapter(trial.workload, own) for trial in record.plan}
    served = {name for name, adapter in adapters.items() if adapter is not None and adapter.needs_server}
    return lambda trial: COSTS.of_trial(served=trial.workload in served, scale=scale)


def _timed(pair: Pair, ahead: Sequence[Trial], expected: Callable[[Trial], float], boot_s: float) -> Pair:
    """The pair with the time that its step and what comes after it should take."""
    match pair.doing:
        case TrialBegun(trial=trial):
            step_s = expected(trial)
            ahead = [later for later in ahead if later.position != trial.position]
        case StageBegun(stage=Stage.BOOT):
            step_s = boot_s
        case _:
            step_s = 0.0
    boots = len({trial.boot for trial in ahead} - {pair.boot})
    return replace(pair, step_s=step_s, later_s=boots * boot_s + sum(map(expected, ahead)))
