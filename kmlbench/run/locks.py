# SPDX-License-Identifier: MIT
"""One campaign at a time on a machine: locks that end with the process that holds them, however it ends.

A claim is a lock on a file of this user on the controller: campaigns of another user or another
controller on the same host are not detected.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from kmlbench.config.hosts import HostSpec, QemuHostSpec
from kmlbench.errors import MachineError
from kmlbench.results.facts import digest
from kmlbench.results.writer import storing

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

THIS_MACHINE = "this machine"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A machine by its key, which is safe as a file name, and by a name for people."""

    key: str
    name: str


def machines(hosts: Iterable[HostSpec]) -> tuple[Claim, ...]:
    """The machines that a campaign on these hosts uses; all guests use this one."""
    found = {claim.key: claim for claim in map(_machine, hosts)}
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


def _machine(host: HostSpec) -> Claim:
    if isinstance(host, QemuHostSpec):
        return Claim(key=f"guests-{BOOT_ID.read_text().strip()}", name=THIS_MACHINE)
    # A machine may have several addresses and has one key.
    identity = " ".join(host.host_key.split()[:2]) if host.host_key else f"{host.address}:{host.port}"
    return Claim(key=f"host-{digest(identity)[:20]}", name=f"host {host.name}")


@contextmanager
def _held(claim: Claim, path: Path, holder: str) -> Iterator[None]:
    descriptor = _lock(claim, path)
    try:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, json.dumps({"pid": os.getpid(), "holder": holder}).encode())
        yield
    finally:
        # While the lock is held: a process that opened the file meanwhile notices that it was replaced.
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _lock(claim: Claim, path: Path) -> int:
    while True:
        with storing("a claim", path.parent):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            said = os.read(descriptor, 4096)
            os.close(descriptor)
            raise _taken(claim, said) from None
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        os.close(descriptor)


def _taken(claim: Claim, said: bytes) -> MachineError:
    try:
        found = json.loads(said)
        who = f"process {found['pid']}, {found['holder']}"
    except (ValueError, TypeError, KeyError):
        who = "a process that is just starting"
    return MachineError(
        f"another campaign is running on {claim.name} ({who}): they would disturb each other's measurements",
        remedy="wait for it or end it with SIGTERM; campaigns on different machines can run at once",
    )
