# SPDX-License-Identifier: MIT
"""Four processors that come and go, sleep, swap and the OOM killer, while programs run in kernel mode."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from support.guest_programs import check, install, require_mysql_serves, require_quiet, tap
from support.watched_guest import Monitor, watched

from kmlbench.hosts.qemu import GuestSpec
from kmlbench.hosts.ssh import SshHost
from kmlbench.model import Prefix

CPUS, MEMORY_MB, SWAP_MB = 4, 768, 128
# Of 2 MiB, reserved at boot, where it costs nothing: what is left is soon used up. MySQL needs all of it.
HUGE_PAGES = 225
BUSY = ("processes", "registers", "calls")
PROGRAMS = (*BUSY, "memory", "sites", "hostile", "sampling")
OUTPUT, DONE = "/run/busy.txt", "/run/busy.done"
SWAP = f"""
set -e
dd if=/dev/zero of=/swap bs=1M count={SWAP_MB} status=none
chmod 600 /swap
mkswap --quiet /swap
swapon /swap
"""
OFF_AND_ON = """
set -e
for state in 0 1; do
    for cpu in 1 2 3; do echo $state > /sys/devices/system/cpu/cpu$cpu/online; done
    cat /sys/devices/system/cpu/online
done
"""
SLEEP = "echo deep > /sys/power/mem_sleep && echo mem > /sys/power/state"
SLEPT, SUCCESS = "/run/slept", "/sys/power/suspend_stats/success"
SLEEP_DEADLINE_S = 120.0

pytestmark = pytest.mark.guest


@pytest.fixture(scope="module")
def watched_guest(
    kml_spec: GuestSpec, kernel_programs: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[SshHost, Monitor]]:
    """A guest of the KML kernel with several processors, little memory, and swap."""
    # Swapping on one emulated thread takes longer than the watchdog of the work queues waits.
    words = f"{kml_spec.command_line} workqueue.watchdog_thresh=0 hugepages={HUGE_PAGES}"
    spec = replace(kml_spec, cpus=CPUS, memory_mb=MEMORY_MB, command_line=words)
    with watched(spec, directory=tmp_path_factory.mktemp("hardship")) as (host, monitor):
        install(host, kernel_programs, PROGRAMS)
        check(host, "cp", "/bin/bash", "/trusted/bin/bash")
        check(host, "sh", "-c", SWAP)
        yield host, monitor


@pytest.fixture
def guest(watched_guest: tuple[SshHost, Monitor]) -> SshHost:
    return watched_guest[0]


@pytest.fixture(autouse=True)
def quiet_kernel(guest: SshHost) -> Iterator[None]:
    yield
    require_quiet(guest)


@contextmanager
def busy(guest: SshHost, prefix: Prefix) -> Iterator[None]:
    """Programs run from this prefix until the block has ended and each has run once more."""
    programs = " ".join(prefix.path(f"lib/kmlbench/tests/{name}") for name in BUSY)
    script = f"until [ -e {DONE} ]; do for program in {programs}; do $program; done; done > {OUTPUT} 2>&1"
    check(guest, "rm", "-f", DONE, OUTPUT)
    check(guest, "sh", "-c", f"setsid sh -c '{script}; touch {DONE}.seen' < /dev/null > /dev/null 2>&1 &")
    yield
    check(guest, "touch", DONE)
    check(guest, "sh", "-c", f"until [ -e {DONE}.seen ]; do sleep 0.2; done; rm {DONE}.seen")
    lines = check(guest, "cat", OUTPUT).splitlines()
    assert len([line for line in lines if line.startswith("ok ")]) > len(BUSY)
    assert not [line for line in lines if line.startswith("not ok")], lines


@pytest.mark.parametrize("prefix", Prefix)
@pytest.mark.parametrize("name", ["sites", "hostile", "sampling"])
def test_programs_on_several_processors(guest: SshHost, prefix: Prefix, name: str) -> None:
    tap(guest, prefix, name)


@pytest.mark.parametrize("rounds", [1, pytest.param(30, marks=pytest.mark.soak)])
@pytest.mark.parametrize("prefix", Prefix)
def test_processors_come_and_go_below_programs(guest: SshHost, prefix: Prefix, rounds: int) -> None:
    with busy(guest, prefix):
        for _ in range(rounds):
            seen = check(guest, prefix.path("bin/bash"), "-c", OFF_AND_ON).split()
            assert seen == ["0", "0-3"]


@pytest.mark.parametrize("prefix", Prefix)
def test_the_machine_sleeps_and_wakes_below_programs(
    watched_guest: tuple[SshHost, Monitor], prefix: Prefix
) -> None:
    """The shell that puts it to sleep is of the same prefix."""
    guest, monitor = watched_guest
    before = int(check(guest, "cat", SUCCESS))
    with busy(guest, prefix):
        shell = f"{prefix.path('bin/bash')} -c '{SLEEP}'; echo $? > {SLEPT}"
        check(guest, "sh", "-c", f'rm -f {SLEPT}; setsid sh -c "$0" < /dev/null > /dev/null 2>&1 &', shell)
        monitor.wake_up(deadline_s=SLEEP_DEADLINE_S)
        check(guest, "sh", "-c", f"until [ -s {SLEPT} ]; do sleep 0.2; done")
    assert check(guest, "cat", SLEPT) == "0\n"
    assert int(check(guest, "cat", SUCCESS)) == before + 1


@pytest.mark.parametrize("prefix", Prefix)
def test_memory_is_short(guest: SshHost, prefix: Prefix) -> None:
    """Sites are swapped out, programs use more than there is, and the OOM killer ends what will not stop."""
    tap(guest, prefix, "memory")
    log = check(guest, "dmesg")
    assert "Out of memory: Killed process" in log


@pytest.mark.parametrize("prefix", Prefix)
def test_after_all_that_programs_run(guest: SshHost, prefix: Prefix) -> None:
    for name in ("sites", "calls"):
        tap(guest, prefix, name)


@pytest.mark.soak
@pytest.mark.parametrize("prefix", Prefix)
def test_after_all_that_mysql_serves(guest: SshHost, prefix: Prefix) -> None:
    """Its pages come back from the disk for most of a minute."""
    check(guest, "sh", "-c", "echo 0 > /proc/sys/vm/nr_hugepages")
    require_mysql_serves(guest, prefix)
