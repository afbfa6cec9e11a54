# SPDX-License-Identifier: MIT
"""A guest by hand: boot it, use it, stop it, each from a command of its own."""

from __future__ import annotations

import argparse
import json
import os
import select
from dataclasses import replace
from pathlib import Path

import pytest
from support.paths import REPOSITORY

from kmlbench.build.artifacts import KernelArtifact
from kmlbench.build.bases import Base
from kmlbench.cli.commands import guest
from kmlbench.errors import InputError
from kmlbench.hosts import detached
from kmlbench.hosts.qemu import GuestSpec
from kmlbench.progress import Silent

HOSTS = REPOSITORY / "hosts.yaml"


def command(*argv: str) -> int:
    parser = argparse.ArgumentParser()
    guest.configure(parser)
    arguments = parser.parse_args(argv)
    code: int = arguments.run(arguments, Silent())
    return code


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path / "kmlbench"


@pytest.mark.guest
@pytest.mark.usefixtures("mysql_image")
def test_boot_use_and_stop(
    base: Base,
    stock_kernel: KernelArtifact,
    runtime: Path,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    assert command("boot", "stock", "--hosts", str(HOSTS), "--clock", "time", "--kernel", base) == 0
    running = detached.find_guest("stock", root=runtime)
    try:
        with pytest.raises(InputError, match="already running"):
            command("boot", "stock", "--hosts", str(HOSTS))
        (tmp_path / "file").write_text("content\n")
        assert command("copy", "stock", str(tmp_path / "file"), "/tmp/a file") == 0
        assert command("ssh", "stock", "--", "cat", "/tmp/a file") == 0
        assert command("ssh", "stock", "--", "sh", "-c", "exit 7") == 7
        assert command("ssh", "stock", "--", "uname", "-r") == 0
        assert capfd.readouterr().out == f"content\n{stock_kernel.release}\n"
        assert (runtime.stat().st_mode & 0o777) == 0o700
    finally:
        assert command("stop", "stock") == 0
    assert not running.is_alive()
    with pytest.raises(InputError, match=r"not running[^$]*guest boot stock"):
        command("ssh", "stock", "--", "true")


@pytest.mark.guest
def test_what_a_dead_guest_left_does_not_stand_in_the_way(stock_spec: GuestSpec, runtime: Path) -> None:
    spec = replace(stock_spec, name="dead")
    dead = detached.start_guest(spec, root=runtime)
    descriptor = os.pidfd_open(dead.pid)
    os.kill(dead.pid, 9)
    assert select.select([descriptor], [], [], 10)[0]
    os.close(descriptor)
    with pytest.raises(InputError, match="not running"):
        detached.find_guest("dead", root=runtime)
    again = detached.start_guest(spec, root=runtime)
    detached.stop_guest("dead", root=runtime)
    assert again.pid != dead.pid
    assert not again.is_alive()


def test_another_process_with_the_number_of_a_dead_guest_is_not_it(runtime: Path) -> None:
    directory = runtime / "old"
    directory.mkdir(parents=True)
    state = {"name": "old", "pid": os.getpid(), "started": "1", "port": 1, "key": "", "host_key": ""}
    (directory / "guest.json").write_text(json.dumps(state))
    with pytest.raises(InputError, match="not running"):
        detached.stop_guest("old", root=runtime)


@pytest.mark.parametrize("name", ["nothing", "../nothing", ".."])
def test_a_name_that_does_not_run_is_said_and_makes_nothing(name: str, runtime: Path) -> None:
    with pytest.raises(InputError, match="not running"):
        command("stop", name)
    assert not runtime.exists()


def test_a_host_that_is_not_in_the_file_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no host is called 'stok'"):
        command("boot", "stok", "--hosts", str(HOSTS))
    assert list(tmp_path.iterdir()) == []


def test_a_directory_cannot_be_copied(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a file"):
        command("copy", "stock", str(tmp_path), "/tmp")
