# SPDX-License-Identifier: MIT
"""An SSH server in this process that does with a command what a test says: a host that cannot be trusted."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paramiko

from kmlbench import process
from kmlbench.hosts.login import Login

Behaviour = Callable[[str, paramiko.Channel], None]
IGNORED = "never answered"
ASKED_FIRST = "printenv SHELL"


class Server(paramiko.ServerInterface):
    """Lets everybody in, and hands each command to a behaviour in a thread of its own."""

    def __init__(self, behaviour: Behaviour, shell: str) -> None:
        self._behaviour = behaviour
        self._shell = shell
        self.wanted: dict[int, tuple[str, int]] = {}

    def get_allowed_auths(self, username: str) -> str:
        del username
        return "publickey"

    def check_auth_publickey(self, username: str, key: paramiko.PKey) -> int:
        del username, key
        return paramiko.common.AUTH_SUCCESSFUL

    def check_channel_request(self, kind: str, chanid: int) -> int:
        del kind, chanid
        return paramiko.common.OPEN_SUCCEEDED

    def check_channel_direct_tcpip_request(
        self, chanid: int, origin: tuple[str, int], destination: tuple[str, int]
    ) -> int:
        del origin
        self.wanted[chanid] = destination
        return paramiko.common.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel: paramiko.Channel, command: bytes) -> bool:
        text = command.decode()
        if IGNORED in text:
            threading.Event().wait(5)
        threading.Thread(target=self._serve, args=(text, channel), daemon=True).start()
        return True

    def _serve(self, command: str, channel: paramiko.Channel) -> None:
        # The end of the input comes after the client has seen that its command was taken.
        deadline = time.monotonic() + 5
        while not channel.eof_received and time.monotonic() < deadline:
            time.sleep(0.001)
        # The client closes the channel when it has had enough.
        with suppress(OSError, paramiko.SSHException, EOFError):
            if self._shell and command == ASKED_FIRST:
                channel.sendall(f"{self._shell}\n".encode())
                channel.send_exit_status(0)
                channel.close()
            else:
                self._behaviour(command, channel)


@dataclass(frozen=True, slots=True)
class Listening:
    """Where a server of the test listens, and the private and public keys that belong to it."""

    port: int
    key: Path
    host_key: str

    def login(self) -> Login:
        return Login(address="127.0.0.1", port=self.port, user="root", key=self.key, host_key=self.host_key)


# What a server sees of a client that goes away.
GONE = (OSError, paramiko.SSHException, EOFError)


def new_key(directory: Path, name: str = "key") -> Path:
    key = directory / name
    process.check(("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)), timeout_s=60)
    return key


def forward(transport: paramiko.Transport, server: Server) -> None:
    """Connect the channels that want to go on to another address."""
    while transport.is_active():
        channel = transport.accept(0.1)
        if channel is not None and channel.chanid in server.wanted:
            place = server.wanted[channel.chanid]
            threading.Thread(target=_join, args=(channel, place), daemon=True).start()


def _join(channel: paramiko.Channel, place: tuple[str, int]) -> None:
    with suppress(*GONE), socket.create_connection(place) as server:
        both: list[Any] = [channel, server]
        while True:
            for item in select.select(both, [], [])[0]:
                data = item.recv(1 << 16)
                if not data:
                    channel.close()
                    return
                both[1 - both.index(item)].sendall(data)


@contextmanager
def listening(directory: Path, behaviour: Behaviour, *, shell: str = "/bin/sh") -> Iterator[Listening]:
    """A server that serves connections until the block ends; without a `shell` it is asked for one, too."""
    key = new_key(directory)
    private = paramiko.Ed25519Key.from_private_key_file(str(key))
    transports: list[paramiko.Transport] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                transport = paramiko.Transport(connection)
                transports.append(transport)
                transport.add_server_key(private)
                server = Server(behaviour, shell)
                # A client that refuses our key hangs up in the middle.
                with suppress(*GONE):
                    transport.start_server(server=server)
                    threading.Thread(target=forward, args=(transport, server), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        public = key.with_name("key.pub").read_text()
        try:
            yield Listening(listener.getsockname()[1], key, public)
        finally:
            for transport in transports:
                transport.close()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
