# SPDX-License-Identifier: MIT
"""What the instrument recorded of a trial is read from its raw output, on any machine."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from kmlbench.errors import InputError, TrialError
from kmlbench.instrument.subsystems import subsystem
from kmlbench.model import CommandResult, Process
from kmlbench.results import recording
from kmlbench.results.reader import GUEST, MEASURED, WINDOWS
from kmlbench.workloads.base import MarkKind, Marks, Work
from kmlbench.workloads.getpid import Getpid

CLIENT, SERVER, KTHREAD = 0xFFFF888001000000, 0xFFFF888002000000, 0xFFFF888003000000
TEXT = 0xFFFFFFFF9A200000
# Block 1 is in the kernel's `entry` with a SYSCALL, 2 in its `body`, 3 in the client, 4 in the server.
BLOCKS = f"b 1 {TEXT:x} 12 1:1\nb 2 {TEXT + 0x20:x} 222 -\nb 3 401010 5f -\nb 4 7f0000001000 1 -\n"


def window(ordinal: int, *, kind: int, number: int, calls: int, cause: str = "next") -> str:
    total = calls * (2 + 2 + 3 + 1) + 3
    return (
        f"begin {ordinal} {kind} {number} 0 {CLIENT:x}\n{BLOCKS if ordinal == 0 else ''}"
        f"c {CLIENT:x} 1 {calls} 3 {calls}\nc {SERVER:x} 2 {calls} 4 {calls}\nc {KTHREAD:x} 2 1\n"
        f"end {ordinal} {total} 2 {cause}\n"
    )


HEAD = "kmlbench-windows 1\nqemu 1 1\ncostly syscall sysret\nsection 0\n"
RECORDED = HEAD + "".join(
    (
        window(0, kind=1, number=0, calls=1000),
        window(1, kind=2, number=1, calls=10),
        window(2, kind=2, number=1, calls=30),
        window(3, kind=2, number=2, calls=8),
        window(4, kind=2, number=2, calls=8, cause="exit"),
    )
)
MAPS = {
    "client": {"maps": "00401000-0048c000 r-xp 00001000 00:02 5 /trusted/bin/client\n"},
    "server": {"maps": "7f0000000000-7f0000002000 r-xp 00000000 00:02 6 /usr/sbin/a server\n"},
}


@dataclass(frozen=True)
class Program(Getpid):
    """A program that calls 10 times in the windows of one mark, and once in those of another."""

    def marks(self, results: Sequence[CommandResult]) -> Marks:
        del results
        call, other = Work(name="call", units=10), Work(name="other call", units=1)
        return {(MarkKind.MEASURED, 1): call, (MarkKind.MEASURED, 2): other}


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    trial = tmp_path / "0000-kml-trusted-program"
    trial.mkdir()
    (trial / WINDOWS).write_bytes(gzip.compress(RECORDED.encode()))
    (trial / MEASURED).write_text(json.dumps(MAPS))
    (trial / GUEST).write_text(json.dumps({"text": f"{TEXT:x}", "functions": "kernel-kml.gz"}))
    functions = "81000000 T _text\n81000000 T entry\n81000020 t body.isra.0\n81001000 B _end\n"
    (tmp_path / "kernel-kml.gz").write_bytes(gzip.compress(functions.encode()))
    (tmp_path / "functions-client.gz").write_bytes(gzip.compress(b"2000\n1000 main\n"))
    return trial


def read(raw: Path) -> recording.TrialRecording:
    result = recording.read_trial(raw, Program(), ())
    assert result is not None
    return result


def test_a_round_is_one_unit_of_each_kind_of_work(raw: Path) -> None:
    # Windows of 10 and of 30 calls, for 10 units each, are 2 calls a unit; the other kind has 8.
    assert read(raw).sides() == {
        ("client", "kernel"): 2 * (2 + 8),
        ("client", "user"): 2 * (2 + 8),
        ("server", "kernel"): 3 * (2 + 8),
        ("server", "user"): 1 * (2 + 8),
        ("other", "kernel"): pytest.approx(3 * (2 / 20 + 1)),
    }


def test_warm_up_and_a_window_that_was_cut_off_are_left_out(raw: Path) -> None:
    works = [(row.work.name, sum(row.instructions.values())) for row in read(raw).rows()]
    assert works == [("call", 83), ("call", 243), ("other call", 67)]


def test_samples_of_both_are_the_sum_and_functions_add_up_to_them(raw: Path) -> None:
    result = read(raw)
    samples = {(str(each.process), each.metric): each.value for each in recording.samples(result, "program")}
    assert samples["client", "census_syscall"] == samples["together", "census_syscall"] == 10
    assert samples["client", "instructions"] + samples["server", "instructions"] == 80
    assert samples["together", "instructions"] == 80
    assert samples["together", "instructions_other"] == pytest.approx(3.3)
    sums: defaultdict[str, float] = defaultdict(float)
    for row in result.functions():
        sums[row.process] += round(row.instructions, 6)
    assert (sums["client"], sums["server"]) == (40, 40)


def test_functions_have_names_from_the_record_alone(raw: Path) -> None:
    names = {(row.process, row.object, row.function) for row in read(raw).functions()}
    assert names == {
        ("client", "kernel", "entry"),
        ("client", "client", "main"),
        ("server", "kernel", "body.isra.0"),
        ("server", "a server", "[unknown]"),
        ("other", "kernel", "body.isra.0"),
    }


def test_a_client_without_a_server_has_no_samples_of_both(raw: Path) -> None:
    (raw / MEASURED).write_text(json.dumps({"client": MAPS["client"], "server": None}))
    processes = {sample.process for sample in recording.samples(read(raw), "program")}
    assert processes == {Process.CLIENT}


def test_a_trial_without_a_recording_has_nothing(raw: Path) -> None:
    (raw / WINDOWS).unlink()
    assert recording.read_trial(raw, Program(), ()) is None


@pytest.mark.parametrize("name", [WINDOWS, GUEST, MEASURED])
def test_damage_names_the_trial(raw: Path, name: str) -> None:
    (raw / name).write_bytes(b"{")
    with pytest.raises(InputError, match=raw.name):
        recording.read_trial(raw, Program(), ())


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("do_syscall_64", "entry and exit"),
        ("kml_direct_call", "kernel mode"),
        ("kml_return_site", "entry and exit"),
        ("unix_stream_sendmsg", "sockets and network"),
        ("finish_task_switch.isra.0", "scheduler"),
        ("schedule", "scheduler"),
        ("__virt_addr_valid", "checks of copies"),
        ("rep_movs_alternative", "copying"),
        ("free_huge_zero_fraction_of_nothing", "memory"),
        ("quite_unknown", "other"),
    ],
)
def test_a_function_of_the_kernel_has_a_subsystem(function: str, expected: str) -> None:
    assert subsystem(function) == expected


@dataclass(frozen=True)
class TwoLengths(Getpid):
    """A program that cannot be marked: its shorter runs have mark 1, its longer ones mark 2."""

    def marks(self, results: Sequence[CommandResult]) -> Marks:
        del results
        shorter, longer = Work(name="call", units=10, subtracted=True), Work(name="call", units=30)
        return {(MarkKind.MEASURED, 1): shorter, (MarkKind.MEASURED, 2): longer}


def lengths(raw: Path, *calls: int) -> None:
    """A recording of shorter and longer runs in turn."""
    windows = (
        window(ordinal, kind=2, number=1 + ordinal % 2, calls=each) for ordinal, each in enumerate(calls)
    )
    (raw / WINDOWS).write_bytes(gzip.compress((HEAD + "".join(windows)).encode()))


def test_of_two_lengths_the_longer_less_the_shorter_is_measured(raw: Path) -> None:
    # 110 and 310 calls for 10 and 30 units: 10 a unit, and 10 for the start.
    lengths(raw, 110, 310, 110, 330)
    result = recording.read_trial(raw, TwoLengths(), ())
    assert result is not None
    assert [row.work.units for row in result.rows()] == [20, 20]
    assert [row.instructions["client", "kernel"] for row in result.rows()] == [400, 440]
    assert result.sides()["client", "kernel"] == 2 * (200 + 220) / 40
    # The kernel thread ran as often in both.
    assert {row.process for row in result.functions()} == {"client", "server"}


def test_lengths_that_do_not_differ_fail_the_trial(raw: Path) -> None:
    lengths(raw, 310, 310)
    with pytest.raises(TrialError, match="the longer run is not longer") as caught:
        recording.read_trial(raw, TwoLengths(), ())
    assert "differ more" in caught.value.remedy


def test_a_shorter_run_without_its_longer_one_does_not_count(raw: Path) -> None:
    lengths(raw, 110, 310, 110)
    result = recording.read_trial(raw, TwoLengths(), ())
    assert result is not None
    assert len(list(result.rows())) == 1


def test_where_whole_programs_ran_what_is_nobody_else_s_is_the_client_s(raw: Path) -> None:
    """Its children have mappings that nobody wrote down; the observer's own are known."""
    strange = {"client": MAPS["client"], "server": None}
    (raw / MEASURED).write_text(json.dumps(strange))
    assert {process for process, _ in read(raw).sides()} == {"client", "other"}
    (raw / MEASURED).write_text(json.dumps({**strange, "observer": {"maps": ""}}))
    assert read(raw).sides()["client", "user"] == 2 * (2 + 8) + 1 * (2 + 8)
    (raw / MEASURED).write_text(json.dumps({**strange, "observer": MAPS["server"]}))
    assert read(raw).sides()["client", "user"] == 2 * (2 + 8)
    assert recording.mapped_files(raw) == ["/trusted/bin/client"]
