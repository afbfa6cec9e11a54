# SPDX-License-Identifier: MIT
"""One campaign on real guests, through a killed controller, a killed QEMU and a kernel that panics."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from support.controllers import controller, guests, read_until
from support.guests import PROCESSOR

from kmlbench.cli.main import main, run_benchmark
from kmlbench.hosts import kind_qemu
from kmlbench.hosts.base import Booted, Machines
from kmlbench.hosts.kind_qemu import Builds, QemuHostSpec
from kmlbench.model import Boot, CommandResult, Host, Kernel
from kmlbench.results import reader
from kmlbench.run import trial

GUEST = '  {0}: {{kind: qemu, kernel: {0}, memory_mb: 512, cpus: 1, cpu_model: "{1}", clock: time}}\n'
CAMPAIGN = (
    "campaign: {stock: stock, kml: kml, server: mysql, workloads: [getpid], blocks: 1, scale: 0.1, seed: 5, "
    "instrument: false}\n"
)
GONE_S = 10.0

pytestmark = [pytest.mark.guest, pytest.mark.usefixtures("stock_kernel", "kml_kernel", "mysql_image")]


def test_a_campaign_survives_its_controller_its_guest_and_its_kernel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hosts = tmp_path / "hosts.yaml"
    hosts.write_text("hosts:\n" + "".join(GUEST.format(kernel, PROCESSOR) for kernel in Kernel) + CAMPAIGN)
    results = tmp_path / "results"

    with controller("--hosts", str(hosts), "--results", str(results)) as (child, output):
        read_until(output, ", getpid: ")
        assert len(guests(results)) == 1
        child.send_signal(signal.SIGKILL)
    require_no_guest(results)
    assert len(stored(results).completed) == 1

    with controller("--resume", "latest", "--results", str(results)) as (child, output):
        read_until(output, "booting the")
        wait_for_console(results / "latest" / "raw" / "boot-0000-r1" / "console.log")
        os.kill(guests(results)[0], signal.SIGKILL)
        read_until(output, "was lost, and 1 trials with it")
        assert child.wait(timeout=120) == 5
    require_no_guest(results)
    assert len(stored(results).completed) == 3

    with monkeypatch.context() as patch:
        panicking(patch)
        assert run_benchmark(["--resume", "latest", "--results", str(results)]) == 5
    cause = stored(results).failed[0].cause
    # A console may say a character twice.
    assert any(word in cause for word in ("Kernel panic", "sysrq_handle_crash", "panic+")), cause

    assert run_benchmark(["--resume", "latest", "--results", str(results)]) == 0
    require_no_guest(results)
    require_whole(results)
    capsys.readouterr()
    assert main(["verify", str(results / "latest")]) == 0


def require_whole(results: Path) -> None:
    result = stored(results)
    assert Counter(outcome.trial for outcome in result.completed) == Counter(result.campaign.plan)
    assert Counter(outcome.resumption for outcome in result.completed) == {0: 1, 1: 2, 3: 1}
    assert [len(resumption.boots) for resumption in result.resumptions] == [1, 0, 0]
    assert [(failed.stage, failed.resumption) for failed in result.superseded] == [("boot", 1), ("boot", 2)]
    # Or later, when the guest had said that it is ready.
    assert any(
        f"QEMU {end}" in result.superseded[0].cause for end in ("ended with -9 during boot", "has ended")
    )


def stored(results: Path) -> reader.StoredCampaign:
    return reader.read_campaign(results / "latest")


def wait_for_console(log: Path) -> None:
    """Until QEMU has started, and long before the guest has."""
    deadline = time.monotonic() + 30
    while not (log.exists() and log.stat().st_size):
        assert time.monotonic() < deadline, "no guest was started"
        time.sleep(0.02)


def require_no_guest(results: Path) -> None:
    deadline = time.monotonic() + GONE_S
    while guests(results):
        assert time.monotonic() < deadline, "a guest still runs"
        time.sleep(0.05)


class Panicking:
    """A host whose kernel panics when something is to be measured."""

    def __init__(self, host: Host) -> None:
        self.name = host.name
        self.put, self.get, self.dial = host.put, host.get, host.dial
        self._host = host

    def run(self, argv: Sequence[str], *, timeout_s: float, stdin: bytes = b"") -> CommandResult:
        if argv[0] == trial.MEASURE:
            argv = ("sh", "-c", "echo c > /proc/sysrq-trigger")
        return self._host.run(argv, timeout_s=timeout_s, stdin=stdin)


def panicking(patch: pytest.MonkeyPatch) -> None:
    guests_of = kind_qemu.guests

    def with_panics(hosts: dict[Kernel, QemuHostSpec], builds: Builds, *, seed: int) -> Machines:
        ready = guests_of(hosts, builds, seed=seed)

        @contextmanager
        def boot(planned: Boot, directory: Path) -> Iterator[Booted]:
            with ready(planned, directory) as booted:
                yield replace(booted, host=Panicking(booted.host))

        return boot

    patch.setattr(kind_qemu, "guests", with_panics)
