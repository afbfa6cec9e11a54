# SPDX-License-Identifier: MIT
"""A cluster on this machine with guests: a scheduler, two workers, and one of them killed within a block."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from threading import Thread

import pytest
from support.cluster import scheduler, worker
from support.controllers import guests
from support.guests import PROCESSOR

from kmlbench.build.cache import default_cache
from kmlbench.cli.main import main, run_benchmark
from kmlbench.results import facts, reader

GUEST = '  {0}: {{kind: qemu, kernel: {0}, memory_mb: 512, cpus: 1, cpu_model: "{1}", clock: time}}\n'
# A server and its data, which lie in memory, do not fit into 512 MiB.
CAMPAIGN = (
    "campaign: {stock: stock, kml: kml, server: mysql, workloads: [getpid], blocks: 2, scale: 0.05, seed: 3, "
    "instrument: false}\n"
)
BEGUN_S = 600.0
GONE_S = 60.0

# tests/cluster has the same with hosts that are played, in every run.
pytestmark = [pytest.mark.guest, pytest.mark.soak]


def test_a_worker_that_is_killed_costs_its_block_and_no_more(tmp_path: Path) -> None:
    hosts = tmp_path / "hosts.yaml"
    hosts.write_text(
        f"hosts:\n{''.join(GUEST.format(kernel, PROCESSOR) for kernel in ('stock', 'kml'))}{CAMPAIGN}"
    )
    results = tmp_path / "results"
    killed: list[int] = []
    with scheduler() as address, worker(address, tmp_path / "a"), worker(address, tmp_path / "b"):
        killing = Thread(target=lambda: killed.append(kill_the_first(results)), daemon=True)
        killing.start()
        options = ("--hosts", str(hosts), "--results", str(results), "--cluster", address)
        assert run_benchmark(options) == 0
        killing.join()
        require_no_guest_of(killed[0])

    stored = reader.read_campaign(results / "latest")
    assert len(stored.completed) == len(stored.campaign.plan) == 8
    facts.require_agreement(stored.facts)
    (lost,) = stored.lost_blocks
    assert lost.worker.endswith(f"-{killed[0]}")
    assert lost.trials
    names = {path.read_text().strip() for path in stored.directory.glob("raw/boot-*/worker")}
    assert names
    assert lost.worker not in names
    assert main(["verify", str(stored.directory)]) == 0


def kill_the_first(results: Path) -> int:
    """Kill the worker of the first trial that has ended; its PID."""
    deadline = time.monotonic() + BEGUN_S
    while not any(b'"completed"' in path.read_bytes() for path in results.glob("2*/outcomes.jsonl")):
        assert time.monotonic() < deadline, "no trial has ended"
        time.sleep(0.05)
    (directory,) = (path.parent for path in results.glob("2*/outcomes.jsonl"))
    (first, *_) = reader.read_campaign(directory).outcomes
    name = (reader.boot_path(directory, first.trial.boot) / "worker").read_text().strip()
    pid = int(name.rpartition("-")[2])
    os.kill(pid, signal.SIGKILL)
    return pid


def require_no_guest_of(pid: int) -> None:
    """The guests of a worker end with it."""
    deadline = time.monotonic() + GONE_S
    while guests(default_cache().root / "workers" / str(pid)):
        assert time.monotonic() < deadline, "a guest of a dead worker still runs"
        time.sleep(0.1)
