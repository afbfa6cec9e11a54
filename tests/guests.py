# SPDX-License-Identifier: MIT
"""Commands on a guest, for tests."""

from __future__ import annotations

from kmlbench.hosts.ssh import SshHost
from kmlbench.model import CommandResult

TIMEOUT_S = 300.0


def run(guest: SshHost, *argv: str) -> CommandResult:
    return guest.run(argv, timeout_s=TIMEOUT_S)


def check(guest: SshHost, *argv: str) -> str:
    """What a command said that must end well."""
    result = run(guest, *argv)
    assert result.returncode == 0, (argv, result.stdout, result.stderr)
    return result.stdout
