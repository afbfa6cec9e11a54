# SPDX-License-Identifier: MIT
"""A database server on a host: started from a prefix on a fresh copy of the pristine data, stopped again."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from kmlbench.errors import HostError, KmlbenchError, TrialError
from kmlbench.model import CommandResult, Host, Prefix, Server
from kmlbench.servers import daemon, identity
from kmlbench.servers.daemon import COMMAND_S, RUNTIME, STOP_S
from kmlbench.servers.options import PROGRAMS, arguments
from kmlbench.workloads.steps import Setting
from kmlbench.workloads.sysbench import DATABASE
from kmlbench.workloads.transports import LOOPBACK

PRISTINE = "/var/lib/kmlbench/data"

PORT = 13306

USER = "kmlbench"

START_S = 180

# The shell waits inside the guest for: the exit of the server (1), or its socket and an answer to a query
# that needs the password. `timeout` exits with 124. Each round of the loop forks, and an emulated processor
# pays more for that than for the wait: ten rounds a second made the start of a server dearer by a sixth.
# MySQL's threads spin until the thread that they started runs: on one processor, until the scheduler's next
# tick, some hundred thousand PAUSE instructions later, each of which leaves the emulator's loop. While the
# shell waits, a process of higher priority, which sleeps, has the scheduler choose oftener (decision 0070).
_AWAIT_READY = """
if [ "$(nproc)" = 1 ]; then
    chrt --fifo 1 perl -e '$shell = getppid; select undef, undef, undef, 0.0003 while getppid == $shell' &
fi
while kill -0 "$1"; do
    [ -S "$2" ] && "$3" --defaults-file="$4" --socket="$2" --user="$5" --execute="SELECT 1" && exit 0
    sleep 0.3
