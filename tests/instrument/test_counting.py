# SPDX-License-Identifier: MIT
"""Tests of the plugin that counts on demand, with the guest of test_plugin.py, which never idles."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.instrument import CLOCKS, DEADLINE_S, QEMUS, argv, run

from kmlbench.hosts.counting import conversation, counted
from kmlbench.instrument.reader import read_file
from kmlbench.instrument.recording import Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Guest:
    """A running test guest, which makes its windows again when told to."""

    windows: Path
    messages: Path
    serial: socket.socket
    control: socket.socket

    def run_again(self) -> None:
        """Returns when it has made all windows but the last, which it leaves open."""
        before = self.times_run()
        self.serial.send(b"r")
        wait(lambda: self.times_run() > before)

    def started(self) -> None:
        wait(lambda: self.times_run() > 0)

    def in_a_window(self) -> bool:
        return self.windows.read_bytes().rpartition(b"\n")[0].rpartition(b"\n")[2].startswith(b"begin ")

    def times_run(self) -> int:
        """Four bytes each time."""
        return self.messages.stat().st_size // 4 if self.messages.exists() else 0


def wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@contextmanager
def guest(qemu: str, directory: Path, *more: str, asleep: bool = True) -> Iterator[Guest]:
    with ExitStack() as stack:
        control, qemus_control = map(stack.enter_context, conversation())
        serial, qemus_serial = map(stack.enter_context, socket.socketpair())
        result = Guest(
            windows=directory / "windows",
            messages=directory / "messages",
            serial=serial,
            control=control,
        )
        options = f"output={result.windows}" + (f",control={qemus_control.fileno()}" if asleep else "")
        command = argv(
            *(qemu, options, *more),
            *(
                "-chardev",
                f"file,id=m,path={result.messages}",
                "-device",
                "isa-debugcon,iobase=0xe9,chardev=m",
            ),
            *("-chardev", f"socket,id=s,fd={qemus_serial.fileno()}", "-serial", "chardev:s"),
        )
        inherited = (qemus_control.fileno(), qemus_serial.fileno())
        process = stack.enter_context(subprocess.Popen(command, pass_fds=inherited))
        stack.callback(process.terminate)
        qemus_control.close()
        qemus_serial.close()
        result.started()
        yield result


def facts(window: Window) -> tuple[object, ...]:
    """All but where it is in the recording and what its blocks are called."""
    counts = sorted((task, block.address, block.lengths, count) for task, block, count in window.executed())
    return (window.kind, window.number, window.task, window.total, window.switches, window.cause, counts)


@pytest.mark.parametrize("qemu", QEMUS)
@pytest.mark.parametrize("clock", CLOCKS)
def test_what_is_counted_late_is_what_is_counted_from_the_start(
    qemu: str, clock: str, tmp_path: Path
) -> None:
    (tmp_path / "start").mkdir()
    with guest(qemu, tmp_path / "start", *CLOCKS[clock], asleep=False) as always:
        wait(lambda: b"\nbegin 4 " in always.windows.read_bytes())
    from_the_start = read_file(always.windows).windows[:4]
    assert [window.total for window in from_the_start] == [2003, 39 + 204 + 203, 5, 2]

    with guest(qemu, tmp_path, *CLOCKS[clock]) as late:
        assert b"begin" not in late.windows.read_bytes()
        for _ in range(3):
            with counted(late.control):
                late.run_again()
                wait(late.in_a_window)
            late.run_again()
    windows = read_file(late.windows).windows
    for begin in (0, 5, 10):
        assert [facts(window) for window in windows[begin : begin + 4]] == list(map(facts, from_the_start))
        # The guest was in this one when the plugin was sent to sleep.
        assert (windows[begin + 4].cause, windows[begin + 4].complete) == ("sleep", False)
    assert len(windows) == 15


@pytest.mark.parametrize("qemu", QEMUS)
def test_a_recording_with_pauses_ends_in_order(qemu: str, tmp_path: Path) -> None:
    with guest(qemu, tmp_path) as late, counted(late.control):
        late.run_again()
    recording = read_file(late.windows)
    assert recording.ended
    assert recording.windows[-1].total == recording.windows[-1].parts() > 0


@pytest.mark.parametrize("qemu", QEMUS)
def test_many_words_do_no_harm(qemu: str, tmp_path: Path) -> None:
    with guest(qemu, tmp_path) as late:
        for number in range(100):
            with counted(late.control):
                if number % 10 == 0:
                    late.serial.send(b"r")
        wait(lambda: late.times_run() == 11)
        with counted(late.control):
            late.run_again()
    windows = read_file(late.windows).windows
    # A window of this guest that no sleep cut has as many instructions as each time.
    assert {w.total for w in windows if w.complete and (w.kind, w.number) == (2, 7)} == {39 + 204 + 203}
    assert all(window.total == window.parts() for window in windows)


@pytest.mark.parametrize("qemu", QEMUS)
def test_a_word_said_twice_or_unknown_changes_nothing(qemu: str, tmp_path: Path) -> None:
    with guest(qemu, tmp_path) as late:
        answers = []
        for word in (b"sleep", b"count", b"count", b"dream"):
            late.control.send(word)
            answers.append(late.control.recv(100).decode())
        late.run_again()
    assert answers == ["asleep", "counting", "counting", "the words are count and sleep"]
    assert [facts(w)[3] for w in read_file(late.windows).windows[:4]] == [2003, 39 + 204 + 203, 5, 2]


@pytest.mark.parametrize("qemu", QEMUS)
def test_several_cpus_cannot_be_counted_on_demand(qemu: str) -> None:
    done = run(qemu, "output=/dev/null,control=0", "-smp", "2")
    assert done.returncode == 1
    assert "one CPU" in done.stderr
