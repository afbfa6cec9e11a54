# SPDX-License-Identifier: MIT
"""A campaign on a cluster: what is handed out, what comes back, and what is made of a worker that fails."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support.fake_cluster import VERSION, FakeCluster, FakeWorker
from support.fake_host import Exchange
from support.host_sessions import ANY_GETPID, getpid, inspecting
from support.played_machines import DMESG, RELEASES, Playing, breaking, hosts_file

from kmlbench import provenance
from kmlbench.cluster import fleet
from kmlbench.cluster.campaign import ClusterCampaign
from kmlbench.cluster.fleet import Fleet
from kmlbench.cluster.messages import Delivery, Job
from kmlbench.config import campaign
from kmlbench.errors import BuildError, HostError, ProofError
from kmlbench.hosts.base import Ready
from kmlbench.model import Boot, Kernel, Outcome, PlannedCampaign, Platform
from kmlbench.plan import schedule
from kmlbench.plan.comparisons import CELLS
from kmlbench.progress import BlockLost, Event, Silent, StageBegun, TrialBegun, TrialEnded
from kmlbench.results import reader, writer
from kmlbench.results.facts import require_agreement
from kmlbench.results.reader import StoredCampaign
from kmlbench.run import preflight, setup


class Notes(Silent):
    """Keeps notes and events."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.events: list[Event] = []

    def note(self, text: str) -> None:
        self.lines.append(text)

    def tell(self, event: Event) -> None:
        self.events.append(event)


@dataclass(slots=True, kw_only=True)
class Rig:
    """A campaign, and the cluster that it runs on."""

    directory: Path
    patch: pytest.MonkeyPatch
    workers: dict[str, FakeWorker]
    late: dict[int, dict[str, FakeWorker]] = field(default_factory=dict)
    blocks: int = 4
    ended_after: Callable[[Sequence[Outcome]], int | None] = lambda _: None
    arriving: Callable[[Delivery], None] = lambda _: None
    notes: Notes = field(default_factory=Notes)
    cluster: FakeCluster = field(init=False)
    times: list[float] = field(default_factory=lambda: [0.0])

    def run(self) -> int:
        self.patch.setattr(provenance, "git_commit", lambda: VERSION)
        self.patch.setattr(preflight, "check_machine", lambda *_, **__: None)
        self.patch.setattr(provenance, "tools", lambda **_: {"qemu": "7.2"})
        self.cluster = FakeCluster(
            directory=self.directory,
            known=self.workers,
            prepared=self._prepare,
            late=self.late,
            arriving=self.arriving,
        )
        settings = campaign.load_config(hosts_file(self.directory, blocks=self.blocks))
        (hosts,) = setup.pairs(settings, tuple(Kernel))
        job = Job(version=VERSION, spec=settings.campaign, hosts=hosts, seed=2)
        workers = Fleet(cluster=self.cluster, job=job, note=self.notes.note, clock=self._now)
        workers.wait()
        with writer.create(self.directory / "results", self._record()) as directory:
            return ClusterCampaign(
                record=self._record(),
                fleet=workers,
                directory=directory,
                progress=self.notes,
                ended_after=self.ended_after,
            ).run()

    def stored(self) -> StoredCampaign:
        return reader.read_campaign(self.directory / "results" / "latest")

    def _now(self) -> float:
        """Each look at the clock is a minute after the last."""
        self.times.append(self.times[-1] + 60.0)
        return self.times[-1]

    def _prepare(self, prepare: Callable[[Job], Ready], job: Job) -> None:
        self.patch.setattr(setup, "prepare_machines", lambda *_, **__: prepare(job))

    def _record(self) -> PlannedCampaign:
        return PlannedCampaign(
            id="test",
            started_utc="2026-11-30T00:00:00Z",
            title="a test",
            platform=str(Platform.INSTRUCTIONS),
            control=False,
            seed=2,
            options={"cluster": "tcp://192.0.2.1:8786"},
            plan=schedule.make_schedule(CELLS, {"getpid": False}, blocks=self.blocks, seed=2),
            git_commit=VERSION,
            tools={},
        )


MakeRig = Callable[..., Rig]


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeRig:
    def make(**workers: FakeWorker) -> Rig:
        return Rig(directory=tmp_path, patch=monkeypatch, workers=workers)

    return make


def test_blocks_come_back_from_two_workers_into_one_record(rig: MakeRig) -> None:
    made = rig(a=FakeWorker(), b=FakeWorker())
    assert made.run() == 0
    stored = made.stored()
    assert len(stored.completed) == len(stored.campaign.plan) == 16
    require_agreement(stored.facts)
    assert sorted(made.cluster.assigned, key=lambda each: each[1]) == [("a", 0), ("a", 1), ("b", 2), ("b", 3)]
    for outcome in stored.completed:
        raw = stored.directory / "raw" / outcome.trial.id
        assert outcome.raw == reader.file_digests(raw)
        assert (raw / "measure.json").exists()
    boot = stored.directory / "raw" / "boot-0000"
    assert {"config", "cpuinfo", "dmesg", "facts.json", "worker"} <= {path.name for path in boot.iterdir()}
    assert (boot / "worker").read_text() == "host a\n"
    assert not list((made.directory / "results").glob("*/raw/lost*"))


