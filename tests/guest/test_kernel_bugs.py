# SPDX-License-Identifier: MIT
"""A bug of the kernel itself ends as on a stock kernel, whoever it works for."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from support.guest_programs import run
from support.watched_guest import watched

from kmlbench.errors import HostError
from kmlbench.hosts.qemu import GuestSpec
from kmlbench.model import Prefix
from kmlbench.process import require

# Called by nothing else in a guest.
CALL, FUNCTION = "import os; os.sched_get_priority_max(0)", "__x64_sys_sched_get_priority_max"
STACK_SIZE = 16384
# So far below the stack that the function itself, which pushes nothing, cannot return.
BELOW = 64
GDB_S = 60.0

Disturb = Callable[[str], tuple[bool, str]]

pytestmark = pytest.mark.guest


@contextmanager
def disturbed(socket: Path, vmlinux: Path, order: str) -> Iterator[None]:
    """While the block runs: gdb obeys `order` at the first call of FUNCTION."""
    orders = (
        f"target remote {socket}",
        f"hbreak *{FUNCTION}",
        "continue",
        order,
        "delete",
        "detach",
    )
    argv = [require("gdb"), "-batch", "-nx"]
    for each in orders:
        argv += ["-ex", each]
    with subprocess.Popen([*argv, str(vmlinux)], stdout=subprocess.PIPE, text=True) as gdb:
        assert gdb.stdout
        while "Hardware assisted breakpoint" not in (line := gdb.stdout.readline()):
            assert line, "gdb has ended"
        yield
        gdb.communicate(timeout=GDB_S)


@pytest.fixture(
    params=[("stock", Prefix.USR), ("kml", Prefix.USR), ("kml", Prefix.TRUSTED)],
    ids=lambda cell: f"{cell[0]}:{cell[1]}",
)
def disturb(request: pytest.FixtureRequest, tmp_path: Path) -> Disturb:
    """Has a program run into a bug; returns whether another can run afterwards, and the kernel's log."""
    kernel, prefix = request.param
    spec: GuestSpec = request.getfixturevalue(f"{kernel}_spec")
    spec = replace(spec, command_line=f"{spec.command_line} nokaslr")
    socket = tmp_path / "gdb"
    alive = False

    def with_gdb(argv: tuple[str, ...]) -> tuple[str, ...]:
        return (*argv, "-gdb", f"unix:{socket},server=on,wait=off")

    def disturb(order: str) -> tuple[bool, str]:
        nonlocal alive
        with watched(spec, directory=tmp_path, changed=with_gdb) as (guest, _), suppress(HostError):
            with disturbed(socket, spec.kernel.image.parent / "vmlinux", order):
                assert run(guest, prefix.path("bin/python3"), "-c", CALL).returncode != 0
            alive = run(guest, "true").returncode == 0
        return alive, (tmp_path / "console.log").read_text(errors="replace")

    return disturb


def says(log: str, text: str) -> bool:
    """Whether the log has the text. The console of a dying kernel may say a character twice."""
    return re.search("".join(f"{re.escape(character)}+" for character in text), log) is not None


def test_a_stack_overflow_is_reported_and_is_the_end(disturb: Disturb) -> None:
    alive, log = disturb(f"set $rsp = ((long)$rsp & ~{STACK_SIZE - 1}) - {BELOW}")
    assert says(log, "BUG: TASK stack guard page was hit at")
    assert says(log, f"RIP: 0010:{FUNCTION}+0x"), log
    assert says(log, "Kernel panic - not syncing: Fatal exception in interrupt")
    assert not alive


def test_an_oops_ends_the_program_and_nothing_else(disturb: Disturb) -> None:
    alive, log = disturb("set $rip = 0")
    assert says(log, "BUG: kernel NULL pointer dereference")
    assert says(log, "RIP: 0010:0x0\n"), log
    assert alive, log
