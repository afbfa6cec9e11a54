# SPDX-License-Identifier: MIT
"""Unmodified programs of the distribution make direct calls, and the kernel's counters say how many."""

from __future__ import annotations

import pytest
from support.guest_programs import check

from kmlbench.hosts.ssh import SshHost

SWITCH = "/proc/sys/kernel/kernel_mode_linux_direct_calls"

pytestmark = pytest.mark.guest


def counters(guest: SshHost) -> dict[str, int]:
    lines = (line.split() for line in check(guest, "cat", "/proc/kernel_mode_linux").splitlines())
    return {name.rstrip(":"): int(value) for name, value in lines}


def calls(guest: SshHost, *argv: str) -> dict[str, int]:
    """How far the system's counters went up while a program ran, alone in kernel mode."""
    before = counters(guest)
    check(guest, *argv)
    after = counters(guest)
    return {name: after[name] - before[name] for name in after}


@pytest.fixture(scope="module")
def trusted(kml_guest: SshHost) -> SshHost:
    for name in ("bash", "sha256sum"):
        check(kml_guest, "cp", f"/usr/bin/{name}", f"/trusted/bin/{name}")
    return kml_guest


def test_a_forking_shell_calls_directly(trusted: SshHost) -> None:
    """What only children execute is patched for all of them, by the shell that forks."""
    result = calls(trusted, "/trusted/bin/bash", "-c", "for i in {1..600}; do (exit 0); done")
    share = result["KernelModeCallsDirect"] / (
        result["KernelModeCallsDirect"] + result["KernelModeCallsTrap"]
    )
    assert share >= 0.95, result


def test_a_program_of_one_process_calls_directly(trusted: SshHost) -> None:
    result = calls(trusted, "/trusted/bin/sha256sum", "/usr/bin/bash", *["/usr/bin/cat"] * 200)
    share = result["KernelModeCallsDirect"] / (
        result["KernelModeCallsDirect"] + result["KernelModeCallsTrap"]
    )
    assert share >= 0.9, result


def test_a_program_patches_nothing_that_another_has_called(trusted: SshHost) -> None:
    """What one process learned of libc and ld.so is there for the next, from its first call on."""
    command = ("/trusted/bin/sha256sum", "/usr/bin/bash", *["/usr/bin/cat"] * 20)
    calls(trusted, *command)
    assert calls(trusted, *command)["KernelModeTrapFirst"] == 0


def test_the_reasons_add_up_to_the_calls_by_syscall(trusted: SshHost) -> None:
    result = calls(trusted, "/trusted/bin/bash", "-c", "for i in {1..50}; do (exit 0); done")
    reasons = [value for name, value in result.items() if name.startswith("KernelModeTrap")]
    assert sum(reasons) == result["KernelModeCallsTrap"]


def test_switched_off_no_new_program_calls_directly(trusted: SshHost) -> None:
    check(trusted, "sh", "-c", f"echo 0 > {SWITCH}")
    try:
        result = calls(trusted, "/trusted/bin/bash", "-c", "for i in {1..50}; do (exit 0); done")
    finally:
        check(trusted, "sh", "-c", f"echo 1 > {SWITCH}")
    assert result["KernelModeCallsDirect"] == 0
    assert result["KernelModeTrapOff"] == result["KernelModeCallsTrap"] > 0


def test_an_ordinary_program_has_no_such_counters(trusted: SshHost) -> None:
    ordinary = check(trusted, "/usr/bin/cat", "/proc/self/status")
    assert "KernelMode:\t0" in ordinary
    assert "KernelModeCalls" not in ordinary
