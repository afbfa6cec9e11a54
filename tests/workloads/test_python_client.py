# SPDX-License-Identifier: MIT
"""The second client's random numbers, statements and pace, without a server."""

from __future__ import annotations

import itertools
import json
import runpy
import subprocess
import sys
import time
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
from generator import Generator, libc_random
from mixes import events
from support.paths import DATA

from kmlbench.paths import WORKLOADS
from kmlbench.workloads.files import read_data
from kmlbench.workloads.oltp import mixes

MIXES = read_data("oltp/mixes.toml")
LOGGED: dict[str, Any] = json.loads((DATA / "workloads" / "general-log.json").read_text())


@pytest.mark.parametrize("seed", [1, 7, 2**31 - 1])
def test_the_seeding_numbers_are_libcs(seed: int) -> None:
    code = f"import ctypes; c = ctypes.CDLL(None); c.srandom({seed}); print(*(c.random() for _ in range(40)))"
    text = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert list(itertools.islice(libc_random(seed), 40)) == [int(word) for word in text.stdout.split()]


def test_numbers_and_texts_stay_in_their_range() -> None:
    generator = Generator(3)
    numbers = [generator.uniform(1, 3) for _ in range(300)]
    assert {1, 2, 3} == set(numbers)
    text = generator.text("##-##")
    assert text[2] == "-"
    assert (text[:2] + text[3:]).isdigit()


@pytest.mark.parametrize("mix", LOGGED["statements"])
def test_the_stream_is_what_the_server_logged_of_sysbench(mix: str) -> None:
    logged = LOGGED["statements"][mix]
    stream = itertools.chain.from_iterable(events(MIXES, mix, LOGGED["seed"], LOGGED["events"]))
    assert [statement.strip() for statement in stream] == logged


def test_every_mix_was_logged() -> None:
    assert LOGGED["statements"].keys() == mixes().keys()


@pytest.mark.parametrize("mix", [name for name, mix in mixes().items() if mix.statements])
def test_a_mix_has_as_many_statements_as_it_says(mix: str) -> None:
    for statements in events(MIXES, mix, 11, 5):
        assert len(statements) == mixes()[mix].statements
        assert sum(statement.startswith("SELECT") for statement in statements) == mixes()[mix].reads


def test_bulk_statements_are_cut_where_sysbench_cuts_them() -> None:
    """Lengths and last rows as a server's general log had them for 100,000 events."""
    sent = list(itertools.chain.from_iterable(events(MIXES, "bulk_insert", 7, 100_000)))
    assert [len(statement) for statement in sent] == [524_275, 524_283, 329_307]
    assert [statement.rpartition(",(")[2] for statement in sent] == [
        "39033,39033)",
        "76480,76480)",
        "100000,100000)",
    ]


class Sleepy:
    """A client whose second event is late."""

    def __init__(self) -> None:
        self.sent = 0

    def send(self, statement: str) -> int:
        self.sent += 1
        time.sleep(0.2 if self.sent == 2 else 0.0)
        return len(statement)

    def report(self, events_done: int, seconds: float) -> None:
        print(f"pymysql: time_total {seconds:.9f} of {events_done}")


def test_a_late_event_delays_the_intended_time_of_the_next(capsys: pytest.CaptureFixture[str]) -> None:
    program = runpy.run_path(str(WORKLOADS / "client" / "__main__.py"))
    program["oltp"](Sleepy(), Namespace(mix="point_select", seed=1, events=4, pace=20.0, warm_up=0, window=0))
    lines = capsys.readouterr().out.splitlines()
    service = [int(line.split()[2]) for line in lines if line.startswith("pymysql: service ")]
    intended = [int(line.split()[2]) for line in lines if line.startswith("pymysql: intended ")]
    assert sum(nanoseconds > 100_000_000 for nanoseconds in service) == 1
    # The one that was slow, and the two that should have begun meanwhile: after 50 and 100 ms.
    assert sum(nanoseconds > 80_000_000 for nanoseconds in intended) == 3


def test_windows_are_marked_back_to_back_and_the_last_is_ended(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program = runpy.run_path(str(WORKLOADS / "client" / "__main__.py"))
    marked: list[tuple[int, int, int]] = []
    at = 0

    def mark(self: object, kind: int, number: int = 0) -> None:
        del self
        marked.append((at, int(kind), number))

    monkeypatch.setattr(program["Marks"], "mark", mark)
    monkeypatch.setenv("KMLBENCH_MAPS", str(tmp_path / "maps"))
    windows = program["Windows"](2, 3, 9)
    for at in range(10):
        windows.at(at)
    # The ninth event is in no window: one more does not fit.
    assert marked == [(2, 2, 0), (5, 2, 1), (8, 0, 0)]
    assert "python" in (tmp_path / "maps").read_text()


class Beside:
    """A connection that keeps what it is sent, to a server with so many of the variables asked for."""

    def __init__(self, variables: int) -> None:
        self.sent: list[str] = []
        self._variables = variables

    def cursor(self) -> Beside:
        return self

    def __enter__(self) -> Beside:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def execute(self, statement: str) -> int:
        self.sent.append(statement)
        return self._variables


FREQUENCY = "SET GLOBAL innodb_purge_rseg_truncate_frequency = "


@pytest.mark.parametrize(("variables", "last"), [(1, f"{FREQUENCY}DEFAULT"), (0, "DO 0")])
def test_the_purge_is_a_window_that_ends_when_the_server_is_at_rest(
    monkeypatch: pytest.MonkeyPatch, variables: int, last: str
) -> None:
    """Of a server that works for a second, pauses for two moments, and works for another second.

    It works before the load, too, and then again.
    """
    now_s = loaded_s = 0.0
    marked: list[tuple[float, int]] = []

    def sleep(seconds: float) -> None:
        nonlocal now_s
        now_s += seconds

    def used(clock: int) -> float:
        assert clock == ~77 << 3 | 2
        since_s = now_s - loaded_s
        return min(since_s, 1.0) + min(max(0.0, since_s - 1.02), 1.0) + 0.01 * since_s

    class Marks:
        def mark(self, kind: int) -> None:
            marked.append((now_s, int(kind)))

    monkeypatch.setattr(time, "monotonic", lambda: now_s)
    monkeypatch.setattr(time, "sleep", sleep)
    monkeypatch.setattr(time, "clock_gettime", used)
    monkeypatch.setenv("KMLBENCH_SERVER_PID", "77")
    purge = runpy.run_path(str(WORKLOADS / "client" / "purge.py"))
    connection = Beside(variables)
    with purge["purging_afterwards"](connection, Marks()):
        assert connection.sent[-1] == "FLUSH TABLES kmlbench_purge FOR EXPORT"
        assert 2.02 < now_s < 2.1
        assert not marked
        loaded_s = now_s
    (begun_s, begin), (ended_s, end) = marked
    assert (begin, end) == (4, 0)
    assert begun_s == loaded_s
    assert 2.02 < ended_s - loaded_s < 2.1
    purged = ["UNLOCK TABLES", last.replace("DEFAULT", "1"), "UPDATE kmlbench_purge SET n = n + 1", last]
    assert connection.sent[-4:] == purged


def test_without_the_library_of_marks_nothing_happens() -> None:
    marks = runpy.run_path(str(WORKLOADS / "client" / "marks.py"))
    marks["Marks"]("/no/such/library.so").mark(marks["Kind"].MEASURED, 1)
