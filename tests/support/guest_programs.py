# SPDX-License-Identifier: MIT
"""Commands and programs on a guest, for tests."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from conformance.cells import complaints

from kmlbench.hosts.ssh import SshHost
from kmlbench.model import CommandResult, Prefix, Server
from kmlbench.servers import server

TIMEOUT_S = 900.0
PROGRAMS = "lib/kmlbench/tests"


def run(guest: SshHost, *argv: str) -> CommandResult:
    return guest.run(argv, timeout_s=TIMEOUT_S)


def check(guest: SshHost, *argv: str) -> str:
    """What a command said that must end well."""
    result = run(guest, *argv)
    assert result.returncode == 0, (argv, result.stdout, result.stderr)
    return result.stdout


def install(guest: SshHost, programs: Path, names: Iterable[str], directory: str = PROGRAMS) -> None:
    """Put programs of kernel/tests below both prefixes."""
    for prefix in Prefix:
        check(guest, "mkdir", "-p", prefix.path(directory))
        for name in names:
            guest.put(programs / name, prefix.path(f"{directory}/{name}"))
            check(guest, "chmod", "755", prefix.path(f"{directory}/{name}"))


def tap(guest: SshHost, prefix: Prefix, name: str, *arguments: str) -> list[str]:
    """The lines of a program of kernel/tests, each of whose cases passed."""
    result = run(guest, prefix.path(f"{PROGRAMS}/{name}"), *arguments)
    lines = result.stdout.splitlines()
    assert lines, result.stderr
    assert len(lines) == int(lines[0].removeprefix("1..")) + 1, (lines, result.stderr)
    assert not [line for line in lines if line.startswith("not ok")], (lines, result.stderr)
    assert result.returncode == 0
    return lines


def require_mysql_serves(guest: SshHost, prefix: Prefix) -> None:
    """A server of this prefix starts and answers a client of the same."""
    with server.running_server(guest, prefix, Server.MYSQL) as handle:
        client = (prefix.path("bin/mysql"), f"--defaults-file={handle.password_file}")
        options = (f"--socket={handle.socket}", f"--user={handle.user}", "--batch", "--skip-column-names")
        assert check(guest, *client, *options, "--execute=select 6 * 7") == "42\n"


def require_quiet(guest: SshHost) -> None:
    """The kernel's log has nothing that no program may cause."""
    result = complaints(check(guest, "dmesg"))
    assert not result, result
