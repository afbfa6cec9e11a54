# SPDX-License-Identifier: MIT
"""A bug of the kernel itself ends as on a stock kernel, whoever it works for."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from support.guest_programs import run
from support.watched_guest import watched

from kmlbench.errors import HostError
from kmlbench.hosts.qemu import GuestSpec
from kmlbench.hosts.ssh import SshHost
from kmlbench.model import Prefix
from kmlbench.process import require

# Called by nothing else in a guest.
CALL, FUNCTION = "import os; os.sched_get_priority_max(0)", "__x64_sys_sched_get_priority_max"
STACK_SIZE = 16384
# So far below the stack that the function itself, which pushes nothing, cannot return.
BELOW = 64
GDB_S = 60.0

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Debugged:
    """A guest whose processor gdb can stop, and a program of one prefix."""

    guest: SshHost
    directory: Path
    vmlinux: Path
    program: str

    def disturb(self, order: str) -> None:
        """Have the program run into a bug that gdb makes."""
        with suppress(HostError), disturbed(self.directory / "gdb", self.vmlinux, order):
            assert run(self.guest, self.program, "-c", CALL).returncode != 0

    def is_alive(self) -> bool:
        """Whether another program runs."""
        try:
            return run(self.guest, "true").returncode == 0
        except HostError:
            return False

    def console(self) -> str:
        return (self.directory / "console.log").read_text(errors="replace")


@pytest.fixture(
    scope="module",
    params=[("stock", Prefix.USR), ("kml", Prefix.USR), ("kml", Prefix.TRUSTED)],
    ids=lambda cell: f"{cell[0]}:{cell[1]}",
)
def debugged(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Debugged]:
    kernel, prefix = request.param
    spec: GuestSpec = request.getfixturevalue(f"{kernel}_spec")
    spec = replace(spec, command_line=f"{spec.command_line} nokaslr")
    directory = tmp_path_factory.mktemp("debugged")

    def with_gdb(argv: tuple[str, ...]) -> tuple[str, ...]:
        return (*argv, "-gdb", f"unix:{directory / 'gdb'},server=on,wait=off")

    with watched(spec, directory=directory, changed=with_gdb) as (guest, _):
        yield Debugged(
            guest=guest,
            directory=directory,
            vmlinux=spec.kernel.image.parent / "vmlinux",
            program=prefix.path("bin/python3"),
        )


def says(log: str, text: str) -> bool:
    """Whether the log has the text. The console of a dying kernel may say a character twice."""
    return re.search("".join(f"{re.escape(character)}+" for character in text), log) is not None


def test_an_oops_ends_the_program_and_nothing_else(debugged: Debugged) -> None:
    debugged.disturb("set $rip = 0")
    alive, log = debugged.is_alive(), debugged.console()
    assert says(log, "BUG: kernel NULL pointer dereference")
    assert says(log, "RIP: 0010:0x0\n"), log
    assert alive, log


def test_a_stack_overflow_is_reported_and_is_the_end(debugged: Debugged) -> None:
    """The last one: the guest does not survive it."""
    debugged.disturb(f"set $rsp = ((long)$rsp & ~{STACK_SIZE - 1}) - {BELOW}")
    alive, log = debugged.is_alive(), debugged.console()
    assert says(log, "BUG: TASK stack guard page was hit at")
    assert says(log, f"RIP: 0010:{FUNCTION}+0x"), log
    assert says(log, "Kernel panic - not syncing: Fatal exception in interrupt")
    assert not alive
