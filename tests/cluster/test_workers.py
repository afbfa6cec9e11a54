# SPDX-License-Identifier: MIT
"""A scheduler and workers, processes of their own, on played hosts: what is lost, ended and resumed."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread

import pytest
from support.cluster import scheduler, worker
from support.played_machines import Playing, guests_below, hosts_file, stage

from kmlbench.cli.main import run_benchmark
from kmlbench.report import write
from kmlbench.results import reader
from kmlbench.results.reader import StoredCampaign

pytestmark = pytest.mark.slow

DEADLINE_S = 120.0


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with scheduler() as found:
        yield found


class Rig:
    """A campaign of three blocks on a cluster, run in this process."""

    def __init__(self, directory: Path, address: str) -> None:
        self.directory, self.address = directory, address
        self.hosts = hosts_file(directory, blocks=3)
        self.results = directory / "results"

    def run(self, *options: str) -> int:
        return run_benchmark(["--results", str(self.results), "--cluster", self.address, *options])

    def begin(self) -> int:
        return self.run("--hosts", str(self.hosts))

    def stored(self) -> StoredCampaign:
        return reader.read_campaign(self.results / "latest")

    def once_measuring(self, act: Callable[[int], None]) -> Thread:
        """Act, with the PID of the worker, once the long trial has begun and the one before is on record."""
        path, record = self.directory / "measuring", self.results / "latest" / reader.OUTCOMES

        def watch() -> None:
            deadline = time.monotonic() + DEADLINE_S
            while not (path.exists() and record.exists() and record.read_bytes()):
                assert time.monotonic() < deadline, "the long trial has not begun"
                time.sleep(0.05)
            (self.directory / "quick").touch()
            act(int(path.read_text()))

        thread = Thread(target=watch, daemon=True)
        thread.start()
        return thread


@pytest.fixture
def rig(tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch) -> Rig:
    stage(monkeypatch, Playing())
    monkeypatch.setattr(write, "write_report", lambda directory, **_: directory / "report.html")
    return Rig(tmp_path, address)


def require_nothing_left(directory: Path) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while guests_below(directory):
        assert time.monotonic() < deadline, "a guest still runs"
        time.sleep(0.05)


def require_sealed(stored: StoredCampaign) -> None:
    """The raw output of every outcome that counts is the one that it was made of."""
    for outcome in stored.outcomes:
        assert outcome.raw == reader.file_digests(reader.raw_path(stored.directory, outcome.trial))


def test_a_block_whose_worker_is_killed_runs_again_on_another(
    rig: Rig, capsys: pytest.CaptureFixture[str]
) -> None:
    with (
        worker(rig.address, rig.directory / "a", processor="one"),
        worker(rig.address, rig.directory / "b", processor="one"),
    ):
        killing = rig.once_measuring(lambda pid: os.kill(pid, signal.SIGKILL))
        assert rig.begin() == 0
        killing.join()
    stored = rig.stored()
    assert len(stored.completed) == len(stored.campaign.plan) == 12
    (lost,) = stored.lost_blocks
    assert (lost.block, lost.number) == (0, 1)
    assert [trial.position for trial in lost.trials] == [0]
    aside = stored.directory / "raw" / "lost-block-0000-1"
    first, second = (trial.id for trial in stored.campaign.plan[:2])
    # The second may have brought nothing before its worker was killed.
    assert {path.name for path in aside.iterdir()} - {second} == {"boot-0000", first}
    workers = {
        boot: (stored.directory / "raw" / f"boot-{boot:04d}" / "worker").read_text().strip()
        for boot in range(6)
    }
    assert lost.worker not in {workers[0], workers[1]}
    assert all(workers[2 * block] == workers[2 * block + 1] for block in range(3))
    printed = capsys.readouterr().err
    assert f"block 1 was lost with {lost.worker}" in printed
    require_nothing_left(rig.directory)
    require_sealed(stored)


@pytest.mark.usefixtures("interruptible")
def test_an_interruption_ends_the_guests_of_the_workers_and_is_resumed(
    rig: Rig, capsys: pytest.CaptureFixture[str]
) -> None:
    with worker(rig.address, rig.directory / "a", processor="one"):
        interrupting = rig.once_measuring(lambda _: os.kill(os.getpid(), signal.SIGINT))
        assert rig.begin() == 130
        interrupting.join()
        assert guests_below(rig.directory) == []
        stored = rig.stored()
        assert [outcome.trial.position for outcome in stored.completed] == [0]
        assert (stored.directory / "raw" / "boot-0000" / "dmesg").exists()
        assert f"`run-benchmark --resume {stored.directory}` resumes it" in capsys.readouterr().err

        assert rig.run("--resume", "latest") == 0
    resumed = rig.stored()
    assert len(resumed.completed) == 12
    assert [trial.position for trial in resumed.resumptions[0].trials] == [1]
    assert [trial.position for trial in resumed.lost_blocks[0].trials] == [0]
    assert (resumed.directory / "raw" / "boot-0000-r1" / "worker").exists()
    require_sealed(resumed)
