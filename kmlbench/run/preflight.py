# SPDX-License-Identifier: MIT
"""What a campaign needs on this machine, checked before anything is started."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from kmlbench import paths
from kmlbench.build.architecture import require_architecture
from kmlbench.config.campaign import Config
from kmlbench.errors import InputError, MachineError
from kmlbench.hosts.spec import HostSpec
from kmlbench.process import require

RESULTS_MIB = 256

# QEMU itself, in addition to the guest's memory.
OVERHEAD_MIB = 512


def check_machine(
    hosts: Iterable[HostSpec],
    results: Path,
    *,
    at_once: int = 1,
    meminfo: Path = Path("/proc/meminfo"),
) -> None:
    """Raises MachineError that lists everything this machine lacks for so many of these hosts at once."""
    listed = list(hosts)
    if any(host.size for host in listed):
        require_architecture()
    lacks = [*_space(results), *_programs(listed), *_memory(listed, at_once, meminfo)]
    if lacks:
        raise MachineError("\n".join(what for what, _ in lacks), remedy="; ".join(how for _, how in lacks))


Lack = tuple[str, str]


def logins(settings: Config, hosts: Iterable[HostSpec]) -> None:
    """Raises InputError that lists every key and file of these hosts that cannot be used.

    No host is contacted: only the files that hosts.yaml names are checked.
    """
    lacks = [
        (f"{settings.where(host, *keys)}: {error.args[0]}", error.remedy)
        for host in hosts
        for keys, error in host.unusable()
    ]
    if lacks:
        remedies = dict.fromkeys(how for _, how in lacks)
        raise InputError(*(what for what, _ in lacks), remedy="; ".join(remedies))


def _programs(hosts: Iterable[HostSpec]) -> Iterator[Lack]:
    for program in dict.fromkeys(program for host in hosts for program in host.programs):
        try:
            require(program)
        except MachineError as error:
            yield error.args[0], error.remedy


def free_space(directory: Path) -> tuple[Path, int]:
    """The existing parent of a directory that may have to be created, and its free space in MiB."""
    existing = paths.existing(directory)
    return existing, shutil.disk_usage(existing).free >> 20


def _space(results: Path) -> list[Lack]:
    existing, free_mib = free_space(results)
    if free_mib >= RESULTS_MIB:
        return []
    return [
        (
            f"{existing} has {free_mib} MiB free, a campaign needs {RESULTS_MIB}",
            "free some disk space, or choose another directory with --results",
        )
    ]


def _memory(hosts: Iterable[HostSpec], at_once: int, meminfo: Path) -> list[Lack]:
    """One guest of a pair runs at a time, so the largest counts."""
    largest = max((host.size.memory_mb for host in hosts if host.size), default=0)
    match = re.search(r"^MemAvailable:\s+([0-9]+) kB$", meminfo.read_text(), re.MULTILINE)
    available = int(match[1]) >> 10 if match else None
    needed = at_once * (largest + OVERHEAD_MIB)
    if not largest or available is None or available >= needed:
        return []
    what = f"a guest of {largest} MiB needs" if at_once == 1 else f"{at_once} guests of {largest} MiB need"
    fewer = "" if at_once == 1 else ", let fewer guests run at the same time (--pairs)"
    return [
        (
            f"{available} MiB of memory are available, {what} {needed}",
            f"end other programs{fewer}, or lower memory_mb of the hosts in hosts.yaml",
        )
    ]
