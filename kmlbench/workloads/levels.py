# SPDX-License-Identifier: MIT
"""The factors of a workload that talks to MySQL: its client's threads, and what its connections go through.

A level is part of the workload's name; docs/decisions/0055-a-level-is-a-workload.md says why.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

# The server accepts one connection more, which holds back the purge of mixes that leave old rows.
MOST_THREADS = 150


class Transport(StrEnum):
    """What a connection goes through: the Unix socket, TCP over the loopback, or TLS over that."""

    SOCKET = "socket"
    TCP = "tcp"
    TLS = "tls"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Level:
    """The factors of one workload, in the order in which workloads stand."""

    transport: Transport = Transport.SOCKET
    threads: int = 1


_LEVEL = re.compile(r"(.+?)(?:_(tcp|tls))?(?:_([2-9]|[1-9][0-9]+)_threads)?")


def level_name(workload: str, level: Level) -> str:
    """The name of a workload at a level; with one thread at the socket it is its own."""
    transport = "" if level.transport is Transport.SOCKET else f"_{level.transport}"
    return (
        f"{workload}{transport}" if level.threads == 1 else f"{workload}{transport}_{level.threads}_threads"
    )


def split_level(name: str) -> tuple[str, Level]:
    """The workload and the level that a name says. By these levels stand in their order."""
    match = _LEVEL.fullmatch(name)
    if match is None:
        return name, Level()
    workload, transport, threads = match.groups()
    return workload, Level(
        transport=Transport.SOCKET if transport is None else Transport(transport), threads=int(threads or 1)
    )
