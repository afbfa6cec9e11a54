# SPDX-License-Identifier: MIT
"""Rebooting an SSH host: it is back once its boot ID has changed."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress

from kmlbench.errors import CommandTimeout, HostError
from kmlbench.model import Host

BOOT_ID = "/proc/sys/kernel/random/boot_id"

ANSWER_S = 60.0

TRY_S = 10.0

POLL_S = 1.0

Connect = Callable[[float], AbstractContextManager[Host]]


def boot_id(host: Host) -> str:
    """The boot ID of a host, which changes with every boot. Raises HostError."""
    result = host.run(("cat", BOOT_ID), timeout_s=ANSWER_S)
    if result.returncode or not result.stdout.strip():
        raise HostError(f"{host.name}: cannot read the boot ID: {result.stderr.strip()}")
    return result.stdout.strip()


def reboot(name: str, connect: Connect, *, deadline_s: float) -> str:
    """Reboot the host behind `connect(deadline_s)` and return the new boot ID once it has settled.

    Raises HostError if it refuses, or is not back within `deadline_s` seconds.
    """
    deadline = time.monotonic() + deadline_s
    with connect(min(ANSWER_S, deadline_s)) as host:
        before = boot_id(host)
        _ask(host)
    last = "it still is in the same boot"
    while (left := deadline - time.monotonic()) > 0:
        try:
            with connect(min(TRY_S, left)) as host:
                now = boot_id(host)
                if now != before:
                    _settle(host, deadline)
                    return now
            last = "it still is in the same boot"
        except HostError as error:
            last = str(error.args[0])
        time.sleep(POLL_S)
    raise HostError(
        f"{name} did not come back from its reboot within {deadline_s:g} s: {last}",
        remedy="look at its console; if it takes longer to boot, increase boot_deadline_s in hosts.yaml",
    )


def _ask(host: Host) -> None:
    """The connection may end before the answer arrives."""
    try:
        result = host.run(("reboot",), timeout_s=ANSWER_S)
    except HostError:
        return
    if result.returncode > 0:
        raise HostError(
            f"{host.name} does not reboot: {result.stderr.strip() or result.returncode}",
            remedy="allow this user to reboot the host, or set reboot: false in hosts.yaml",
        )


def _settle(host: Host, deadline: float) -> None:
    """Wait until systemd, if there is one, has started everything that would disturb a measurement."""
    with suppress(CommandTimeout):
        left = max(POLL_S, deadline - time.monotonic())
        host.run(("systemctl", "is-system-running", "--wait"), timeout_s=left)
