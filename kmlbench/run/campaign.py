# SPDX-License-Identifier: MIT
"""Runs a plan: boots, measures, proves, and stores every outcome before the next trial starts.

The only module that knows both hosts and workloads. A failed trial is an outcome and the campaign
continues; a lost host fails the rest of its boot; a contradicted proof stops everything.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass, field, replace
from threading import Event

from kmlbench.errors import CommandTimeout, HostError, MachineError, ProofError, TrialError
from kmlbench.hosts.base import Booted, Machines
from kmlbench.model import Boot, Failed, Host, Kernel, Outcome, Prefix, Server, Trial, TrialGroup
from kmlbench.plan import schedule
from kmlbench.progress import Progress, Stage, StageBegun, TrialBegun
from kmlbench.results import writer
from kmlbench.results.reader import StoredCampaign
from kmlbench.results.writer import CampaignDirectory
from kmlbench.run import inspect, recording
from kmlbench.run.recorder import Recorder
from kmlbench.run.recording import BootRecording
from kmlbench.run.stopwatch import Moment, Stopwatch, Waited, WaitedHost
from kmlbench.run.trial import Bench, perform, unserved_setting
from kmlbench.servers.server import ServerHandle, running_server
from kmlbench.workloads.registry import Own, find_adapter, has_transports, need_server
from kmlbench.workloads.steps import Setting

ALIVE_TIMEOUT_S = 60.0

DMESG_TIMEOUT_S = 60.0

# Since the last resumption.
TIMING = "timing.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Experiment:
    """What is run. `releases` is what `uname -r` must say; `seed` also feeds the workloads.

    `loops` and `rate_per_s` are those of model.Setting. Pairs that would disturb each other are not
    `parallel`: they take turns. `own` are the workloads of files.
    """

    plan: tuple[Trial, ...]
    server: Server
    scale: float
    seed: int
    releases: Mapping[Kernel, str]
    loops: int | None = None
    rate_per_s: float | None = None
    parallel: bool = True
    own: Own = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspected:
    """A booted host, the kernel's release that its trials must prove, and what the instrument records."""

    host: Host
    release: str
    recording: BootRecording | None


