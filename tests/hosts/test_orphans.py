# SPDX-License-Identifier: MIT
"""Guests whose campaign is dead are ended, and no others."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.played_machines import Playing, guest_argv, hosts_file, stage
from support.synthetic_campaigns import build

from kmlbench.cli.main import run_benchmark
from kmlbench.hosts.orphans import end_guests
from kmlbench.results import writer

Orphan = Callable[[Path], subprocess.Popen[bytes]]


@pytest.fixture
def orphan() -> Iterator[Orphan]:
    """Starts a guest that nothing ties to its controller."""
    started: list[subprocess.Popen[bytes]] = []

    def start(campaign: Path) -> subprocess.Popen[bytes]:
        directory = campaign / "raw" / "boot-0000"
        directory.mkdir(parents=True, exist_ok=True)
        started.append(subprocess.Popen(guest_argv(directory, prefix=())))
        # It has its arguments once it stopped itself.
        os.waitpid(started[-1].pid, os.WUNTRACED)
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def test_a_guest_of_a_dead_campaign_is_ended(tmp_path: Path, orphan: Orphan) -> None:
    guest = orphan(build(tmp_path))
    assert end_guests(tmp_path) == (guest.pid,)
    assert guest.wait(timeout=10) == -9
    assert end_guests(tmp_path) == ()


def test_a_guest_of_a_campaign_that_runs_lives(tmp_path: Path, orphan: Orphan) -> None:
    directory = build(tmp_path)
    guest = orphan(directory)
    with writer.reopen(directory):
        assert end_guests(tmp_path) == ()
    assert guest.poll() is None


def test_guests_elsewhere_and_programs_by_other_names_live(tmp_path: Path, orphan: Orphan) -> None:
    elsewhere = orphan(build(tmp_path / "elsewhere"))
    ours = tmp_path / "ours"
    directory = build(ours) / "raw" / "boot-0000"
    argument = f"socket,id=console,fd=3,logfile={directory / 'console.log'}"
    argv = ("tail", "--follow", "/dev/null", "--", argument)
    with subprocess.Popen(argv, stderr=subprocess.DEVNULL) as tail:
        assert end_guests(ours) == ()
        assert (elsewhere.poll(), tail.poll()) == (None, None)
        tail.kill()


@pytest.mark.slow
def test_the_next_campaign_ends_what_a_dead_one_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], orphan: Orphan
) -> None:
    guest = orphan(build(tmp_path / "results"))
    stage(monkeypatch, Playing())
    hosts = hosts_file(tmp_path, blocks=1)
    assert run_benchmark(["--hosts", str(hosts), "--results", str(tmp_path / "results")]) == 0
    assert f"killed an orphaned guest (process {guest.pid})" in capsys.readouterr().err
    assert guest.wait(timeout=10) == -9
