# SPDX-License-Identifier: MIT
"""Ctrl-C, SIGTERM and SIGHUP: what is kept, what is said, and that nothing is left behind."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest
from support.paths import PYTHONPATH, SUPPORT
from support.played_machines import Playing, guests_below, stage

from kmlbench.cli.interrupts import SIGNALS, interruptible
from kmlbench.cli.main import run_benchmark
from kmlbench.hosts.kind_qemu import QemuHostSpec
from kmlbench.model import Kernel
from kmlbench.results import reader
from kmlbench.run import locks
from kmlbench.run.session import CLAIMS

pytestmark = pytest.mark.slow

GONE_S = 60.0
LONG_S = 600.0
GUEST = QemuHostSpec(name="g", kernel=Kernel.KML, memory_mb=512, cpus=1, cpu_model="max", clock=None)

KERNEL_BUILD = """
import sys
from kmlbench import process
from kmlbench.build import kernel
from kmlbench.cli.main import main
script = "sleep 1000 & echo $! > " + sys.argv[1] + "; wait"
kernel.ensure = lambda *_, **__: process.check(("sh", "-c", script), timeout_s=600)
sys.exit(main(["kernel", "build", "stock"]))
"""


@contextmanager
def campaign(
    directory: Path, *, pairs: int = 1, trial_s: float = LONG_S, cleanup_s: float = 0.0
) -> Iterator[subprocess.Popen[str]]:
    """A campaign in a process of its own, whose long trials have begun."""
    words = (str(directory), str(pairs), str(trial_s), str(cleanup_s))
    with subprocess.Popen(
        (sys.executable, SUPPORT / "interrupt_child.py", *words),
        env={**os.environ, "PYTHONPATH": PYTHONPATH},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        assert child.stdout is not None
        for _ in range(pairs):
            assert child.stdout.readline() == "measuring\n"
        yield child
        child.kill()


def require_nothing_left(directory: Path) -> None:
    deadline = time.monotonic() + GONE_S
    while guests_below(directory):
        assert time.monotonic() < deadline, "a guest still runs"
        time.sleep(0.02)
    assert [path for path in (directory / "results").iterdir() if path.name.startswith(".")] == []
    root = Path(os.environ["XDG_RUNTIME_DIR"]) / "kmlbench" / CLAIMS
    with locks.held(locks.claims_of([GUEST]), root=root, holder="nobody else"):
        pass
    assert list(root.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_once_ends_in_good_order_and_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    with campaign(tmp_path) as child:
        assert len(guests_below(tmp_path)) == 1
        child.send_signal(number)
        _, printed = child.communicate(timeout=GONE_S)
    (directory,) = (path.parent for path in (tmp_path / "results").glob("2*/campaign.json"))
    assert child.returncode == 130
    assert f"`run-benchmark --resume {directory}` resumes it" in printed
    assert "Traceback" not in printed
    require_nothing_left(tmp_path)
    assert (directory / "raw" / "boot-0000" / "dmesg").exists()
    assert len(reader.read_campaign(directory).completed) == 1

    stage(monkeypatch, Playing())
    assert run_benchmark(["--results", str(directory.parent), "--resume", str(directory)]) == 0
    stored = reader.read_campaign(directory)
    assert len(stored.completed) == len(stored.campaign.plan)
    assert [trial.position for trial in stored.resumptions[0].trials] == [1]


def test_pairs_end_the_trials_that_run(tmp_path: Path) -> None:
    with campaign(tmp_path, pairs=2, trial_s=1.0) as child:
        child.send_signal(signal.SIGTERM)
        _, printed = child.communicate(timeout=GONE_S)
    assert child.returncode == 130
    assert "stopping once the running trials have ended" in printed
    require_nothing_left(tmp_path)
    (directory,) = (path.parent for path in (tmp_path / "results").glob("2*/campaign.json"))
    assert len(reader.read_campaign(directory).completed) == 4


def test_twice_ends_at_once_and_leaves_no_guest(tmp_path: Path) -> None:
    """While the trials of two pairs run on, and neither they nor their clean-up will end."""
    with campaign(tmp_path, pairs=2, cleanup_s=LONG_S) as child:
        assert child.stderr is not None
        assert len(guests_below(tmp_path)) == 2
        child.send_signal(signal.SIGINT)
        _read_until(child.stderr, "interrupt again to exit at once")
        assert child.poll() is None
        child.send_signal(signal.SIGINT)
        assert child.wait(timeout=GONE_S) == 130
    require_nothing_left(tmp_path)


def test_a_signal_that_was_ignored_stays_ignored_and_handlers_come_back() -> None:
    """As under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        handlers = [signal.getsignal(number) for number in SIGNALS]
        with interruptible():
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGTERM)
        assert [signal.getsignal(number) for number in SIGNALS] == handlers
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_build_that_is_told_to_end_ends_its_compilers(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    os.mkfifo(pid_file)
    with subprocess.Popen(
        (sys.executable, "-c", KERNEL_BUILD, str(pid_file)), stderr=subprocess.PIPE, text=True
    ) as child:
        compiler = os.pidfd_open(int(pid_file.read_text()))
        child.send_signal(signal.SIGTERM)
        _, printed = child.communicate(timeout=GONE_S)
    assert child.returncode == 130
    assert "kmlbench: interrupted" in printed
    with os.fdopen(compiler) as process:
        assert select.select([process], [], [], GONE_S)[0]


def _read_until(lines: IO[str], word: str) -> None:
    assert any(word in line for line in lines), f"{word!r} was never told"