@dataclass(slots=True, kw_only=True)
class CampaignRun:
    """A running campaign. `run` runs its plan once, the pairs of hosts in parallel.

    One trial at a time on each pair. `ended_after` gets the outcomes before each boot: after how many
    blocks a rule ends the campaign. `before` is the campaign being resumed: its completed trials are not run
    again, and its facts about the hosts must still hold. `require` gets each failed trial, and may raise an
    error that ends the campaign.
    """

    experiment: Experiment
    machines: Machines
    directory: CampaignDirectory
    progress: Progress
    ended_after: Callable[[Sequence[Outcome]], int | None] = lambda _: None
    before: StoredCampaign | None = None
    require: Callable[[Failed], None] = lambda _: None
    _recorder: Recorder = field(init=False)
    _watches: dict[int, Stopwatch] = field(default_factory=dict)
    _programs: dict[str, Mapping[str, str]] = field(default_factory=dict)
    _stop: Event = field(default_factory=Event)

    def __post_init__(self) -> None:
        self._recorder = Recorder(
            directory=self.directory,
            progress=self.progress,
            ended_after=self.ended_after,
            before=self.before,
            require=self.require,
        )

    def run(self) -> int:
        """Run the plan; the number of trials that failed.

        Raises ProofError, after everything measured before it has been stored.
        """
        planned = self.experiment.plan
        served = need_server(self._workloads, self.experiment.own)
        boots = schedule.remaining(schedule.boots(planned, served), self._recorder.ended)
        self.progress.stage("campaign", total=sum(len(boot.trials) for boot in boots))
        self._watches.update({boot.pair: Stopwatch() for boot in boots})
        try:
            self._walk_all([[boot for boot in boots if boot.pair == pair] for pair in self._watches])
        finally:
            store_timing(self.directory, self._watches.values())
        return self._recorder.failed

    def _walk_all(self, walks: Sequence[Sequence[Boot]]) -> None:
        """Run the boots of each pair; one alone runs in this thread, which an interrupt ends at once."""
        if len(walks) <= 1 or not self.experiment.parallel:
            for boots in walks:
                self._walk(boots)
            return
        with ThreadPoolExecutor(len(walks), thread_name_prefix="pair") as pool:
            try:
                for done in as_completed([pool.submit(self._walk, boots) for boots in walks]):
                    done.result()
            except BaseException:
                self._stop.set()
                self._recorder.note("stopping once the running trials have ended")
                raise

    def _walk(self, boots: Sequence[Boot]) -> None:
        for boot in boots:
            if not self._stop.is_set() and not self._narrow_enough():
                with writer.storing("raw output", self.directory.path, only=writer.FULL):
                    self._boot(boot)

    def _narrow_enough(self) -> bool:
        blocks = self._recorder.blocks_that_suffice()
        if blocks is None:
            return False
        if not self._stop.is_set():
            self._recorder.note(f"the interval is narrow enough after {blocks} blocks: no more will run")
        self._stop.set()
        return True

    def _boot(self, boot: Boot) -> None:
        self._recorder.note(f"block {boot.block + 1}: booting the {boot.kernel} kernel")
        self._begin(boot, Stage.BOOT)
        started = Moment()
        machine = self.machines(boot, self.directory.boot(boot.index))
        try:
            with Waited(manager=machine, stopwatch=self._watches[boot.pair]) as booted:
                self._on(booted, boot)
        except HostError as error:
            lost = self._recorder.left(boot.trials)
            self._recorder.note(f"boot {boot.index} was lost, and {len(lost)} trials with it: {error}")
            for trial in lost:
                self._recorder.fail(trial, "boot", error, started)

    def _on(self, booted: Booted, boot: Boot) -> None:
        host = WaitedHost(host=booted.host, stopwatch=self._watches[boot.pair])
        try:
            inspected = self._inspect(host, booted, boot)
            for group in boot.groups:
                if group.served:
                    self._begin(boot, Stage.SERVER, group.prefix)
                self._group(inspected, group)
        finally:
            self._begin(boot, Stage.CLOSE)
            with suppress(HostError):
                log = host.run(("dmesg",), timeout_s=DMESG_TIMEOUT_S).stdout
                writer.write_file(self.directory.boot(boot.index) / "dmesg", log)

    def _inspect(self, host: Host, booted: Booted, boot: Boot) -> Inspected:
        """Store the facts of the boot and compare them with the boots before."""
        self._begin(boot, Stage.INSPECT)
        inspection = inspect.inspect(host, self.experiment.server)
        recorded, counting = (
            (None, {})
            if booted.recording is None
            else recording.begin(host, boot.kernel, booted.recording, self.directory)
        )
        facts = {**booted.facts, **inspection.facts, **self._program_facts(host, booted), **counting}
        raw = self.directory.boot(boot.index)
        writer.write_file(raw / "config", inspection.config)
        writer.write_file(raw / "cpuinfo", inspection.cpuinfo)
        self._recorder.record_facts(boot, facts)
        release = self.experiment.releases.get(boot.kernel, facts["kernel_release"])
        return Inspected(host=host, release=release, recording=recorded)

    def _program_facts(self, host: Host, booted: Booted) -> Mapping[str, str]:
        """Asked in each boot, or once for an image: an emulated guest pays seconds for checksums."""
        if booted.image in self._programs:
            return self._programs[booted.image]
        facts = inspect.program_facts(host, self.experiment.server, self._workloads, self.experiment.own)
        if booted.image is not None:
            self._programs[booted.image] = facts
        return facts

    def _group(self, inspected: Inspected, group: TrialGroup) -> None:
        left = group.trials
        while left and not self._stop.is_set():
            served = self._served if group.served else self._unserved
            left = served(inspected, left)

    def _served(self, inspected: Inspected, left: Sequence[Trial]) -> tuple[Trial, ...]:
        """Run trials in one server until one fails; the remaining ones."""
        started = Moment()
        ended = 0
        try:
            server = self.experiment.server
            with running_server(
                inspected.host, left[0].variant.prefix, server, by_network=self._by_network
            ) as handle:
                for trial in left:
                    if self._stop.is_set():
                        break
                    started = Moment()
                    setting = handle.setting(seed=self._seed, scale=self.experiment.scale)
                    self._attempt(self._bench(inspected, handle), trial, setting)
                    ended += 1
        except (TrialError, CommandTimeout) as error:
            if ended == len(left):
                self._recorder.note(f"after {left[-1].id}: {error}")
            else:
                self._recorder.fail(left[ended], _stage(error), error, started)
                ended += 1
                _require_alive(inspected.host)
        return tuple(left[ended:])

    def _unserved(self, inspected: Inspected, left: Sequence[Trial]) -> tuple[Trial, ...]:
        """Run one trial without a server; the remaining ones."""
        started = Moment()
        trial = left[0]
        setting = unserved_setting(trial, seed=self._seed, scale=self.experiment.scale)
        try:
            self._attempt(self._bench(inspected, None), trial, setting)
        except (TrialError, CommandTimeout) as error:
            self._recorder.fail(trial, _stage(error), error, started)
            _require_alive(inspected.host)
        return tuple(left[1:])

    def _begin(self, boot: Boot, stage: Stage, prefix: Prefix | None = None) -> None:
        self._recorder.tell(StageBegun(boot=boot, stage=stage, prefix=prefix))

    def _bench(self, inspected: Inspected, handle: ServerHandle | None) -> Bench:
        return Bench(
            host=inspected.host,
            release=inspected.release,
            recording=inspected.recording,
            server=self.experiment.server,
            handle=handle,
            directory=self.directory,
        )

    def _attempt(self, bench: Bench, trial: Trial, setting: Setting) -> None:
        started = Moment()
        self._recorder.tell(TrialBegun(trial=trial))
        try:
            adapter = find_adapter(trial.workload, self.experiment.own)
            measured = perform(bench, trial, adapter, self._with_options(setting))
        except ProofError as error:
            self._recorder.fail(trial, "proof", error, started)
            raise
        self._recorder.complete(trial, measured, started)

    def _with_options(self, setting: Setting) -> Setting:
        return replace(setting, loops=self.experiment.loops, rate_per_s=self.experiment.rate_per_s)

    @property
    def _workloads(self) -> frozenset[str]:
        return frozenset(trial.workload for trial in self.experiment.plan)

    @property
    def _by_network(self) -> bool:
        return has_transports(self._workloads, self.experiment.own)

    @property
    def _seed(self) -> int:
        """The workloads' seed: sysbench takes 0 as "none", and at most 31 bits."""
        return 1 + self.experiment.seed % (2**31 - 1)


def store_timing(directory: CampaignDirectory, watches: Collection[Stopwatch]) -> None:
    """Store how long a campaign took and how much of that it waited, with a watch for each pair of hosts."""
    total = max((watch.total_s for watch in watches), default=0.0)
    # Pairs wait in parallel, so their mean.
    waited = sum(watch.waited_s for watch in watches) / max(1, len(watches))
    timing = {"total_s": total, "waiting_s": waited, "controller_s": total - waited}
    with suppress(MachineError):
        writer.write_file(directory.path / TIMING, json.dumps(timing, indent=2) + "\n")


def _stage(error: TrialError | CommandTimeout) -> str:
    return error.stage if isinstance(error, TrialError) else "timeout"


def _require_alive(host: Host) -> None:
    """Raises HostError if the host no longer answers: then its boot is lost, not just one trial."""
    host.run(("true",), timeout_s=ALIVE_TIMEOUT_S)
