# SPDX-License-Identifier: MIT
"""A step of the image's build as root in namespaces of its own, in the way that this machine allows."""

from __future__ import annotations

import os
from collections.abc import Iterator

from kmlbench import process
from kmlbench.errors import MachineError
from kmlbench.process import build_environment

TIMEOUT_S = 60.0

MAPPED = ("--map-root-user", "--map-auto")

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
    "needs CAP_SYS_ADMIN (docker run --privileged), a user without root a range in /etc/subuid and "
    "/etc/subgid; or build elsewhere and copy ~/.cache/kmlbench"
)


def private_prefix() -> tuple[str, ...]:
    """A prefix that runs a command as root in its own namespaces; its mounts and children end with it.

    Raises MachineError with what each way of doing that complained of.
    """
    complaints = []
    for options in _ways():
        argv = ("unshare", *options, "--mount", "--", "sh", "-c", PROBE, "sh", str(os.getpid()))
        result = process.run(argv, timeout_s=TIMEOUT_S, env=build_environment())
        if result.returncode == 0:
            return ("unshare", *options, "--mount", *OWN, "--")
        complaints.append(" ".join(result.stderr.split()) or f"unshare ended with {result.returncode}")
    listed = "; ".join(dict.fromkeys(complaints))
    raise MachineError(f"this machine does not let a guest image be built: {listed}", remedy=REMEDY)


def _ways() -> Iterator[tuple[str, ...]]:
    """The options of unshare, those first that need least beside what this user is."""
    if os.geteuid() == 0:
        yield ()
        yield UNCHANGED
    yield MAPPED
