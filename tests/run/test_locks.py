# SPDX-License-Identifier: MIT
"""Two campaigns at once: refused on one machine, with the reason; welcome on two."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.played_machines import Playing, hosts_file, stage

from kmlbench.build.cache import default_cache
from kmlbench.cli.main import run_benchmark
from kmlbench.errors import MachineError
from kmlbench.hosts import detached
from kmlbench.hosts.base import Claim
from kmlbench.hosts.kind_qemu import QemuHostSpec
from kmlbench.hosts.kind_ssh import SshHostSpec
from kmlbench.model import Kernel
from kmlbench.progress import Silent
from kmlbench.run import locks
from kmlbench.run.session import CLAIMS

HOLDER = """
import sys
from pathlib import Path
from kmlbench.hosts.base import Claim
from kmlbench.run import locks
with locks.held([Claim(key="a", name="host a")], root=Path(sys.argv[1]), holder="results/one"):
    print("held", flush=True)
    sys.stdin.read()
"""


def ssh(name: str, key: str) -> SshHostSpec:
    return SshHostSpec(
        name=name, kernel=Kernel.STOCK, address=name, port=22, user="root", key=Path("key"), host_key=key
    )


def guest(name: str) -> QemuHostSpec:
    return QemuHostSpec(name=name, kernel=Kernel.STOCK, memory_mb=512, cpus=1, cpu_model="max", clock=None)


A, B, C, D = (ssh(name, f"ssh-ed25519 {name * 8} root@{name}") for name in "ABCD")


@contextmanager
def campaign(root: Path, *hosts: QemuHostSpec | SshHostSpec) -> Iterator[None]:
    with locks.held(locks.claims_of(hosts), root=root, holder="results/one"):
        yield


def test_two_campaigns_on_different_hosts_run_at_once(tmp_path: Path) -> None:
    with campaign(tmp_path, A, B), campaign(tmp_path, C, D), campaign(tmp_path, guest("g"), guest("h")):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("first", "second", "name"),
    [
        ((A, B), (B, C), "host B"),
        ((A,), (ssh("other-name", A.host_key + " comment"),), "host other-name"),
        ((guest("g"),), (guest("h"),), "this machine"),
    ],
)
def test_a_machine_that_is_taken_is_refused_with_the_reason(
    tmp_path: Path,
    first: tuple[SshHostSpec, ...],
    second: tuple[SshHostSpec, ...],
    name: str,
) -> None:
    with (
        campaign(tmp_path, *first),
        pytest.raises(MachineError, match=rf"{name} \(process {os.getpid()}, results/one\).*disturb"),
        campaign(tmp_path, *second),
    ):
        pytest.fail("it was taken twice")
    # What the refused one had claimed before is free, too.
    with campaign(tmp_path, *second):
        pass


def test_a_place_that_takes_no_claim_is_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(MachineError, match="a claim could not be stored"),
        campaign(tmp_path / "file" / "x", A),
    ):
        pytest.fail("it was taken")


def test_a_claim_ends_with_its_process(tmp_path: Path) -> None:
    with subprocess.Popen(
        (sys.executable, "-c", HOLDER, str(tmp_path)), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        claim = Claim(key="a", name="host a")
        with pytest.raises(MachineError), locks.held([claim], root=tmp_path, holder=""):
            pytest.fail("it was taken twice")
        other.kill()
        other.wait()
    with locks.held([claim], root=tmp_path, holder=""):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_the_second_campaign_is_refused_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stage(monkeypatch, Playing())
    root = detached.default_directory(default_cache().root, progress=Silent()) / CLAIMS
    options = ["--hosts", str(hosts_file(tmp_path, blocks=1)), "--results", str(tmp_path / "results")]
    with campaign(root, guest("g")):
        assert run_benchmark(options) == 3
    assert "another campaign is running on this machine (process" in capsys.readouterr().err
    assert not (tmp_path / "results").exists()
    assert run_benchmark(options) == 0
    assert list(root.iterdir()) == []
