# SPDX-License-Identifier: MIT
"""Guests of campaigns whose controller is dead.

A guest dies with its controller (hosts.qemu_process.tied); this finds any that escaped. QEMU's arguments
show whose guest it is: its console is logged below the raw output of its campaign.
"""

from __future__ import annotations

import os
import re
import select
import signal
from collections.abc import Iterator
from pathlib import Path

from kmlbench.process import QEMU
from kmlbench.results import writer

LOG = re.compile(r"logfile=((?:[^,]|,,)+)")

PROC = Path("/proc")

DEATH_S = 10.0


def end_guests(results: Path) -> tuple[int, ...]:
    """Kill the guests of dead campaigns below `results`; their PIDs."""
    root = results.resolve()
    return tuple(pid for pid, campaign in _guests(root) if _end(pid, campaign, root))


def _guests(root: Path) -> Iterator[tuple[int, Path]]:
    for place in PROC.iterdir():
        if place.name.isdigit() and (campaign := _campaign(int(place.name), root)):
            yield int(place.name), campaign


def _campaign(pid: int, root: Path) -> Path | None:
    """The campaign below `root` to which a guest's process belongs."""
    try:
        arguments = (PROC / str(pid) / "cmdline").read_bytes().decode(errors="surrogateescape").split("\0")
        here = (PROC / str(pid) / "cwd").resolve()
    except OSError:
        return None
    if not any(Path(word).name == QEMU for word in arguments):
        return None
    logs = (found[1].replace(",,", ",") for word in arguments if (found := LOG.search(word)))
    paths = [(here / log).resolve() for log in logs]
    # results/CAMPAIGN/raw/boot-0000/console.log
    campaigns = [path.parents[2] for path in paths if len(path.parents) > 3 and path.parents[3] == root]
    return campaigns[0] if campaigns else None


def _end(pid: int, campaign: Path, root: Path) -> bool:
    """Kill a guest unless its campaign is still running."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    with os.fdopen(descriptor) as process:
        # Checked again: the descriptor refers to whatever has the PID now.
        if _campaign(pid, root) != campaign or writer.is_written(campaign):
            return False
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        select.select([process], [], [], DEATH_S)
    return True
