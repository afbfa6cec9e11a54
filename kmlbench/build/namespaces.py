# SPDX-License-Identifier: MIT
"""A step of the image's build as root in namespaces of its own, in the way that this machine allows."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from kmlbench import process
from kmlbench.errors import MachineError
from kmlbench.process import build_environment

TIMEOUT_S = 60.0

MAPPED = ("--map-root-user", "--map-auto")

# unshare of util-linux 2.38 leaves a child behind that waits for ever if it is refused with --map-auto.
USER_NAMESPACE = ("unshare", "--user", "true")

# Files below /proc/sys, and their values that keep users from having namespaces.
SWITCHES = {
    "user/max_user_namespaces": "0",
    "kernel/unprivileged_userns_clone": "0",
    "kernel/apparmor_restrict_unprivileged_userns": "1",
}

# In a chroot whose root is no mount point the propagation of the root cannot be changed.
UNCHANGED = ("--propagation", "unchanged")

OWN = ("--pid", "--fork", "--kill-child", "--mount-proc")

# What is mounted must not be seen by the process $1, which is outside.
PROBE = """
mount -t tmpfs kmlbench-probe /mnt || exit 1
grep -q kmlbench-probe "/proc/$1/mountinfo"
outside=$?
umount /mnt
[ "$outside" != 0 ] || { echo "what is mounted in a namespace of its own is seen outside" >&2; exit 1; }
"""

REMEDY = (
    "in a chroot, make its directory a mount point before entering it (mount --bind DIR DIR); a container "
    "needs CAP_SYS_ADMIN (docker run --privileged); a user without root needs Debian's package uidmap, a "
    "range in /etc/subuid and /etc/subgid (usermod --add-subuids 100000-165535 --add-subgids 100000-165535 "
    "USER), and a root entered by pivot_root, as systemd-nspawn does, instead of chroot; or build elsewhere "
    "and carry it here (kmlbench kernel pack and unpack)"
)


def private_prefix() -> tuple[str, ...]:
    """A prefix that runs a command as root in its own namespaces; its mounts and children end with it.

    Raises MachineError with what each way of doing that complained of.
    """
    complaints = []
    for options in _ways():
        complaint = _complaint(options)
        if complaint is None:
            return ("unshare", *options, "--mount", *OWN, "--")
        complaints.append(complaint)
    listed = "; ".join(dict.fromkeys(complaints))
    raise MachineError(f"this machine does not let a guest image be built: {listed}", remedy=REMEDY)


def _complaint(options: tuple[str, ...]) -> str | None:
    """Why root in namespaces of these options cannot be had; None if it can."""
    if options == MAPPED and (refusal := _error(USER_NAMESPACE)):
        return f"a user namespace is refused ({'; '.join((refusal, *_switches()))})"
    return _error(("unshare", *options, "--mount", "--", "sh", "-c", PROBE, "sh", str(os.getpid())))


def _switches() -> Iterator[str]:
    """The settings of this kernel that keep users from having namespaces."""
    for name, refusing in SWITCHES.items():
        with suppress(OSError):
            if Path("/proc/sys", name).read_text().strip() == refusing:
                yield f"sysctl {name.replace('/', '.')} is {refusing}"


def _error(argv: tuple[str, ...]) -> str | None:
    """What a command complained of; None if it succeeded."""
    result = process.run(argv, timeout_s=TIMEOUT_S, env=build_environment())
    if result.returncode == 0:
        return None
    return " ".join(result.stderr.split()) or f"{argv[0]} ended with {result.returncode}"


def _ways() -> Iterator[tuple[str, ...]]:
    """The options of unshare, those first that need least beside what this user is."""
    if os.geteuid() == 0:
        yield ()
        yield UNCHANGED
    yield MAPPED
