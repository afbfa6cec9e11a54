# SPDX-License-Identifier: MIT
"""A real server in real guests: from both prefixes, loaded, measured, proved, and gone afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from kmlbench.errors import TrialError
from kmlbench.hosts.ssh import SshHost
from kmlbench.model import CommandResult, Host, Kernel, Prefix, Process, Server, Variant
from kmlbench.servers import dataset
from kmlbench.servers import server as mysql
from kmlbench.servers.options import PROGRAMS, arguments
from kmlbench.servers.server import ServerHandle
from kmlbench.workloads import measure, probe
from kmlbench.workloads.registry import ADAPTERS
from kmlbench.workloads.steps import Setting

pytestmark = pytest.mark.guest
MEASURE = "/usr/lib/kmlbench/measure"
REPORT = "/run/test-measure.json"
BUFFER_POOL_MB = 256


def run_steps(
    host: Host, workload: str, setting: Setting, server: int | None, tmp_path: Path
) -> tuple[list[CommandResult], measure.MeasureReport]:
    observed = () if server is None else ("--server", str(server))
    results = []
    for step in ADAPTERS[workload].steps(setting):
        before: Sequence[str] = (MEASURE, "--report", REPORT, *observed, "--") if step.measured else ()
        results.append(host.run((*before, *step.argv), timeout_s=step.timeout_s))
        assert results[-1].returncode == 0, results[-1].stderr
    host.get(REPORT, tmp_path / "report.json")
    return results, probe.parse_report((tmp_path / "report.json").read_text())


def prove(host: Host, kernel: Kernel, prefix: Prefix, report: measure.MeasureReport) -> None:
    """The proof fits its cell, and not the cell of the other privilege."""
    variant = Variant(kernel=kernel, prefix=prefix)
    release = host.run(("uname", "-r"), timeout_s=30).stdout.strip()
    proof = probe.proof(host, prefix, report)
    assert probe.contradiction(variant, proof, release) is None
    other = Prefix.USR if prefix is Prefix.TRUSTED else Prefix.TRUSTED
    assert (probe.contradiction(Variant(kernel=Kernel.KML, prefix=other), proof, release) is None) is (
        variant.kernel_mode is (other is Prefix.TRUSTED)
    )


def gone(host: Host, pid: int) -> bool:
    return host.run(("test", "-e", f"/proc/{pid}/exe"), timeout_s=30).returncode == 1


def locked_mb(host: Host, handle: ServerHandle) -> float:
    status = host.run(("grep", "VmLck", f"/proc/{handle.pid}/status"), timeout_s=30).stdout
    return int(status.split()[1]) / 1024


def start_is_clean(host: Host, handle: ServerHandle) -> None:
    """The server is the prefix's own, and nobody reads its password."""
    assert locked_mb(host, handle) >= BUFFER_POOL_MB
    executable = host.run(("readlink", f"/proc/{handle.pid}/exe"), timeout_s=30).stdout.strip()
    assert executable == handle.prefix.path(PROGRAMS[Server.MYSQL].daemon)
    words = host.run(("cat", f"/proc/{handle.pid}/cmdline"), timeout_s=30).stdout
    assert handle.password not in words
    assert host.run(("ls", handle.directory), timeout_s=30).stdout.count("init.sql") == 0


def wisconsin(host: Host, kernel: Kernel, handle: ServerHandle, tmp_path: Path) -> None:
    adapter = ADAPTERS["wisconsin"]
    dataset.load_tables("wisconsin", host, handle)
    setting = handle.setting(seed=7, scale=0.1)
    results, report = run_steps(host, "wisconsin", setting, handle.pid, tmp_path)
    counted = adapter.samples(results)
    prove(host, kernel, handle.prefix, report)
    # The run changed the tables: a second one must not pass for a good one.
    again = host.run(results[0].argv, timeout_s=300)
    assert again.returncode != 0
    values = {(sample.process, sample.metric): sample.value for sample in probe.resources(report, counted)}
    assert values[Process.SERVER, "pass_cpu"] > 0
    assert values[Process.CLIENT, "cpu_total"] > 0
    assert values[Process.SERVER, "voluntary_switches"] > 0


