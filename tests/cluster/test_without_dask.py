# SPDX-License-Identifier: MIT
"""Dask is an extra: nothing but a cluster needs it, and a cluster without it says what to install."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from support.played_machines import Playing, hosts_file, stage

from kmlbench.cli.main import main, run_benchmark
from kmlbench.cluster import scheduler

# Everything that a campaign on hosts of its own imports.
IMPORTS = """
import sys
import kmlbench, kmlbench.cli.campaign, kmlbench.cli.commands.run_benchmark, kmlbench.cli.commands.worker
print(sorted(name for name in sys.modules if name.partition(".")[0] in {"dask", "distributed", "tornado"}))
"""


def test_a_campaign_without_a_cluster_does_not_import_dask() -> None:
    printed = subprocess.run((sys.executable, "-c", IMPORTS), capture_output=True, text=True, check=True)
    assert printed.stdout == "[]\n"


@pytest.mark.parametrize("program", ["run-benchmark", "kmlbench"])
def test_a_cluster_without_dask_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], program: str
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr(scheduler, "find_spec", lambda _: None)
    if program == "kmlbench":
        assert main(["worker", "tcp://192.0.2.1:8786"]) == 3
    else:
        hosts = hosts_file(tmp_path, blocks=2)
        assert run_benchmark(["--hosts", str(hosts), "--cluster", "tcp://192.0.2.1:8786"]) == 3
    printed = capsys.readouterr().err
    assert "a cluster needs dask.distributed, which is not installed here" in printed
    assert "remedy: run `make setup`, on the controller and on each worker" in printed


def test_a_worker_has_one_pair_of_hosts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hosts = hosts_file(tmp_path, blocks=4, pairs=2)
    assert main(["worker", "tcp://192.0.2.1:8786", "--hosts", str(hosts)]) == 2
    assert "a worker has one pair of hosts, and this file names 2" in capsys.readouterr().err


def test_a_campaign_on_a_cluster_names_one_pair(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stage(monkeypatch, Playing())
    hosts = hosts_file(tmp_path, blocks=4, pairs=2)
    assert run_benchmark(["--hosts", str(hosts), "--cluster", "tcp://192.0.2.1:8786"]) == 2
    assert "with --cluster each worker has a pair of hosts" in capsys.readouterr().err


def test_a_campaign_of_own_hosts_is_not_resumed_on_a_cluster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stage(monkeypatch, Playing())
    results = ("--results", str(tmp_path / "results"))
    monkeypatch.setattr("kmlbench.report.write.write_report", lambda directory, **_: directory)
    assert run_benchmark([*results, "--hosts", str(hosts_file(tmp_path, blocks=1))]) == 0
    assert run_benchmark([*results, "--resume", "latest", "--cluster", "tcp://192.0.2.1:8786"]) == 2
    assert "--cluster: the campaign ran on hosts of its own" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("address", "exposed"),
    [
        ("tcp://127.0.0.1:8786", False),
        ("tcp://[::1]:8786", False),
        ("localhost:8786", False),
        ("tcp://192.0.2.1:8786", True),
        ("controller.example.org:8786", True),
        ("tls://192.0.2.1:8786", False),
    ],
)
def test_an_address_is_exposed_without_tls_on_another_machine(address: str, exposed: bool) -> None:
    assert scheduler.is_exposed(address) is exposed
