# SPDX-License-Identifier: MIT
"""Shared by all kinds of hosts: what a boot of the plan needs and yields."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from kmlbench.build.bases import Base
from kmlbench.build.cache import Cache
from kmlbench.build.image import NOTHING, Extras
from kmlbench.errors import HostError
from kmlbench.model import Boot, Clock, CommandResult, Host, Kernel, Platform, Server
from kmlbench.progress import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A machine: its key, which is safe as a file name, and its name for messages."""

    key: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """What the instrument writes about a running guest, and the files that name what it counts.

    `windows` grows; `root` is the file system that the guest was booted from. `control` is our end of
    the conversation about when to count (kmlbench.hosts.counting); None where the instrument always does.
    """

    windows: Path
    system_map: Path
    root: Path
    control: socket.socket | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Booted:
    """A reachable host, and what the controller knows about it (facts, as compared by results.facts).

    `image` is the key of the image that the host was booted from, which nothing writes; None where what lies
    on the disk may differ from one boot to the next. `recording` is None where no instrument is loaded.
    """

    host: Host
    facts: Mapping[str, str]
    image: str | None = None
    recording: Recording | None = None


Machines = Callable[[Boot, Path], AbstractContextManager[Booted]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """What a campaign needs to start. `clock` and `linux` are None for SSH hosts.

    `facts` are those that are known of a boot of each kernel before there is one.
    """

    machines: Machines
    platform: Platform
    clock: Clock | None
    releases: Mapping[Kernel, str]
    facts: Mapping[Kernel, Mapping[str, str]] = field(default_factory=dict)
    linux: Base | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """What a guest uses of this machine; memory in MiB."""

    memory_mb: int
    cpus: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What hosts are prepared for. `instrument`: count the instructions of guests where that can be done.

    `extras` is what their image needs for the campaign's workloads.
    """

    server: Server
    seed: int
    cache: Cache
    progress: Progress
    instrument: bool = True
    extras: Extras = NOTHING


def by_pair(pairs: Sequence[Machines]) -> Machines:
    """Runs each boot of the plan on the machines of its pair."""

    def boot(planned: Boot, directory: Path) -> AbstractContextManager[Booted]:
        return pairs[planned.pair](planned, directory)

    return boot


def require_success(host: Host, result: CommandResult, doing: str) -> CommandResult:
    """The result of a command that must succeed. Raises HostError."""
    if result.returncode:
        output = (result.stderr or result.stdout).strip()[-500:]
        raise HostError(f"{host.name}: {doing}: `{result.argv[0]}` ended with {result.returncode}: {output}")
    return result
