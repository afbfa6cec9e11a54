# SPDX-License-Identifier: MIT
"""What a connection must survive, or end at once: floods, silence, a break, and a clock that jumps."""

from __future__ import annotations

import ast
import itertools
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.faulty_ssh_server import Server, serving

import kmlbench
from kmlbench.errors import CommandTimeout, HostError
from kmlbench.hosts import ssh
from kmlbench.hosts.ssh import SshHost

MEGABYTE = 1 << 20
HOUR_S = 3600.0
LATE_S = 0.5
Served = tuple[SshHost, Server]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving(tmp_path) as server:
        yield server


@pytest.mark.slow
def test_much_output_on_both_streams_does_not_block(served: Served) -> None:
    """100 MB, and a stream that is not read blocks the other."""
    host, _ = served
    half = 50 * MEGABYTE
    result = host.run(("flood", str(half)), timeout_s=60)
    assert (len(result.stdout), len(result.stderr)) == (half, half)


def test_a_command_that_never_ends_meets_its_deadline_and_the_host_lives(served: Served) -> None:
    host, _ = served
    started = time.monotonic()
    with pytest.raises(CommandTimeout, match=r"`hang` did not end within 0\.3 s"):
        host.run(("hang",), timeout_s=0.3)
    assert time.monotonic() - started < 10
    assert host.run(("still", "here"), timeout_s=10).stdout == "still here"


def test_a_connection_that_breaks_is_a_lost_host_at_once(served: Served) -> None:
    host, _ = served
    started = time.monotonic()
    for command in ("drop", "anything"):
        with pytest.raises(HostError, match="played went away") as caught:
            host.run((command,), timeout_s=60)
        assert not isinstance(caught.value, CommandTimeout)
    assert time.monotonic() - started < 10


def test_a_host_that_does_not_answer_any_more_is_given_up(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    host, server = served
    monkeypatch.setattr(ssh, "OPEN_TIMEOUT_S", 0.3)
    server.late_s = 60.0
    started = time.monotonic()
    with pytest.raises(HostError, match="went away while it ran `true`"):
        host.run(("true",), timeout_s=60)
    assert time.monotonic() - started < 10


@pytest.mark.slow
@pytest.mark.parametrize("jump_s", [HOUR_S, -HOUR_S])
def test_a_clock_that_jumps_ends_nothing_and_prolongs_nothing(
    served: Served, monkeypatch: pytest.MonkeyPatch, jump_s: float
) -> None:
    """The clock of the machine jumps each time that somebody looks at it."""
    host, server = served
    jumps = itertools.count(1)
    now = time.time
    monkeypatch.setattr(time, "time", lambda: now() + next(jumps) * jump_s)
    server.late_s = LATE_S
    started = time.monotonic()
    result = host.run(("flood", str(MEGABYTE)), timeout_s=20)
    assert len(result.stdout) == MEGABYTE
    assert LATE_S <= result.elapsed_s < 20
    with pytest.raises(CommandTimeout):
        host.run(("hang",), timeout_s=0.3)
    assert time.monotonic() - started < 20


@pytest.mark.slow
def test_nothing_is_measured_or_waited_for_by_a_clock_that_may_jump() -> None:
    """time.time and its kind are for names of moments only, and those come from datetime."""
    package = Path(kmlbench.__file__).parent
    for path in package.rglob("*.py"):
        used = {ast.unparse(node) for node in ast.walk(ast.parse(path.read_text()))}
        assert not used & {"time.time", "time.time_ns", "from time import time"}, path
