# SPDX-License-Identifier: MIT
"""The whole chain on real guests: a campaign in which a server is killed, and one that is interrupted."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from support.controllers import controller, guests, read_until
from support.guests import PROCESSOR
from support.paths import REPOSITORY

import kmlbench
from kmlbench.build.bases import Base
from kmlbench.cli.main import main, run_benchmark
from kmlbench.hosts import kind_qemu
from kmlbench.hosts.base import Booted, Machines
from kmlbench.hosts.kind_qemu import Builds, QemuHostSpec
from kmlbench.model import Boot, ByteStream, CommandResult, Host, Kernel, Server
from kmlbench.results import facts, reader
from kmlbench.run import trial

HOSTS = f"""
hosts:
  stock: {{kind: qemu, kernel: stock, memory_mb: 2048, cpus: 1, cpu_model: "{PROCESSOR}", clock: time}}
  kml: {{kind: qemu, kernel: kml, memory_mb: 2048, cpus: 1, cpu_model: "{PROCESSOR}", clock: time}}
campaign: {{stock: stock, kml: kml, workloads: [getpid, oltp_point_select], blocks: 1, scale: 0.1, seed: 11,
  server: mysql, threads: [1, 4]}}
"""
LEVELS = ("oltp_point_select", "oltp_point_select_4_threads")
OPTIONS = ("--hosts", str(REPOSITORY / "hosts.yaml"), "--blocks", "1", "--seed", "11", "--scale", "0.1")
END_S = 60.0
# The server dies while its client is at work.
KILLER = 'until pgrep -x sysbench; do sleep 0.05; done; kill -KILL "$1"'

pytestmark = pytest.mark.guest


class Saboteur:
    """A host on which the first server that is measured dies in the middle of it."""

    def __init__(self, host: Host) -> None:
        self.name = host.name
        self._host = host
        self._done = False

    def run(self, argv: Sequence[str], *, timeout_s: float, stdin: bytes = b"") -> CommandResult:
        if argv[0] == trial.MEASURE and "--server" in argv and not self._done:
            self._done = True
            pid = argv[argv.index("--server") + 1]
            kill = ("sh", "-c", f"setsid sh -c '{KILLER}' sh {pid} >/dev/null 2>&1 &")
            assert self._host.run(kill, timeout_s=timeout_s).returncode == 0
        return self._host.run(argv, timeout_s=timeout_s, stdin=stdin)

    def put(self, source: Path, destination: str) -> None:
        self._host.put(source, destination)

    def get(self, source: str, destination: Path) -> None:
        self._host.get(source, destination)

    def dial(self, port: int) -> ByteStream:
        return self._host.dial(port)


def sabotaged(ready: Machines) -> Machines:
    @contextmanager
    def boot(planned: Boot, directory: Path) -> Iterator[Booted]:
        with ready(planned, directory) as booted:
            host = Saboteur(booted.host) if planned.index == 0 else booted.host
            yield replace(booted, host=host)

    return boot


@pytest.mark.parametrize("server", [Server.MARIADB, pytest.param(Server.MYSQL, marks=pytest.mark.soak)])
def test_a_campaign_from_hosts_yaml_to_the_report_with_a_hole_in_it(
    server: Server,
    base: Base,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """MariaDB starts in a third of MySQL's time, and it starts five times here."""
    guests_of = kind_qemu.guests

    def with_saboteur(hosts: dict[Kernel, QemuHostSpec], builds: Builds, *, seed: int) -> Machines:
        return sabotaged(guests_of(hosts, builds, seed=seed))

    monkeypatch.setattr(kind_qemu, "guests", with_saboteur)
    hosts = tmp_path / "hosts.yaml"
    hosts.write_text(HOSTS)
    chosen = ["--hosts", str(hosts), "--results", str(tmp_path), "--server", server, "--kernel", base]
    assert run_benchmark(chosen) == 5
    written = Path(capsys.readouterr().out.splitlines()[-1])
    stored = reader.read_campaign(tmp_path / "latest")
    assert written == stored.directory / "report.html"
    _require_the_hole(stored)
    _require_proofs(stored)
    facts.require_agreement(stored.facts)
    page = written.read_text()
    assert "failed: run" in page
    assert set(LEVELS) <= set(re.findall(r"oltp_\w+", page))
    assert stored.campaign.platform in page
    assert f"(Linux {base})" in page
    assert stored.campaign.options["kernel"] == base
    assert all(boot.facts["kernel_release"].startswith(f"{base}.") for boot in stored.facts)
    timing = json.loads((stored.directory / "timing.json").read_text())
    # 4.8 of 80 s with nothing beside it (2 cores, QEMU 7.2 TCG), of which reading what was counted is half.
    assert timing["controller_s"] < 0.1 * timing["total_s"]
    assert main(["verify", str(stored.directory)]) == 0


def _require_the_hole(stored: reader.StoredCampaign) -> None:
    assert [failed.stage for failed in stored.failed] == ["run"]
    failed = stored.failed[0].trial
    assert failed.boot == 0
    assert failed.workload in LEVELS
    assert len(stored.completed) == 11
    assert stored.missing == ()
    frame = kmlbench.load(stored.directory)
    throughput = frame[frame.metric == "throughput"]
    assert sorted(throughput.groupby("workload").size()) == [3, 4]
    assert set(throughput.workload) == set(LEVELS)
    assert (throughput.value > 0).all()


def _require_proofs(stored: reader.StoredCampaign) -> None:
    for done in stored.completed:
        mode = done.trial.variant.kernel_mode
        served = done.trial.workload != "getpid"
        assert done.proof.cpl == (0 if mode else 3)
        assert done.proof.client_kernel_mode is mode
        assert done.proof.server_kernel_mode is (mode if served else None)
        calls = {sample.metric for sample in done.samples if sample.metric.startswith("syscalls_")}
        assert calls == ({"syscalls_direct", "syscalls_trap"} if mode else set())


def test_an_interrupted_campaign_leaves_no_guest_and_says_what_it_kept(tmp_path: Path) -> None:
    with controller(*OPTIONS, "--results", str(tmp_path), "--workloads", "getpid") as (child, output):
        read_until(output, ", getpid: ")
        assert guests(tmp_path)
        child.send_signal(signal.SIGINT)
        rest = output.read()
        assert child.wait(timeout=END_S) == 130
    assert "`kmlbench report" in rest
    assert "Traceback" not in rest
    assert guests(tmp_path) == []
    stored = reader.read_campaign(tmp_path / "latest")
    assert stored.completed
    assert stored.missing
