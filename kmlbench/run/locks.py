# SPDX-License-Identifier: MIT
"""One campaign at a time on a machine: locks that end with the process that holds them, however it ends.

A claim is a lock on a file of this user on the controller: campaigns of another user or another
controller on the same host are not detected.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from kmlbench.errors import MachineError
from kmlbench.hosts.base import Claim
from kmlbench.hosts.spec import HostSpec
from kmlbench.results.writer import storing
from kmlbench.storage import locked


def claims_of(hosts: Iterable[HostSpec]) -> tuple[Claim, ...]:
    """The machines that a campaign on these hosts uses: all guests use this one."""
    found = {host.claim.key: host.claim for host in hosts}
    return tuple(found[key] for key in sorted(found))


@contextmanager
def held(claims: Iterable[Claim], *, root: Path, holder: str) -> Iterator[None]:
    """Lock machines; `holder` says what for. Raises MachineError that names who holds one of them already."""
    with storing("a claim", root):
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
    with ExitStack() as stack:
        for claim in claims:
            stack.enter_context(_held(claim, root / f"{claim.key}.lock", holder))
        yield


@contextmanager
def _held(claim: Claim, path: Path, holder: str) -> Iterator[None]:
    with ExitStack() as stack:
        with storing("a claim", path.parent):
            try:
                descriptor = stack.enter_context(locked(path, wait=False))
            except BlockingIOError:
                raise _taken(claim, path) from None
        # While the lock is held: a process that opened the file meanwhile notices that it was replaced.
        stack.callback(path.unlink, missing_ok=True)
        os.ftruncate(descriptor, 0)
        os.write(descriptor, json.dumps({"pid": os.getpid(), "holder": holder}).encode())
        yield


def _taken(claim: Claim, path: Path) -> MachineError:
    try:
        found = json.loads(path.read_bytes())
        who = f"process {found['pid']}, {found['holder']}"
    except (OSError, ValueError, TypeError, KeyError):
        who = "a process that is just starting"
    return MachineError(
        f"another campaign is running on {claim.name} ({who}): they would disturb each other's measurements",
        remedy="wait for it or end it with SIGTERM; campaigns on different machines can run at once",
    )
