# SPDX-License-Identifier: MIT
"""How many threads the client of an OLTP mix has: a level, which is part of the workload's name.

docs/decisions/0055-a-level-is-a-workload.md says why.
"""

from __future__ import annotations

import re

# The server accepts one connection more, which holds back the purge of mixes that leave old rows.
MOST_THREADS = 150

_LEVEL = re.compile(r"(.+)_([2-9]|[1-9][0-9]+)_threads")


def level_name(workload: str, threads: int) -> str:
    """The name of a workload at a level; at one thread it is its own."""
    return workload if threads == 1 else f"{workload}_{threads}_threads"


def split_level(name: str) -> tuple[str, int]:
    """The workload and the threads that a name says. By these levels stand in the order of their numbers."""
    match = _LEVEL.fullmatch(name)
    return (name, 1) if match is None else (match[1], int(match[2]))
