# SPDX-License-Identifier: MIT
"""An SSH server on the loopback interface with a few commands of its own, for tests without a guest.

"flood N" says N bytes on each stream, "hang" never ends, "drop" breaks the connection; anything else is
echoed. A server whose `late_s` is set opens channels that late.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import paramiko

from kmlbench import process
from kmlbench.hosts.ssh import SshHost, connect

CHUNK = b"x" * (1 << 16)


@dataclass(slots=True)
class Server(paramiko.ServerInterface):
    """One connection's side of the server."""

    transport: paramiko.Transport
    late_s: float = 0.0
    killed: threading.Event = field(default_factory=threading.Event)

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        del username, key
        return paramiko.common.AUTH_SUCCESSFUL

    def get_allowed_auths(self, username: str) -> str:
        del username
        return "publickey"

    def check_channel_request(self, kind: str, chanid: int) -> int:
        del kind, chanid
        self.killed.wait(self.late_s)
        return paramiko.common.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        threading.Thread(target=self._run, args=(channel, command.decode()), daemon=True).start()
        return True

    def _run(self, channel: paramiko.Channel, command: str) -> None:
        word, _, rest = command.partition(" ")
        with suppress(OSError, EOFError, paramiko.SSHException):
            # The end of the command's input comes when its start was confirmed.
            channel.recv(1)
            match word:
                case "flood":
                    self._flood(channel, int(rest))
                case "hang":
                    self.killed.wait(60)
                case "drop":
                    self.transport.close()
                case _:
                    channel.sendall(command.encode())
            channel.send_exit_status(0)
            channel.close()

    def _flood(self, channel: paramiko.Channel, count: int) -> None:
        """The streams one after the other: who reads only one of them waits for ever."""
        for send in (channel.sendall_stderr, channel.sendall):
            for _ in range(count // len(CHUNK)):
                send(CHUNK)


@contextmanager
def serving(directory: Path) -> Iterator[tuple[SshHost, Server]]:
    """A connection to such a server, and the server's side of it."""
    key = paramiko.Ed25519Key.from_private_key_file(str(_new_key(directory)))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        servers: list[Server] = []
        accepting = threading.Thread(target=_accept, args=(listener, key, servers), daemon=True)
        accepting.start()
        with connect(
            "127.0.0.1",
            port=port,
            user="somebody",
            key=directory / "key",
            host_key=f"{key.get_name()} {key.get_base64()}",
            deadline_s=20,
            name="played",
        ) as host:
            accepting.join()
            yield host, servers[0]
        servers[0].killed.set()
        servers[0].transport.close()


def _accept(listener: socket.socket, key: paramiko.PKey, servers: list[Server]) -> None:
    connection, _ = listener.accept()
    transport = paramiko.Transport(connection)
    transport.add_server_key(key)
    servers.append(Server(transport))
    transport.start_server(server=servers[0])


def _new_key(directory: Path) -> Path:
    path = directory / "key"
    argv = ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path))
    process.check(argv, timeout_s=60)
    return path
