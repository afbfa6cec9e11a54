# SPDX-License-Identifier: MIT
"""What a machine's failure says, from a console log of any length."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import pytest

from kmlbench.hosts.qemu_process import Machine

PANIC = "Kernel panic - not syncing: sysrq triggered crash"
TRACE = "\n".join(f" ? somewhere+{number:#x}/0x400" for number in range(100))


@pytest.mark.parametrize(
    ("log", "times"), [(f"{PANIC}\n{TRACE}\n", 1), (f"{TRACE}\n{PANIC}\n", 1), (TRACE, 0)]
)
def test_a_panic_is_told_however_long_the_trace_behind_it(tmp_path: Path, log: str, times: int) -> None:
    console, other = socket.socketpair()
    (tmp_path / "log").write_text(log)
    (tmp_path / "errors").touch()
    with console, other, subprocess.Popen(["true"]) as process:
        machine = Machine(
            name="kml",
            port=1,
            process=process,
            console=console,
            log=tmp_path / "log",
            errors=tmp_path / "errors",
        )
        text = str(machine.failure("it went away"))
    assert text.startswith("guest kml: it went away")
    assert text.count(PANIC) == times
