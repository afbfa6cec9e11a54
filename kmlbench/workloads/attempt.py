# SPDX-License-Identifier: MIT
"""A workload of which nothing but a command line is known: whole runs of one program, however they end."""

from __future__ import annotations

import re

from kmlbench.workloads.definition import Argv, Client, Definition, ServerProgram
from kmlbench.workloads.registry import ADAPTERS

# The option of campaigns that try a program: the arguments of `kmlbench try`.
TRY = "try"

# What a trial writes into the kernel's log before its runs, followed by its prefix.
MARK = "kmlbench: runs from"

# What a name begins with that would be another workload's, or none.
TRIED = "try_"

LONGEST_NAME = 50


def attempt(
    title: str, argv: Argv, *, server: ServerProgram | None, rounds: int, timeout_s: int
) -> Definition:
    """The workload: `argv` runs so many `rounds` in a trial, after a first time, `timeout_s` s at most."""
    mark = f"echo '{MARK} {{prefix}}' >/dev/kmsg"
    return Definition(
        name=workload_name(title),
        prepare=(("/usr/bin/sh", "-c", mark),),
        server=server,
        client=Client(argv=argv, rounds=rounds, any_status=True, timeout_s=timeout_s),
    )


def workload_name(title: str) -> str:
    """A name for a workload of this program; no other has it."""
    name = re.sub(r"[^a-z0-9]+", "_", title.lower()).strip("_")[:LONGEST_NAME]
    return name if name[:1].isalpha() and name not in ADAPTERS else f"{TRIED}{name}".rstrip("_")