done
exit 1
"""

# The PID may belong to another process by now; the server's arguments name its directory.
_CLEAR = """
for directory in "$1"/*; do
    [ -d "$directory" ] || continue
    echo "$directory"
    if read -r pid < "$directory/started" && grep -q -a -F "$directory/" "/proc/$pid/cmdline"; then
        kill -KILL "$pid"
        while [ -d "/proc/$pid" ] && ! grep -q "^State:.Z" "/proc/$pid/status"; do sleep 0.3; done
    fi
    rm -rf "$directory"
done 2>/dev/null
rmdir "$1" 2>/dev/null
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerHandle:
    """A running server. `password_file` serves MySQL's clients ([client]) and sysbench (--config-file).

    `by_network`: clients may be measured that reach it by TCP, and by TLS.
    """

    pid: int
    prefix: Prefix
    directory: str
    socket: str
    port: int
    user: str
    database: str
    password: str = field(repr=False)
    password_file: str
    by_network: bool = False

    def setting(self, *, seed: int, scale: float) -> Setting:
        """What a workload needs to know about this server."""
        return Setting(
            prefix=self.prefix,
            socket=self.socket,
            user=self.user,
            password_file=self.password_file,
            seed=seed,
            scale=scale,
            server_pid=self.pid,
            directory=self.directory if self.by_network else "",
            port=self.port if self.by_network else 0,
        )


@contextmanager
def running_server(
    host: Host, prefix: Prefix, server: Server, *, by_network: bool = False
) -> Iterator[ServerHandle]:
    """A ready server of `prefix`, on its own copy of the data in memory; stopped afterwards.

    Where it is measured `by_network` too, it has a certificate, and its user has logged in that way once.
    Raises TrialError: stage "start server" with the tail of the server's log, stage "stop server" when it
    had to be killed.
    """
    directory = f"{RUNTIME}/{secrets.token_hex(4)}"
    try:
        handle = _start(host, prefix, server, directory, by_network=by_network)
        yield handle
    except BaseException:
        with suppress(KmlbenchError):
            daemon.kill(host, directory)
        raise
    else:
        daemon.stop(host, directory, handle.pid)
    finally:
        with suppress(HostError):
            daemon.remove(host, directory)


def clear(host: Host) -> str:
    """Stop servers that a dead controller left on a host that stays up, and remove their data.

    Returns what was removed, one line each.
    """
    argv = ["timeout", str(STOP_S), "sh", "-c", _CLEAR, "sh", RUNTIME]
    return host.run(argv, timeout_s=STOP_S + COMMAND_S).stdout


def _start(host: Host, prefix: Prefix, server: Server, directory: str, *, by_network: bool) -> ServerHandle:
    password = secrets.token_hex(16)
    owner = _copy_data(host, directory)
    daemon.write(host, f"{directory}/password", owner="root", text=_password_file(password))
    daemon.write(host, f"{directory}/init.sql", owner=owner, text=_init_sql(password))
    argv = (prefix.path(PROGRAMS[server].daemon), *arguments(server, directory, owner, PORT))
    if by_network:
        identity.install(host, directory, owner)
        argv = (*argv, *identity.options(directory))
    pid = daemon.launch(host, directory, argv)
    handle = ServerHandle(
        pid=pid,
        prefix=prefix,
        directory=directory,
        socket=f"{directory}/socket",
        port=PORT,
        user=USER,
        database=DATABASE,
        password=password,
        password_file=f"{directory}/password",
        by_network=by_network,
    )
    client = Prefix.USR.path(PROGRAMS[server].client)
    _await_ready(host, handle, client)
    if by_network:
        _log_in(host, handle, client)
    daemon.require(host.run(["rm", f"{directory}/init.sql"], timeout_s=COMMAND_S))
    return handle


def _copy_data(host: Host, directory: str) -> str:
    """Copy the pristine data and return its owner, as whom the server runs."""
    owner = daemon.require(host.run(["stat", "--format=%U", PRISTINE], timeout_s=COMMAND_S)).stdout.strip()
    install = ["install", "--directory", "--mode=0750", f"--owner={owner}"]
    daemon.require(host.run([*install, directory], timeout_s=COMMAND_S))
    copy = ["cp", "--archive", "--sparse=always", PRISTINE, f"{directory}/data"]
    daemon.require(host.run(copy, timeout_s=COMMAND_S))
    return owner


def _password_file(password: str) -> str:
    return f"[client]\npassword={password}\n[sysbench]\nmysql-password={password}\n"


def _init_sql(password: str) -> str:
    users = (f"'{USER}'@'{client_host}'" for client_host in ("localhost", "127.0.0.1"))
    grants = (
        f"CREATE USER {user} IDENTIFIED BY '{password}';\nGRANT ALL ON *.* TO {user};\n" for user in users
    )
    return "".join(grants) + f"CREATE DATABASE {DATABASE};\n"


def _await_ready(host: Host, handle: ServerHandle, client: str) -> None:
    shell = ["sh", "-c", _AWAIT_READY, "sh", str(handle.pid), handle.socket, client]
    argv = ["timeout", str(START_S), *shell, handle.password_file, handle.user]
    result = host.run(argv, timeout_s=START_S + COMMAND_S)
    if result.returncode:
        cause = f"did not answer within {START_S} s" if result.returncode == 124 else "exited while starting"
        raise TrialError(
            f"the server {cause}; {_last_words(result)}end of its log:\n"
            f"{daemon.log_tail(host, handle.directory)}",
            stage="start server",
            remedy="run the same command line in the guest (kmlbench guest ssh) to see why",
        )


def _log_in(host: Host, handle: ServerHandle, client: str) -> None:
    """Log in by TCP as its clients will.

    MySQL takes an account's first password by TLS only, and remembers it: later clients may do without.
    """
    address = (f"--host={LOOPBACK}", f"--port={handle.port}", f"--user={handle.user}")
    argv = [client, f"--defaults-file={handle.password_file}", *address, "--execute=SELECT 1"]
    daemon.require(host.run(argv, timeout_s=COMMAND_S))


def _last_words(result: CommandResult) -> str:
    words = result.stderr.strip().splitlines()
    return f"the client said: {words[-1]}; " if words else ""