def sysbench(host: Host, kernel: Kernel, handle: ServerHandle, workload: str, tmp_path: Path) -> None:
    host.run(
        (
            *("/usr/bin/mysql", f"--defaults-file={handle.password_file}"),
            *(f"--socket={handle.socket}", f"--user={handle.user}"),
            "--execute=DROP DATABASE kmlbench; CREATE DATABASE kmlbench",
        ),
        timeout_s=60,
    )
    results, report = run_steps(host, workload, handle.setting(seed=7, scale=0.05), handle.pid, tmp_path)
    assert ADAPTERS[workload].samples(results)
    prove(host, kernel, handle.prefix, report)


@pytest.fixture(scope="module")
def stock_server(stock_guest: SshHost) -> Iterator[ServerHandle]:
    """The last test of this file kills it."""
    with mysql.running_server(stock_guest, Prefix.TRUSTED, Server.MYSQL) as handle:
        yield handle


def test_the_server_was_interrupted_often_while_it_started_and_by_nothing_afterwards(
    stock_guest: SshHost, stock_server: ServerHandle
) -> None:
    """By the scheduler's tick alone it was some 600 times, and 11,000 times with what takes turns with it."""
    status = stock_guest.run(
        ("grep", "nonvoluntary_ctxt_switches", f"/proc/{stock_server.pid}/status"), timeout_s=30
    )
    assert int(status.stdout.split()[1]) > 1000
    names = stock_guest.run(("ps", "-eo", "comm="), timeout_s=30).stdout.split()
    assert "mysqld" in names
    assert "perl" not in names


def test_from_end_to_end_on_the_stock_kernel(
    stock_guest: SshHost, stock_server: ServerHandle, tmp_path: Path
) -> None:
    start_is_clean(stock_guest, stock_server)
    sysbench(stock_guest, Kernel.STOCK, stock_server, "oltp_point_select", tmp_path)


@pytest.mark.parametrize("prefix", list(Prefix))
def test_from_end_to_end_on_the_kml_kernel(kml_guest: SshHost, prefix: Prefix, tmp_path: Path) -> None:
    with mysql.running_server(kml_guest, prefix, Server.MYSQL) as handle:
        start_is_clean(kml_guest, handle)
        for workload in ("oltp_point_select", "oltp_read_write"):
            sysbench(kml_guest, Kernel.KML, handle, workload, tmp_path)
        if prefix is Prefix.TRUSTED:
            wisconsin(kml_guest, Kernel.KML, handle, tmp_path)
    assert gone(kml_guest, handle.pid)
    assert kml_guest.run(("ls", "/run/kmlbench"), timeout_s=30).stdout == ""


def test_getpid_in_kernel_mode(kml_guest: SshHost, tmp_path: Path) -> None:
    setting = Setting(prefix=Prefix.TRUSTED, socket="", user="", password_file="", seed=7, scale=0.05)
    results, report = run_steps(kml_guest, "getpid", setting, None, tmp_path)
    assert ADAPTERS["getpid"].samples(results)
    prove(kml_guest, Kernel.KML, Prefix.TRUSTED, report)


def test_a_server_that_cannot_start_says_why_and_leaves_nothing(
    stock_guest: SshHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    others = stock_guest.run(("ls", "/run/kmlbench"), timeout_s=30).stdout.split()
    monkeypatch.setattr(mysql, "arguments", lambda *given: (*arguments(*given), "--datadir=/nowhere"))
    with (
        pytest.raises(TrialError, match="/nowhere") as caught,
        mysql.running_server(stock_guest, Prefix.USR, Server.MYSQL),
    ):
        pytest.fail("this server does not run")
    assert caught.value.stage == "start server"
    assert stock_guest.run(("ls", "/run/kmlbench"), timeout_s=30).stdout.split() == others


def kill(host: Host, pid: int) -> None:
    host.run(("kill", "-KILL", str(pid)), timeout_s=30)
    while not gone(host, pid):
        pass


def test_a_server_that_dies_or_refuses_fails_the_load(
    stock_guest: SshHost, stock_server: ServerHandle
) -> None:
    with pytest.raises(TrialError, match="Access denied") as caught:
        dataset.load_tables("wisconsin", stock_guest, replace(stock_server, password="wrong"))
    assert caught.value.stage == "load"
    kill(stock_guest, stock_server.pid)
    with pytest.raises(TrialError) as caught:
        dataset.load_tables("wisconsin", stock_guest, stock_server)
    assert caught.value.stage == "load"
