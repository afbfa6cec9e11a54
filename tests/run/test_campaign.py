# SPDX-License-Identifier: MIT
"""A campaign as a list of what must happen on its hosts, and what it leaves when something goes wrong."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from threading import Barrier, Event

import pytest
from support.fake_host import Exchange, FakeHost
from support.host_sessions import GETPID as GETPID_PROGRAMS
from support.host_sessions import SERVER_AND_CLIENTS, getpid, getpid_argv, inspecting, programs

import kmlbench
from kmlbench.errors import CommandTimeout, HostError, ProofError, TrialError
from kmlbench.hosts.base import Booted, Machines
from kmlbench.model import (
    Boot,
    Failed,
    Host,
    Kernel,
    Outcome,
    PlannedCampaign,
    Prefix,
    Proof,
    Sample,
    Server,
    Trial,
    Variant,
)
from kmlbench.plan import schedule
from kmlbench.plan.comparisons import CELLS, KML_TRUSTED
from kmlbench.progress import Silent
from kmlbench.results import reader, writer
from kmlbench.results.reader import StoredCampaign
from kmlbench.run import campaign
from kmlbench.run import trial as trials
from kmlbench.run.trial import Bench
from kmlbench.servers.server import ServerHandle
from kmlbench.workloads.base import Adapter
from kmlbench.workloads.steps import Setting

RELEASES = {Kernel.STOCK: "6.12.117-stock", Kernel.KML: "6.12.117-kml"}
GETPID = {"getpid": False}
DMESG = Exchange(argv=("dmesg",), stdout="[    0.000000] Linux version\n")
ALIVE = Exchange(argv=("true",))
FORGET = Exchange(argv=trials.FORGET)

Script = Callable[[Boot], list[Exchange]]


def whole(boot: Boot) -> list[Exchange]:
    """The session of a boot in which nothing goes wrong."""
    release = RELEASES[boot.kernel]
    measured = [exchange for trial in boot.trials for exchange in getpid(trial.variant, release=release)]
    return [*inspecting(release=release), *measured, DMESG]


def instead(boot: Boot, position: int, exchanges: list[Exchange]) -> list[Exchange]:
    """A session in which the trial at `position` of the boot goes as `exchanges` say."""
    session = whole(boot)
    begin = session.index(
        next(exchange for exchange in session if exchange.argv == getpid_argv(boot.trials[position].variant))
    )
    return [*session[:begin], *exchanges, *session[begin + 2 :]]


@dataclass(slots=True, kw_only=True)
class Rig:
    """Machines that play scripts, and the campaign that runs on them."""

    directory: Path
    script: Script = whole
    blocks: int = 1
    pairs: int = 1
    parallel: bool = True
    facts: dict[str, str] = field(default_factory=dict)
    control: Variant | None = None
    ended_after: Callable[[Sequence[Outcome]], int | None] = lambda _: None
    require: Callable[[Failed], None] = lambda _: None
    machines: Machines = field(init=False)

    def __post_init__(self) -> None:
        self.machines = self.playing

    @contextmanager
    def playing(self, boot: Boot, directory: Path) -> Iterator[Booted]:
        assert directory.is_dir()
        with FakeHost(name=boot.kernel, script=self.script(boot), anytime=(FORGET,)) as host:
            yield Booted(host=host, facts=self.facts)

    def run(self, workloads: dict[str, bool] = GETPID) -> StoredCampaign:
        made = schedule.make_schedule(CELLS, workloads, blocks=self.blocks, seed=2)
        if self.control:
            made = schedule.make_control(self.control, workloads, blocks=self.blocks, seed=2)
        planned = schedule.distribute(made, pairs=self.pairs)
        with writer.create(self.directory, self._record(planned)) as directory:
            try:
                campaign.CampaignRun(
                    experiment=campaign.Experiment(
                        plan=planned,
                        server=Server.MYSQL,
                        scale=1.0,
                        seed=2,
                        releases=RELEASES,
                        loops=5,
                        rate_per_s=12.5,
                        parallel=self.parallel,
                    ),
                    machines=self.machines,
                    directory=directory,
                    progress=Silent(),
                    ended_after=self.ended_after,
                    require=self.require,
                ).run()
            finally:
                self.directory = directory.path
        return self.stored()

    def _record(self, planned: tuple[Trial, ...]) -> PlannedCampaign:
        return PlannedCampaign(
            id="test",
            started_utc="2026-11-23T00:00:00Z",
            title="a test",
            platform="QEMU TCG, instruction clock",
            control=self.control is not None,
            seed=2,
            options={},
            plan=planned,
            git_commit="unknown",
            tools={},
        )

    def stored(self) -> StoredCampaign:
        return reader.read_campaign(self.directory)


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(directory=tmp_path)


def test_a_whole_campaign(rig: Rig) -> None:
    rig.blocks = 2
    stored = rig.run()
    assert [outcome.trial for outcome in stored.completed] == list(stored.campaign.plan)
    assert len(stored.facts) == 4
    for outcome in stored.completed:
        metrics = {sample.metric for sample in outcome.samples}
        assert {"getpid_syscall_ns", "cpu_total", "wall"} <= metrics
        assert outcome.proof.cpl == (0 if outcome.trial.variant.kernel_mode else 3)
        raw = stored.directory / "raw" / outcome.trial.id
        commands = json.loads((raw / "commands.json").read_text())
        assert commands == [list(getpid_argv(outcome.trial.variant, seed="3"))]
        assert {path.name for path in raw.iterdir()} == {
            "commands.json",
            "measure.json",
            "00-run",
            "01-privilege",
        }


def test_a_control_runs_one_cell_in_two_boots_of_a_block(rig: Rig) -> None:
    rig.blocks = 2
    rig.control = KML_TRUSTED
    stored = rig.run()
    assert [outcome.trial.boot for outcome in stored.completed] == [0, 1, 2, 3]
    assert {outcome.proof.cpl for outcome in stored.completed} == {0}
    assert {boot.kernel for boot in stored.facts} == {Kernel.KML}


def test_a_rule_is_asked_before_each_boot_and_ends_the_campaign(rig: Rig) -> None:
    asked: list[int] = []

    def ended_after(outcomes: Sequence[Outcome]) -> int | None:
        asked.append(len(outcomes))
        return 1 if len(outcomes) == 4 else None

    rig.blocks, rig.ended_after = 3, ended_after
    stored = rig.run()
    assert asked == [0, 2, 4]
    assert {outcome.trial.block for outcome in stored.completed} == {0}
    assert {trial.block for trial in stored.missing} == {1, 2}


def test_each_boot_keeps_what_it_said(rig: Rig) -> None:
    rig.facts = {"image": "abc"}
    stored = rig.run()
    boot = stored.directory / "raw" / "boot-0001"
    assert {path.name for path in boot.iterdir()} == {"config", "cpuinfo", "dmesg", "facts.json"}
    assert stored.facts[1].facts["image"] == "abc"
    assert stored.facts[1].facts["kernel_release"] == RELEASES[stored.facts[1].kernel]


def test_the_controllers_own_time_is_stored(rig: Rig) -> None:
    timing = json.loads((rig.run().directory / "timing.json").read_text())
    assert timing["total_s"] == pytest.approx(timing["waiting_s"] + timing["controller_s"], rel=0.1)


def test_a_failure_that_is_refused_ends_the_campaign_after_it_was_stored(rig: Rig) -> None:
    def script(boot: Boot) -> list[Exchange]:
        failing = Exchange(argv=getpid_argv(boot.trials[0].variant), returncode=1, stderr="no such mode")
        return [*inspecting(release=RELEASES[boot.kernel]), failing, DMESG]

    def refuse(failed: Failed) -> None:
        raise TrialError(f"refused: {failed.cause}", stage=failed.stage)

    rig.script, rig.require = script, refuse
    with pytest.raises(TrialError, match=r"refused: .*: no such mode"):
        rig.run()
    stored = rig.stored()
    assert [failed.trial.position for failed in stored.failed] == [0]
    assert len(stored.missing) == 3


@pytest.mark.parametrize(
    ("exchange", "stage", "cause"),
    [
        ({"returncode": 1, "stderr": "no such mode"}, "run", "ended with 1: no such mode"),
        ({"stdout": "nonsense", "leaves": {trials.REPORT: b"{}"}}, "parse", "not a report of measure"),
        ({"raises": CommandTimeout("it did not end within 180 s")}, "timeout", "did not end within"),
    ],
)
def test_a_trial_that_fails_is_recorded_and_the_campaign_goes_on(
    rig: Rig, exchange: dict[str, object], stage: str, cause: str
) -> None:
    def script(boot: Boot) -> list[Exchange]:
        if boot.index:
            return whole(boot)
        failing = Exchange(argv=getpid_argv(boot.trials[0].variant), **exchange)  # type: ignore[arg-type]
        return instead(boot, 0, [failing, ALIVE])

    rig.script = script
    stored = rig.run()
    assert [failed.trial.position for failed in stored.failed] == [0]
    assert stored.failed[0].stage == stage
    assert cause in stored.failed[0].cause
    assert [done.trial.position for done in stored.completed] == [1, 2, 3]
    assert (stored.directory / "raw" / stored.failed[0].trial.id / "commands.json").exists()


def test_a_lost_host_fails_the_rest_of_its_boot_only(rig: Rig) -> None:
    def script(boot: Boot) -> list[Exchange]:
        argv = getpid_argv(boot.trials[0].variant)
        gone = Exchange(argv=argv, raises=HostError("guest stock went away"))
        last = Exchange(argv=("dmesg",), raises=HostError("guest stock went away"))
        return whole(boot) if boot.index else [*inspecting(release=RELEASES[boot.kernel]), gone, last]

    rig.script = script
    stored = rig.run()
    assert [(outcome.trial.position, outcome.stage) for outcome in stored.failed] == [
        (0, "boot"),
        (1, "boot"),
    ]
    assert [done.trial.position for done in stored.completed] == [2, 3]
    assert stored.missing == ()


def test_a_guest_that_does_not_boot_fails_its_trials(rig: Rig) -> None:
    @contextmanager
    def machines(boot: Boot, directory: Path) -> Iterator[Booted]:
        if boot.index == 1:
            raise HostError("the kernel panicked", remedy="read console.log")
        with rig.playing(boot, directory) as booted:
            yield booted

    rig.machines = machines
    stored = rig.run()
    assert [failed.trial.boot for failed in stored.failed] == [1, 1]
    assert "panicked" in stored.failed[0].cause


def test_a_timeout_of_a_host_that_answers_nothing_more_loses_the_boot(rig: Rig) -> None:
    def script(boot: Boot) -> list[Exchange]:
        if boot.index:
            return whole(boot)
        late = CommandTimeout("it did not end")
        argv = getpid_argv(boot.trials[0].variant)
        silent = [Exchange(argv=each, raises=late) for each in (argv, ("true",), ("dmesg",))]
        return [*inspecting(release=RELEASES[boot.kernel]), *silent]

    rig.script = script
    stored = rig.run()
    assert [(outcome.trial.position, outcome.stage) for outcome in stored.failed] == [
        (0, "timeout"),
        (1, "boot"),
    ]
    assert len(stored.completed) == 2


def test_a_proof_that_contradicts_its_cell_stops_the_campaign(rig: Rig) -> None:
    def script(boot: Boot) -> list[Exchange]:
        release = RELEASES[boot.kernel]
        session = inspecting(release=release)
        for trial in boot.trials:
            session += getpid(trial.variant, release=release, cpl=3)
            if trial.variant.kernel_mode:
                break
        return [*session, DMESG]

    rig.script = script
    with pytest.raises(ProofError, match="kml:/trusted: a program below /trusted ran at CPL 3, not 0"):
        rig.run()
    stored = rig.stored()
    stopped = [failed for failed in stored.failed if failed.stage == "proof"]
    assert [str(failed.trial.variant) for failed in stopped] == ["kml:/trusted"]
    assert stored.missing
    assert not any(done.trial.variant.kernel_mode for done in stored.completed)


def test_the_programs_of_an_image_are_asked_for_once(rig: Rig) -> None:
    @contextmanager
    def machines(boot: Boot, directory: Path) -> Iterator[Booted]:
        asked = {exchange.argv for exchange in programs(GETPID_PROGRAMS)} if boot.index else set()
        rig.script = lambda boot: [exchange for exchange in whole(boot) if exchange.argv not in asked]
        with rig.playing(boot, directory) as booted:
            yield replace(booted, image="an image")

    rig.machines = machines
    stored = rig.run()
    assert len(stored.completed) == 4
    assert [boot.facts["getpid_sha256"] for boot in stored.facts] == ["getpid-sum", "getpid-sum"]


def test_facts_that_differ_stop_the_campaign_before_the_trials_of_that_boot(rig: Rig) -> None:
    @contextmanager
    def machines(boot: Boot, directory: Path) -> Iterator[Booted]:
        release = RELEASES[boot.kernel]
        rig.script = whole if boot.index == 0 else lambda _: [*inspecting(release=release), DMESG]
        with rig.playing(boot, directory) as booted:
            yield replace(booted, facts={"qemu_version": str(boot.index)})

    rig.machines = machines
    with pytest.raises(ProofError, match="qemu_version"):
        rig.run()
    assert [done.trial.boot for done in rig.stored().completed] == [0, 0]


def test_an_interruption_keeps_what_was_measured(rig: Rig) -> None:
    def script(boot: Boot) -> list[Exchange]:
        return instead(
            boot, 1, [Exchange(argv=getpid_argv(boot.trials[1].variant), raises=KeyboardInterrupt())]
        )

    rig.script = script
    with pytest.raises(KeyboardInterrupt):
        rig.run()
    stored = rig.stored()
    assert [done.trial.position for done in stored.completed] == [0]
    assert len(stored.missing) == 3
    assert (stored.directory / "timing.json").exists()


@dataclass(slots=True)
class Together:
    """Machines that begin only when every pair has one, and count how many a pair has at once."""

    rig: Rig
    barrier: Barrier
    running: Counter[int] = field(default_factory=Counter)
    most: Counter[int] = field(default_factory=Counter)

    @contextmanager
    def __call__(self, boot: Boot, directory: Path) -> Iterator[Booted]:
        self.running[boot.pair] += 1
        self.most[boot.pair] = max(self.most[boot.pair], self.running[boot.pair])
        self.barrier.wait(timeout=30)
        with self.rig.playing(boot, directory) as booted:
            yield booted
        self.running[boot.pair] -= 1


@pytest.fixture
def pairs(rig: Rig) -> Rig:
    rig.pairs, rig.blocks = 3, 6
    return rig


def test_pairs_work_at_once_with_one_machine_each(pairs: Rig) -> None:
    together = Together(pairs, Barrier(3))
    pairs.machines = together
    stored = pairs.run()
    assert together.most == {0: 1, 1: 1, 2: 1}
    assert {outcome.trial for outcome in stored.completed} == set(stored.campaign.plan)
    assert {boot.pair for boot in stored.facts} == {0, 1, 2}
    frame = kmlbench.load(stored.directory)
    assert frame.groupby("block")["pair"].nunique().eq(1).all()
    assert frame.groupby("pair")["block"].nunique().eq(2).all()
    for pair in range(3):
        positions = [outcome.trial.position for outcome in stored.outcomes if outcome.trial.pair == pair]
        assert positions == sorted(positions)


def test_pairs_that_would_disturb_each_other_take_turns(pairs: Rig) -> None:
    pairs.parallel = False
    begun: list[int] = []

    @contextmanager
    def machines(boot: Boot, directory: Path) -> Iterator[Booted]:
        begun.append(boot.pair)
        with pairs.playing(boot, directory) as booted:
            yield booted
        # The one that began last has ended before another begins.
        assert begun[-1] == boot.pair

    pairs.machines = machines
    stored = pairs.run()
    assert begun == sorted(begun)
    assert {outcome.trial for outcome in stored.completed} == set(stored.campaign.plan)


def test_the_waiting_of_pairs_is_no_more_than_the_time_they_took(pairs: Rig) -> None:
    timing = json.loads((pairs.run().directory / "timing.json").read_text())
    assert 0 <= timing["waiting_s"] <= timing["total_s"]
    assert timing["controller_s"] == pytest.approx(timing["total_s"] - timing["waiting_s"])


def test_a_lost_host_costs_its_pair_one_boot(pairs: Rig) -> None:
    @contextmanager
    def machines(boot: Boot, directory: Path) -> Iterator[Booted]:
        if boot.pair == 1 and boot.block == 2:
            raise HostError("it panicked")
        with pairs.playing(boot, directory) as booted:
            yield booted

    pairs.machines = machines
    stored = pairs.run()
    assert {failed.trial.block for failed in stored.failed} == {2}
    assert len(stored.failed) + len(stored.completed) == len(stored.campaign.plan)


@pytest.mark.parametrize("error", [ProofError("another cell"), KeyboardInterrupt()])
def test_what_stops_one_pair_stops_all_after_their_trial(pairs: Rig, error: BaseException) -> None:
    """The others are held in their first boot until the first pair has failed."""
    failed = Event()

    @contextmanager
    def machines(boot: Boot, _: Path) -> Iterator[Booted]:
        if boot.pair == 0:
            failed.set()
            raise error
        assert failed.wait(timeout=30)
        with FakeHost(name=boot.kernel, script=whole(boot), anytime=(FORGET,)) as host:
            # An interruption of the script: it is not played to its end.
            yield Booted(host=host, facts={})
            host.script.clear()

    pairs.machines = machines
    with pytest.raises(type(error)):
        pairs.run()
    stored = pairs.stored()
    assert stored.missing
    assert {outcome.trial.pair for outcome in stored.outcomes} <= {1, 2}
    assert max(Counter(outcome.trial.boot for outcome in stored.outcomes).values(), default=0) <= 2


SERVED = {"oltp_point_select": True, "oltp_read_write": True, "getpid": False}


@dataclass(slots=True)
class Servers:
    """Stands for servers.server and the trials in it: tells in which order servers and trials came."""

    failing: dict[str, list[Exception]] = field(default_factory=dict)
    order: list[str] = field(default_factory=list)
    by_network: list[bool] = field(default_factory=list)

    @contextmanager
    def running(
        self, host: Host, prefix: Prefix, server: Server, *, by_network: bool
    ) -> Iterator[ServerHandle]:
        del host, server
        self.by_network.append(by_network)
        self.order.append("start")
        self._maybe_fail("start")
        yield ServerHandle(
            pid=1,
            prefix=prefix,
            directory="/run/d",
            socket="/run/d/socket",
            port=1,
            user="u",
            database="d",
            password="p",
            password_file="/run/d/password",
        )
        self.order.append("stop")
        self._maybe_fail("stop")

    def perform(
        self, bench: Bench, trial: Trial, adapter: Adapter, setting: Setting
    ) -> tuple[Proof, tuple[Sample, ...]]:
        del adapter
        assert (setting.seed, setting.loops, setting.rate_per_s) == (3, 5, 12.5)
        assert (bench.handle is None) is (trial.workload == "getpid")
        self.order.append(trial.workload)
        self._maybe_fail(trial.workload)
        return Proof(kernel_release=bench.release, cpl=0), ()

    def _maybe_fail(self, what: str) -> None:
        if self.failing.get(what):
            raise self.failing[what].pop(0)


@pytest.fixture
def servers(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> Servers:
    rig.script = lambda boot: [*inspecting(release=RELEASES[boot.kernel], measured=SERVER_AND_CLIENTS), DMESG]
    result = Servers()
    monkeypatch.setattr("kmlbench.run.campaign.running_server", result.running)
    monkeypatch.setattr("kmlbench.run.campaign.perform", result.perform)
    return result


def test_the_workloads_of_a_prefix_share_a_server_and_getpid_has_none_beside_it(
    rig: Rig, servers: Servers
) -> None:
    stored = rig.run(SERVED)
    assert len(stored.completed) == 12
    assert servers.order.count("start") == servers.order.count("stop") == 4
    for begin in [index for index, word in enumerate(servers.order) if word == "start"]:
        assert set(servers.order[begin + 1 : begin + 3]) == {"oltp_point_select", "oltp_read_write"}
        assert servers.order[begin + 3] == "stop"


def test_a_trial_that_fails_ends_its_server_and_the_next_gets_a_new_one(rig: Rig, servers: Servers) -> None:
    first = next(trial.workload for trial in planned(rig) if SERVED[trial.workload])
    servers.failing[first] = [TrialError("server has gone away", stage="run")]
    rig.script = with_alive_after_the_first_failure()
    stored = rig.run(SERVED)
    served = [word for word in servers.order if word != "getpid"]
    other = ({"oltp_point_select", "oltp_read_write"} - {first}).pop()
    assert served[:5] == ["start", first, "start", other, "stop"]
    assert [(failed.trial.workload, failed.stage) for failed in stored.failed] == [(first, "run")]
    assert len(stored.completed) == 11


def test_a_server_that_does_not_start_fails_one_trial_and_is_tried_again(rig: Rig, servers: Servers) -> None:
    servers.failing["start"] = [TrialError("it ended while starting", stage="start server")]
    rig.script = with_alive_after_the_first_failure()
    stored = rig.run(SERVED)
    assert [failed.stage for failed in stored.failed] == ["start server"]
    assert len(stored.completed) == 11


def test_a_server_that_does_not_stop_fails_no_trial(rig: Rig, servers: Servers) -> None:
    servers.failing["stop"] = [TrialError("it was killed", stage="stop server")]
    assert len(rig.run(SERVED).completed) == 12


def planned(rig: Rig) -> tuple[Trial, ...]:
    return schedule.make_schedule(CELLS, SERVED, blocks=rig.blocks, seed=2)


def with_alive_after_the_first_failure() -> Script:
    """After a failure the host is asked whether it lives."""

    def script(boot: Boot) -> list[Exchange]:
        asked = inspecting(release=RELEASES[boot.kernel], measured=SERVER_AND_CLIENTS)
        return [*asked, *([] if boot.index else [ALIVE]), DMESG]

    return script
