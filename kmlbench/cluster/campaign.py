# SPDX-License-Identifier: MIT
"""Runs a plan on a cluster: hands out blocks, and keeps the record of what comes back.

A block runs on one worker. One that its worker does not end runs again as a whole, elsewhere, in fresh boots;
the record says so, and what had ended of it does not count.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath
from threading import Event

from kmlbench.cluster.dispatch import MOST_LOSSES, Dispatcher
from kmlbench.cluster.fleet import GONE, Fleet
from kmlbench.cluster.messages import BlockJob, Delivery, Ended
from kmlbench.errors import HostError, KmlbenchError, ProofError
from kmlbench.interruptions import LostBlock
from kmlbench.model import Boot, BootFacts, Outcome, PlannedCampaign, Trial
from kmlbench.plan import schedule
from kmlbench.process import INTERRUPTION_GRACE_S
from kmlbench.progress import Progress, Stage, StageBegun, TrialBegun, TrialEnded
from kmlbench.results import codec, lost_blocks, writer
from kmlbench.results.reader import FACTS, StoredCampaign
from kmlbench.results.writer import CampaignDirectory
from kmlbench.run.campaign import store_timing
from kmlbench.run.recorder import Recorder
from kmlbench.run.stopwatch import Moment, Stopwatch
from kmlbench.workloads.registry import defined, need_server

# In the directory of a boot: the name of its worker.
WORKER = "worker"


@dataclass(slots=True, kw_only=True)
class ClusterCampaign:
    """A campaign whose blocks run on a fleet. The fields are those of run.campaign.CampaignRun.

    `record` is the whole campaign.
    """

    record: PlannedCampaign
    fleet: Fleet
    directory: CampaignDirectory
    progress: Progress
    ended_after: Callable[[Sequence[Outcome]], int | None] = lambda _: None
    before: StoredCampaign | None = None
    _recorder: Recorder = field(init=False)
    _dispatcher: Dispatcher = field(init=False)
    _boots: dict[int, Boot] = field(init=False)
    _lanes: dict[str, int] = field(default_factory=dict)
    _lost: list[LostBlock] = field(default_factory=list)
    _watch: Stopwatch = field(default_factory=Stopwatch)
    _begin: Event = field(default_factory=Event)
    _stop: Event = field(default_factory=Event)

    def __post_init__(self) -> None:
        self._recorder = Recorder(
            directory=self.directory,
            progress=self.progress,
            ended_after=self.ended_after,
            before=self.before,
        )
        ended = self._recorder.ended
        self._dispatcher = Dispatcher({trial.block for trial in self.record.plan if trial not in ended})
        own = defined(self.record.definitions)
        served = need_server({trial.workload for trial in self.record.plan}, own)
        self._boots = {boot.index: boot for boot in schedule.boots(self.record.plan, served)}
        if self.before is not None:
            self._lost.extend(self.before.lost_blocks)

    def run(self) -> int:
        """Run the plan; the number of trials that failed.

        Raises ProofError, and HostError without a scheduler or a worker, after everything that was measured
        before has been stored.
        """
        # In a thread of its own, which no interrupt strikes between a delivery's arrival and its storage.
        with ThreadPoolExecutor(1, thread_name_prefix="cluster") as pool:
            try:
                running = pool.submit(self._run)
                self._begin.set()
                return running.result()
            except BaseException:
                self._stop.set()
                raise
            finally:
                self._begin.set()

    def _run(self) -> int:
        # The pool does not wait for a thread whose start was interrupted.
        self._begin.wait()
        left = [trial for trial in self.record.plan if trial not in self._recorder.ended]
        self.progress.stage("campaign", total=len(left))
        try:
            while not self._dispatcher.is_done:
                if self._stop.is_set():
                    raise KeyboardInterrupt
                self._hand_out()
                with self._watch.waiting():
                    arrived = list(self.fleet.deliveries())
                for worker, delivery in arrived:
                    self._take(worker, delivery)
        except BaseException:
            self._wind_down()
            raise
        finally:
            store_timing(self.directory, [self._watch])
        return self._recorder.failed

    def _hand_out(self) -> None:
        blocks = self._recorder.blocks_that_suffice()
        if blocks is not None and self._dispatcher.stop():
            self._recorder.note(f"the interval is narrow enough after {blocks} blocks: no more will begin")
        for worker in tuple(self.fleet.free):
            if (block := self._dispatcher.assign(worker)) is not None:
                self._lanes.setdefault(worker, len(self._lanes))
                self._recorder.note(f"block {block + 1}: on {self.fleet.names[worker]}")
                self.fleet.start(worker, self._job(block))

    def _job(self, block: int) -> BlockJob:
        job, record = self.fleet.job, self.record
        return BlockJob(
            version=job.version,
            spec=job.spec,
            hosts=job.hosts,
            seed=job.seed,
            record=replace(record, plan=self._trials(block)),
            resumption=self.directory.resumption,
        )

    def _take(self, worker: str, delivery: Delivery) -> None:
        """Store a delivery, and go on from there. Raises ProofError."""
        if worker not in self._dispatcher.running:
            return
        try:
            self._store(worker, delivery)
        except ProofError as error:
            self._lose(worker, str(error))
            self.fleet.dismiss(worker, error.args[0])
            return
        if isinstance(delivery.content, Ended):
            self._end(worker, delivery.content)

    def _store(self, worker: str, delivery: Delivery) -> None:
        """Store the files and the outcome of a delivery; show the rest. Raises ProofError for other facts."""
        boots = [self._store_file(name, content) for name, content in delivery.files.items()]
        for facts in filter(None, boots):
            self._recorder.record_facts(self._boots[facts.boot], facts.facts)
        lane = self._lanes[worker]
        match delivery.content:
            case str(text):
                self._recorder.note(f"{self.fleet.names[worker]}: {text}")
            case StageBegun(boot=boot) as begun:
                if begun.stage is Stage.BOOT:
                    name = self.fleet.names[worker]
                    writer.write_file(self.directory.boot(boot.index) / WORKER, f"{name}\n")
                self._recorder.tell(replace(begun, boot=replace(boot, pair=lane)))
            case TrialBegun(trial=trial):
                # That a trial had begun is seen from its directory.
                self.directory.raw(trial)
                self._recorder.tell(TrialBegun(trial=replace(trial, pair=lane)))
            case TrialEnded(outcome=outcome):
                self._recorder.store(outcome)

    def _store_file(self, name: str, content: bytes) -> BootFacts | None:
        """Store a file of a delivery; the facts of a boot are returned instead, to be compared first."""
        path = PurePosixPath(name)
        if path.is_absolute() or ".." in path.parts:
            raise ProofError(f"a worker delivered a file outside of the campaign's directory: {name}")
        if path.name == FACTS:
            return codec.read_facts(content.decode(errors="surrogateescape"))
        writer.write_bytes(self.directory.path / path, content)
        return None

    def _end(self, worker: str, ended: Ended) -> None:
        if ended.exit_code == ProofError.exit_code:
            raise ProofError(f"{self.fleet.names[worker]}: {ended.error}")
        block = self._dispatcher.running[worker]
        if not ended.error and not self._recorder.left(self._trials(block)):
            self._dispatcher.finish(worker)
            return
        cause = ended.error or "it ended before its trials"
        self._lose(worker, cause)
        if ended is not GONE:
            self.fleet.dismiss(worker, cause)

    def _lose(self, worker: str, cause: str) -> None:
        """Record that a worker did not end its block, which waits again, or has failed for good."""
        block, name = self._dispatcher.running[worker], self.fleet.names[worker]
        self._dispatcher.lose(worker)
        trials = self._trials(block)
        left = self._recorder.left(trials)
        ended = [trial for trial in trials if trial not in left]
        lost = lost_blocks.lost_block(self._lost, ended, block, worker=name, cause=cause)
        self._lost.append(lost)
        self._recorder.lose(lost, {trial.boot for trial in trials})
        lost_blocks.set_aside(self.directory, trials, lost)
        self._recorder.note(
            f"block {block + 1} was lost with {name}, and {len(ended)} of its trials: {cause}"
        )
        if block in self._dispatcher.given_up:
            self._give_up(trials, cause)

    def _give_up(self, trials: Sequence[Trial], cause: str) -> None:
        error = HostError(f"{MOST_LOSSES} workers did not end its block; the last one: {cause}")
        for trial in trials:
            self._recorder.fail(trial, WORKER, error, Moment())

    def _wind_down(self) -> None:
        """End what runs on the workers, and store what they still deliver."""
        self._recorder.note("ending what runs on the workers")
        # What stops the campaign is being raised already.
        with suppress(KmlbenchError):
            for worker, delivery in self.fleet.recall(INTERRUPTION_GRACE_S):
                if worker in self._dispatcher.running:
                    self._store(worker, delivery)

    def _trials(self, block: int) -> tuple[Trial, ...]:
        return tuple(trial for trial in self.record.plan if trial.block == block)
