# SPDX-License-Identifier: MIT
"""Non-maskable interrupts at a high rate while programs make system calls, faults and signals."""

import time
from dataclasses import replace
from pathlib import Path

import pytest
from support.guest_programs import check, install, require_quiet
from support.watched_guest import Monitor, watched

from kmlbench.hosts.qemu import GuestSpec
from kmlbench.hosts.ssh import SshHost
from kmlbench.model import Prefix

PROGRAMS = ("processes", "faults", "registers", "vectors", "sigreturn", "hostile")
PREFIXES = " ".join(prefix.path("lib/kmlbench/tests") for prefix in Prefix)
OUTPUT, DONE = "/run/nmi.out", "/run/nmi.done"
SCRIPT = (
    f"for round in 1 2 3; do for prefix in {PREFIXES}; do for name in {' '.join(PROGRAMS)}; do "
    f"$prefix/$name nmis; done; done; done > {OUTPUT} 2>&1; touch {DONE}"
)
STORM_S = 60.0
PAUSE_S = 0.002
WANTED = 1000

pytestmark = pytest.mark.guest


def storm(monitor: Monitor) -> None:
    """QEMU's monitor injects one NMI after another."""
    end = time.monotonic() + STORM_S
    while time.monotonic() < end:
        monitor.nmi()
        time.sleep(PAUSE_S)


def nmis(guest: SshHost) -> int:
    (line,) = [line for line in check(guest, "cat", "/proc/interrupts").splitlines() if "NMI:" in line]
    return sum(int(word) for word in line.split() if word.isdigit())


@pytest.mark.parametrize("kernel", ["stock", "kml"])
def test_programs_and_kernel_survive_a_storm_of_nmis(
    kernel: str, request: pytest.FixtureRequest, kernel_programs: Path, tmp_path: Path
) -> None:
    spec: GuestSpec = request.getfixturevalue(f"{kernel}_spec")
    # Nobody claims these NMIs. Said on a console, that is more than even the stock kernel can take.
    spec = replace(spec, command_line=f"{spec.command_line} loglevel=0")
    with watched(spec, directory=tmp_path) as (guest, monitor):
        install(guest, kernel_programs, PROGRAMS)
        check(guest, "sh", "-c", f"setsid sh -c '{SCRIPT}' < /dev/null > /dev/null 2>&1 &")
        storm(monitor)
        check(guest, "sh", "-c", f"until [ -e {DONE} ]; do sleep 1; done")
        lines = check(guest, "cat", OUTPUT).splitlines()
        assert sum(line.startswith("ok ") for line in lines) > len(PROGRAMS)
        assert not [line for line in lines if line.startswith("not ok")], lines
        assert nmis(guest) > WANTED
        require_quiet(guest)
