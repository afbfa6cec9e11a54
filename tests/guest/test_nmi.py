# SPDX-License-Identifier: MIT
"""Non-maskable interrupts at a high rate while programs make system calls, faults and signals."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from support.guest_programs import check, install, require_quiet, run
from support.watched_guest import Monitor, watched

from kmlbench.hosts.qemu import GuestSpec
from kmlbench.hosts.ssh import SshHost
from kmlbench.model import Prefix

PROGRAMS = ("processes", "faults", "registers", "vectors", "sigreturn", "hostile")
# A prefix means nothing to the stock kernel.
PREFIXES = {"stock": (Prefix.USR,), "kml": tuple(Prefix)}
# Each program once below a storm; a long one is a soak.
SCRIPT = f"for directory; do for name in {' '.join(PROGRAMS)}; do $directory/$name nmis; done; done"
ROUNDS = [1, pytest.param(10, marks=pytest.mark.soak)]
PAUSE_S = 0.002
LONGEST_S = 300.0
WANTED = 150

pytestmark = pytest.mark.guest


@contextmanager
def storm(monitor: Monitor) -> Iterator[None]:
    """While the block runs, QEMU's monitor injects one NMI after another.

    In between, the guest has some time for itself, also on a busy machine: or it would do nothing else.
    """
    over = threading.Event()

    def inject() -> None:
        end, last = time.monotonic() + LONGEST_S, 0.0
        while not over.wait(PAUSE_S) and time.monotonic() < end:
            if monitor.cpu_s() >= last + PAUSE_S:
                monitor.nmi()
                last = monitor.cpu_s()

    with ThreadPoolExecutor(1) as pool:
        injecting = pool.submit(inject)
        try:
            yield
        finally:
            over.set()
        injecting.result()


def nmis(guest: SshHost) -> int:
    (line,) = [line for line in check(guest, "cat", "/proc/interrupts").splitlines() if "NMI:" in line]
    return sum(int(word) for word in line.split() if word.isdigit())


@pytest.mark.parametrize("rounds", ROUNDS)
@pytest.mark.parametrize("kernel", ["kml", pytest.param("stock", marks=pytest.mark.soak)])
def test_programs_and_kernel_survive_a_storm_of_nmis(
    kernel: str, rounds: int, request: pytest.FixtureRequest, kernel_programs: Path, tmp_path: Path
) -> None:
    spec: GuestSpec = request.getfixturevalue(f"{kernel}_spec")
    # Nobody claims these NMIs. Said on a console, that is more than even the stock kernel can take.
    spec = replace(spec, command_line=f"{spec.command_line} loglevel=0")
    with watched(spec, directory=tmp_path) as (guest, monitor):
        install(guest, kernel_programs, PROGRAMS)
        directories = [prefix.path("lib/kmlbench/tests") for prefix in PREFIXES[kernel]]
        for number in range(1, rounds + 1):
            with storm(monitor):
                lines = run(guest, "sh", "-c", SCRIPT, "sh", *directories).stdout.splitlines()
            plans = [int(line.removeprefix("1..")) for line in lines if line.startswith("1..")]
            assert len(plans) == len(directories) * len(PROGRAMS), lines
            assert sum(line.startswith("ok ") for line in lines) == sum(plans), lines
            assert nmis(guest) > WANTED * len(directories) * number
        require_quiet(guest)
