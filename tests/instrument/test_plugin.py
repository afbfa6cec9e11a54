# SPDX-License-Identifier: MIT
"""Tests of the plugin itself with a guest whose instructions are known (test_guest.S), a second each.

`conftest.py` builds what they need.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections import Counter
from pathlib import Path

import pytest
from support.instrument import BUILT, CLOCKS, DEADLINE_S, EXIT, QEMUS, argv, run

from kmlbench.instrument.profile import census
from kmlbench.instrument.reader import read_file
from kmlbench.instrument.recording import Recording, Window
from kmlbench.workloads.metrics import COSTLY


def record(qemu: str, output: Path, *more: str, plugin: str = "") -> Recording:
    done = run(qemu, f"output={output}{plugin}", *EXIT, *more)
    assert (done.returncode, done.stderr) == (1, "")
    return read_file(output)


def by_task_and_side(window: Window) -> list[tuple[str, int]]:
    sums: Counter[tuple[int, str]] = Counter()
    for task, block, count in window.executed():
        sums[task, "kernel" if block.kernel else "user"] += count * len(block.lengths)
    return sorted((side, number) for (_, side), number in sums.items())


def test_the_decoder_knows_its_instructions() -> None:
    subprocess.run((Path(os.environ[BUILT]) / "test_decode",), check=True, timeout=DEADLINE_S)


@pytest.mark.parametrize("qemu", QEMUS)
@pytest.mark.parametrize("clock", CLOCKS)
def test_counts_are_those_of_the_source(qemu: str, clock: str, tmp_path: Path) -> None:
    # Until QEMU has really ended, the guest may go on.
    windows = record(qemu, tmp_path / "windows", *CLOCKS[clock]).windows[:4]
    titles = [(w.section, w.ordinal, w.kind, w.number, w.switches, w.cause) for w in windows]
    assert titles == [
        (0, 0, 1, 0, 0, "mark"),
        (0, 1, 2, 7, 2, "next"),
        (0, 2, 3, 255, 0, "next"),
        (5, 3, 2, 4095, 0, "mark"),
    ]
    assert by_task_and_side(windows[0]) == [("kernel", 2001 + 2)]
    assert windows[0].executions.keys() == {0}
    assert by_task_and_side(windows[1]) == [
        ("kernel", 3 + 21 + 2 + 11 + 2),
        ("kernel", 201 + 3),
        ("user", 201 + 2),
    ]
    assert windows[1].task in windows[1].executions
    assert windows[2].total == 3 + 2
    assert windows[3].total == 2


@pytest.mark.parametrize("qemu", QEMUS)
def test_every_class_of_costly_instructions_is_a_metric(qemu: str, tmp_path: Path) -> None:
    assert record(qemu, tmp_path / "windows").costly == COSTLY


@pytest.mark.parametrize("qemu", QEMUS)
def test_census(qemu: str, tmp_path: Path) -> None:
    counts = census(record(qemu, tmp_path / "windows").windows[1], {})
    assert counts == {
        ("other", "kernel", name): count
        for name, count in {
            **{"lfence": 2, "pause": 1, "rdtsc": 1, "rdmsr": 1, "mov_from_cr": 1, "lock": 1},
            **{"swapgs": 2, "jmp_indirect": 1},
        }.items()
    } | {("other", "user", "jmp_indirect"): 1}


@pytest.mark.parametrize("qemu", QEMUS)
def test_code(qemu: str, tmp_path: Path) -> None:
    recording = record(qemu, tmp_path / "windows", plugin=",code=on")
    codes = {block.code for block in recording.blocks}
    assert bytes.fromhex("ffc975fc") in codes
    assert None not in codes


@pytest.mark.parametrize("qemu", QEMUS)
def test_recordings_repeat(qemu: str, tmp_path: Path) -> None:
    for name in ("a", "b"):
        record(qemu, tmp_path / name, *CLOCKS["icount"])
    first, second = ((tmp_path / name).read_bytes().split(b"end 3")[0] for name in ("a", "b"))
    assert first == second


@pytest.mark.parametrize("qemu", QEMUS)
def test_the_guest_executes_the_same_with_and_without_the_plugin(qemu: str, tmp_path: Path) -> None:
    text = []
    for name in ("with", "without"):
        messages = tmp_path / name
        port = ("-chardev", f"file,id=m,path={messages}", "-device", "isa-debugcon,iobase=0xe9,chardev=m")
        command = argv(qemu, f"output={tmp_path / 'windows'}", *EXIT, *CLOCKS["icount"], *port)
        if name == "without":
            at = command.index("-plugin")
            del command[at : at + 2]
        assert subprocess.run(command, timeout=DEADLINE_S, check=False).returncode == 1
        text.append(int.from_bytes(messages.read_bytes(), "little"))
    assert text[0] == text[1]
    # It counts: the loops alone are thousands.
    assert text[0] > 2000


@pytest.mark.parametrize("qemu", QEMUS)
def test_a_kill_loses_nothing_that_was_finished(qemu: str, tmp_path: Path) -> None:
    output = tmp_path / "windows"
    with subprocess.Popen(argv(qemu, f"output={output}")) as process:
        deadline = time.monotonic() + DEADLINE_S
        while not (output.exists() and b"\nbegin 4 " in output.read_bytes()):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.kill()
    recording = read_file(output)
    assert not recording.ended
    assert [window.complete for window in recording.windows] == [True, True, True, True, False]


@pytest.mark.parametrize("qemu", QEMUS)
def test_the_end_of_qemu_ends_a_window(qemu: str, tmp_path: Path) -> None:
    output = tmp_path / "windows"
    with subprocess.Popen(argv(qemu, f"output={output}")) as process:
        deadline = time.monotonic() + DEADLINE_S
        while not (output.exists() and b"\nbegin 4 " in output.read_bytes()):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.terminate()
    recording = read_file(output)
    assert recording.ended
    last = recording.windows[-1]
    assert (last.cause, last.complete) == ("exit", False)
    assert last.total == last.parts() > 0


@pytest.mark.parametrize("qemu", QEMUS)
def test_probe(qemu: str) -> None:
    done = run(qemu, "probe=on")
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["plugin"], answer["format"]) == (0, "kmlbench-windows", 1)
    assert (answer["api"], answer["backend"]) in {(1, "cells"), (4, "scoreboards")}
    assert answer["control"] is True


@pytest.mark.parametrize("qemu", QEMUS)
@pytest.mark.parametrize(
    ("plugin", "message"),
    [
        ("code=on", "output=FILE is missing"),
        ("output=", "the arguments are"),
        ("output=/nonexistent/file", "cannot write /nonexistent/file"),
        ("output=/dev/null,code=perhaps", "the arguments are"),
        ("output=/dev/null,size=3", "the arguments are"),
        ("output=/dev/null,control=", "the arguments are"),
        ("output=/dev/null,control=3x", "the arguments are"),
        ("output=/dev/null,control=-1", "the arguments are"),
        ("output=/dev/null,control=2", "control= is no descriptor of a socket"),
        ("output=/dev/null,control=999", "control= is no descriptor of a socket"),
    ],
)
def test_bad_arguments_are_refused(qemu: str, plugin: str, message: str) -> None:
    done = run(qemu, plugin, *EXIT)
    assert done.returncode == 1
    assert f"kmlbench-windows: {message}" in done.stderr


@pytest.mark.parametrize("qemu", QEMUS)
def test_cpus_in_one_thread_are_refused(qemu: str) -> None:
    done = run(qemu, "output=/dev/null", *EXIT, "-smp", "2", *CLOCKS["icount"])
    assert done.returncode == 1
    assert "give the guest one CPU" in done.stderr


@pytest.mark.parametrize("qemu", QEMUS)
def test_cpus_in_threads_are_counted_or_refused(qemu: str, tmp_path: Path) -> None:
    output = tmp_path / "windows"
    done = run(qemu, f"output={output}", *EXIT, "-smp", "2", accelerator="tcg,thread=multi")
    if "cannot tell CPUs apart" in done.stderr:
        assert not output.exists()
        return
    recording = read_file(output)
    assert recording.cpus == 2
    # The second CPU waits, in the firmware and as no task.
    window = recording.windows[1]
    window.executions.pop(0, None)
    assert window.parts() == 39 + 204 + 203


@pytest.mark.parametrize("qemu", QEMUS)
def test_a_full_disk_is_told(qemu: str) -> None:
    done = run(qemu, "output=/dev/full", *EXIT)
    assert "the output ends here" in done.stderr
