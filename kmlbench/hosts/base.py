# SPDX-License-Identifier: MIT
"""Shared by all kinds of hosts."""

from __future__ import annotations

from kmlbench.errors import HostError
from kmlbench.model import CommandResult, Host


def required(host: Host, result: CommandResult, doing: str) -> CommandResult:
    """The result of a command that must succeed. Raises HostError."""
    if result.returncode:
        said = (result.stderr or result.stdout).strip()[-500:]
        raise HostError(f"{host.name}: {doing}: `{result.argv[0]}` ended with {result.returncode}: {said}")
    return result
