# SPDX-License-Identifier: MIT
"""A kernel stack that overflows is reported as such, at the function that it overflowed in."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from guests import run
from watching import watched

from kmlbench.commands import require
from kmlbench.errors import HostError
from kmlbench.hosts.qemu import GuestSpec
from kmlbench.model import Prefix

# Called by nothing else in a guest.
CALL, FUNCTION = "import os; os.sched_get_priority_max(0)", "__x64_sys_sched_get_priority_max"
STACK_SIZE = 16384
GDB_S = 60.0

pytestmark = pytest.mark.guest


@contextmanager
def overflowing(socket: Path, vmlinux: Path) -> Iterator[None]:
    """While the block runs: gdb moves RSP to the end of the kernel stack at the first call of FUNCTION."""
    orders = (
        f"target remote {socket}",
        f"hbreak *{FUNCTION}",
        "continue",
        f"set $rsp = (long)$rsp & ~{STACK_SIZE - 1}",
        "delete",
        "detach",
    )
    argv = [require("gdb"), "-batch", "-nx"]
    for order in orders:
        argv += ["-ex", order]
    with subprocess.Popen([*argv, str(vmlinux)], stdout=subprocess.PIPE, text=True) as gdb:
        assert gdb.stdout
        while "Hardware assisted breakpoint" not in (line := gdb.stdout.readline()):
            assert line, "gdb has ended"
        yield
        gdb.communicate(timeout=GDB_S)


@pytest.mark.parametrize(
    ("kernel", "prefix"), [("stock", Prefix.USR), ("kml", Prefix.USR), ("kml", Prefix.TRUSTED)]
)
def test_an_overflow_is_reported(
    kernel: str, prefix: Prefix, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    spec: GuestSpec = request.getfixturevalue(f"{kernel}_spec")
    spec = replace(spec, command_line=f"{spec.command_line} nokaslr")
    socket = tmp_path / "gdb"

    def with_gdb(argv: tuple[str, ...]) -> tuple[str, ...]:
        return (*argv, "-gdb", f"unix:{socket},server=on,wait=off")

    # The stock kernel panics after its report, and nobody answers any more.
    with (
        watched(spec, directory=tmp_path, changed=with_gdb) as (guest, _),
        overflowing(socket, spec.kernel.image.parent / "vmlinux"),
        suppress(HostError),
    ):
        assert run(guest, prefix.path("bin/python3"), "-c", CALL).returncode != 0
    log = (tmp_path / "console.log").read_text(errors="replace")
    assert "BUG: TASK stack guard page was hit at" in log
    (where,) = {line.partition("RIP: 0010:")[2].strip() for line in log.splitlines() if "RIP: 0010:" in line}
    assert where.startswith(FUNCTION), log