def test_the_workers_show_as_pairs_of_hosts(rig: MakeRig) -> None:
    made = rig(a=FakeWorker(), b=FakeWorker())
    made.run()
    begun = [event.trial for event in made.notes.events if isinstance(event, TrialBegun)]
    assert {(trial.block, trial.pair) for trial in begun} == {(0, 0), (1, 0), (2, 1), (3, 1)}
    assert {event.boot.pair for event in made.notes.events if isinstance(event, StageBegun)} == {0, 1}


def test_a_block_whose_worker_died_runs_again_as_a_whole_elsewhere(rig: MakeRig) -> None:
    # Enough for the first boot of its first block, and a trial of the second.
    made = rig(a=FakeWorker(life=12), b=FakeWorker())
    assert made.run() == 0
    stored = made.stored()
    assert len(stored.completed) == 16
    (lost,) = stored.lost_blocks
    assert (lost.worker, lost.block, lost.number) == ("host a", 0, 1)
    assert "has died" in lost.cause
    assert {trial.block for trial in lost.trials} == {0}
    assert [block for worker, block in made.cluster.assigned if worker == "b"].count(0) == 1
    aside = {path.name for path in (stored.directory / "raw" / "lost-block-0000-1").iterdir()}
    assert {trial.id for trial in lost.trials} <= aside
    assert {boot.boot for boot in stored.facts} == set(range(8))
    assert sum(isinstance(event, BlockLost) for event in made.notes.events) == 1


def test_a_block_that_ends_every_worker_fails_and_the_campaign_goes_on(rig: MakeRig) -> None:
    made = rig(**{name: FakeWorker(life=3) for name in "abc"})
    made.late = {20: {"d": FakeWorker()}}
    made.blocks = 1
    assert made.run() == 4
    stored = made.stored()
    assert {failed.stage for failed in stored.failed} == {"worker"}
    assert len(stored.lost_blocks) == 3


@pytest.mark.parametrize(
    ("odd", "reason"),
    [
        (FakeWorker(version="other"), "it runs version other, and this is c0ffee"),
        (FakeWorker(known={"controller_cpu": "other"}), "controller_cpu (stock): other, not None"),
        (FakeWorker(error=BuildError("no compiler")), "no compiler"),
        (FakeWorker(playing=Playing(facts={"image": "other"})), "image (equal)"),
    ],
    ids=["version", "processor", "broken", "facts of a boot"],
)
def test_a_worker_that_is_not_like_the_first_is_not_used(rig: MakeRig, odd: FakeWorker, reason: str) -> None:
    made = rig(a=FakeWorker())
    made.late = {10: {"b": odd}}
    assert made.run() == 0
    stored = made.stored()
    assert len(stored.completed) == 16
    require_agreement(stored.facts)
    assert all(path.read_text() == "host a\n" for path in stored.directory.glob("raw/boot-*/worker"))
    assert any("host b is not used" in line and reason in line for line in made.notes.lines), made.notes.lines


def test_a_contradicted_proof_stops_the_campaign(rig: MakeRig) -> None:
    def lying(boot: Boot) -> list[Exchange]:
        trial = boot.trials[0]
        release = RELEASES[boot.kernel]
        wrong = getpid(trial.variant, release=release, cpl=3 if trial.variant.kernel_mode else 0)
        return [*inspecting(release=release), *wrong, DMESG]

    made = rig(a=FakeWorker(playing=Playing(script=lying)))
    with pytest.raises(ProofError, match="host a: trial 0000"):
        made.run()
    (failed,) = made.stored().failed
    assert failed.stage == "proof"


def test_a_failed_trial_is_an_outcome_and_not_a_loss(rig: MakeRig) -> None:
    def fails(boot: Boot) -> list[Exchange]:
        gone = Exchange(argv=ANY_GETPID, raises=HostError("the guest is gone"))
        return breaking(boot, 1, gone) if boot.index == 0 else Playing().script(boot)

    made = rig(a=FakeWorker(playing=Playing(script=fails)))
    assert made.run() == 1
    stored = made.stored()
    assert [failed.stage for failed in stored.failed] == ["boot"]
    assert stored.lost_blocks == ()


def test_a_campaign_without_workers_ends(rig: MakeRig) -> None:
    made = rig()
    with pytest.raises(HostError, match="no worker that can be used in 600 s"):
        made.run()
    assert any("start `kmlbench worker`" in line for line in made.notes.lines)
    assert made.times[-1] > fleet.WORKERLESS_S


def test_a_narrow_interval_lets_running_blocks_end_and_begins_no_more(rig: MakeRig) -> None:
    made = rig(a=FakeWorker())
    made.ended_after = lambda outcomes: 2 if len(outcomes) >= 8 else None
    assert made.run() == 0
    assert [block for _, block in made.cluster.assigned] == [0, 1]
    assert any("narrow enough after 2 blocks" in line for line in made.notes.lines)


@pytest.mark.usefixtures("interruptible")
def test_an_interruption_loses_no_delivery(rig: MakeRig) -> None:
    made = rig(a=FakeWorker())
    received: list[Delivery] = []

    def interrupt(delivery: Delivery) -> None:
        """As the first outcome arrives: nobody has it yet."""
        received.append(delivery)
        if [type(each.content) for each in received].count(TrialEnded) == 1:
            os.kill(os.getpid(), signal.SIGINT)

    made.arriving = interrupt
    with suppress(KeyboardInterrupt):
        made.run()
    ended = [each.content.outcome.trial for each in received if isinstance(each.content, TrialEnded)]
    assert ended
    assert [outcome.trial for outcome in made.stored().completed] == ended
    assert "ending what runs on the workers" in made.notes.lines
