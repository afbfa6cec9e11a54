# SPDX-License-Identifier: MIT
"""Non-maskable interrupts at a high rate while programs make system calls, faults and signals."""

import socket
import time
from dataclasses import replace
from pathlib import Path

import pytest
from guests import TIMEOUT_S, check

from kmlbench import commands
from kmlbench.build.kernel import KERNEL
from kmlbench.hosts import qemu
from kmlbench.hosts.qemu import GuestSpec, boot
from kmlbench.hosts.ssh import SshHost
from kmlbench.model import Prefix

PROGRAMS = ("processes", "faults", "registers", "vectors", "sigreturn", "hostile")
PREFIXES = " ".join(prefix.path("lib/kmlbench/nmi") for prefix in Prefix)
OUTPUT, DONE = "/run/nmi.out", "/run/nmi.done"
SCRIPT = (
    f"for round in 1 2 3; do for prefix in {PREFIXES}; do for name in {' '.join(PROGRAMS)}; do "
    f"$prefix/$name nmis; done; done; done > {OUTPUT} 2>&1; touch {DONE}"
)
STORM_S = 60.0
PAUSE_S = 0.002
WANTED = 1000

pytestmark = pytest.mark.guest


def storm(monitor: Path) -> None:
    """QEMU's monitor injects one NMI after another."""
    end = time.monotonic() + STORM_S
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(monitor))
        while time.monotonic() < end:
            connection.sendall(b"nmi\n")
            connection.recv(65536)
            time.sleep(PAUSE_S)


def nmis(guest: SshHost) -> int:
    (line,) = [line for line in check(guest, "cat", "/proc/interrupts").splitlines() if "NMI:" in line]
    return sum(int(word) for word in line.split() if word.isdigit())


@pytest.mark.parametrize("kernel", ["stock", "kml"])
def test_programs_and_kernel_survive_a_storm_of_nmis(
    kernel: str, request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec: GuestSpec = request.getfixturevalue(f"{kernel}_spec")
    # Nobody claims these NMIs. Said on a console, that is more than even the stock kernel can take.
    spec = replace(spec, command_line=f"{spec.command_line} loglevel=0")
    monitor = tmp_path / "monitor"
    plain = qemu.qemu_argv
    monkeypatch.setattr(
        qemu,
        "qemu_argv",
        lambda spec, *, port, console: (
            *plain(spec, port=port, console=console),
            "-monitor",
            f"unix:{monitor},server=on,wait=off",
        ),
    )
    commands.check(("make", "-C", str(KERNEL / "tests"), f"OUT={tmp_path}"), timeout_s=TIMEOUT_S)

    with boot(spec, directory=tmp_path) as guest:
        for prefix in Prefix:
            check(guest, "mkdir", "-p", prefix.path("lib/kmlbench/nmi"))
            for name in PROGRAMS:
                program = prefix.path(f"lib/kmlbench/nmi/{name}")
                guest.put(tmp_path / name, program)
                check(guest, "chmod", "755", program)
        check(guest, "sh", "-c", f"setsid sh -c '{SCRIPT}' < /dev/null > /dev/null 2>&1 &")
        storm(monitor)
        check(guest, "sh", "-c", f"until [ -e {DONE} ]; do sleep 1; done")
        lines = check(guest, "cat", OUTPUT).splitlines()
        assert sum(line.startswith("ok ") for line in lines) > len(PROGRAMS)
        assert not [line for line in lines if line.startswith("not ok")], lines
        assert nmis(guest) > WANTED
        log = check(guest, "dmesg")
        assert not [
            line for line in log.splitlines() if "BUG:" in line or "WARNING:" in line or "Oops" in line
        ]
