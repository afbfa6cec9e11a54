# SPDX-License-Identifier: MIT
"""Statements for a server in a guest, and workloads on it."""

from __future__ import annotations

from support.guest_programs import check, run

from kmlbench.hosts.ssh import SshHost
from kmlbench.model import CommandResult, Sample, Server
from kmlbench.servers.options import PROGRAMS
from kmlbench.servers.server import ServerHandle
from kmlbench.workloads.registry import find_adapter
from kmlbench.workloads.steps import Setting


def client_argv(handle: ServerHandle, server: Server, statement: str, *options: str) -> tuple[str, ...]:
    return (
        *(f"/usr/{PROGRAMS[server].client}", f"--defaults-file={handle.password_file}"),
        *(f"--socket={handle.socket}", f"--user={handle.user}", *options, f"--execute={statement}"),
    )


def sql(guest: SshHost, handle: ServerHandle, server: Server, statement: str, *options: str) -> str:
    return check(guest, *client_argv(handle, server, statement, *options))


def emptied(guest: SshHost, handle: ServerHandle, server: Server = Server.MYSQL) -> None:
    sql(guest, handle, server, f"DROP DATABASE {handle.database}; CREATE DATABASE {handle.database}")


def samples(guest: SshHost, workload: str, setting: Setting) -> tuple[Sample, ...]:
    results: list[CommandResult] = [run(guest, *step.argv) for step in find_adapter(workload).steps(setting)]
    for result in results:
        assert result.returncode == 0, (result.argv, result.stdout[-500:], result.stderr[-500:])
    return find_adapter(workload).samples(results)
