# SPDX-License-Identifier: MIT
"""Shared by all kinds of hosts: what a boot of the plan needs and gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from kmlbench.build.cache import Cache
from kmlbench.errors import HostError
from kmlbench.model import Boot, Clock, CommandResult, Host, Kernel, Platform, Server
from kmlbench.progress import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A machine by its key, which is safe as a file name, and by a name for people."""

    key: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Booted:
    """A reachable host, and what the controller knows about it (facts, as compared by results.facts)."""

    host: Host
    facts: Mapping[str, str]


Machines = Callable[[Boot, Path], AbstractContextManager[Booted]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """What a campaign needs to start. `clock` is None for SSH hosts."""

    machines: Machines
    platform: Platform
    clock: Clock | None
    releases: Mapping[Kernel, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """What a guest takes of this machine; memory in MiB."""

    memory_mb: int
    cpus: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What hosts are made ready for."""

    server: Server
    seed: int
    cache: Cache
    progress: Progress


def by_pair(pairs: Sequence[Machines]) -> Machines:
    """Runs each boot of the plan on the machines of its pair."""

    def boot(planned: Boot, directory: Path) -> AbstractContextManager[Booted]:
        return pairs[planned.pair](planned, directory)

    return boot


def require_success(host: Host, result: CommandResult, doing: str) -> CommandResult:
    """The result of a command that must succeed. Raises HostError."""
    if result.returncode:
        said = (result.stderr or result.stdout).strip()[-500:]
        raise HostError(f"{host.name}: {doing}: `{result.argv[0]}` ended with {result.returncode}: {said}")
    return result
