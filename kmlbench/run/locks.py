# SPDX-License-Identifier: MIT
"""One campaign at a time on a machine: claims that end with the process that has them, whatever ends it.

A claim is a lock on a file of this user's, on the machine of the controller: it does not see a campaign that
another user or another controller runs on the same host.
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


def machines(hosts: Iterable[HostSpec]) -> tuple[Claim, ...]:
    """The machines that a campaign on these hosts uses: guests all use this one."""
    found = {host.claim.key: host.claim for host in hosts}
    return tuple(found[key] for key in sorted(found))


@contextmanager
def held(claims: Iterable[Claim], *, root: Path, holder: str) -> Iterator[None]:
    """Claim machines; `holder` says what for. Raises MachineError that names who has one of them already."""
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
        # While the lock is held: whoever opened the file meanwhile sees that it is another by then.
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
        f"another campaign runs on {claim.name} ({who}): each would disturb what the other measures",
        remedy="wait for its end or end it with SIGTERM; campaigns on different machines may run at once",
    )
