# SPDX-License-Identifier: MIT
"""A host reached over SSH: one connection, one channel per command."""

from __future__ import annotations

import select
import shlex
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import paramiko

from kmlbench.errors import CommandTimeout, HostError
from kmlbench.hosts.login import Login
from kmlbench.model import ByteStream, CommandResult

KEEPALIVE_S = 15
CHUNK_BYTES = 1 << 20
OPEN_TIMEOUT_S = 60.0
# Paramiko's own timeouts look at a clock that may be set: here they never come.
NEVER_S = 1e9


@dataclass(slots=True)
class _Collected:
    """What a channel has delivered so far."""

    stdout: bytearray = field(default_factory=bytearray)
    stderr: bytearray = field(default_factory=bytearray)


class SshHost:
    """A machine behind an SSH connection. Implements kmlbench.model.Host."""

    def __init__(self, name: str, transport: paramiko.Transport) -> None:
        self.name = name
        self._transport = transport
        self._sftp: paramiko.SFTPClient | None = None

    def run(self, argv: Sequence[str], *, timeout_s: float, stdin: bytes = b"") -> CommandResult:
        """See kmlbench.model.Host. A command that outlives its deadline is killed on the host."""
        started = time.monotonic()
        deadline = started + timeout_s
        with self._alive(f"while it ran `{argv[0]}`"):
            with self._answering():
                channel = self._transport.open_session(timeout=NEVER_S)
            try:
                with self._answering():
                    channel.exec_command(shlex.join(argv))
                _feed(channel, stdin)
                collected = _drain(channel, deadline)
                ended = channel.status_event.wait(max(0.0, deadline - time.monotonic()))
                if collected is None or not ended:
                    self._kill(channel)
                    raise CommandTimeout(
                        f"{self.name}: `{shlex.join(argv)}` did not end within {timeout_s:g} s",
                        remedy="see whether the host is overloaded, or give the step more time",
                    )
            finally:
                channel.close()
        self._require_status(channel.exit_status, argv)
        return CommandResult(
            argv=tuple(argv),
            returncode=channel.exit_status,
            stdout=collected.stdout.decode(errors="replace"),
            stderr=collected.stderr.decode(errors="replace"),
            elapsed_s=time.monotonic() - started,
        )

    def put(self, source: Path, destination: str) -> None:
        """Copy a local file, with its permission bits. Raises HostError when the host cannot write it."""
        with self._transfer(f"{source} to {destination}") as sftp:
            sftp.put(str(source), destination)
            sftp.chmod(destination, source.stat().st_mode & 0o7777)

    def get(self, source: str, destination: Path) -> None:
        """Copy a file of the host. Raises HostError when it is not there; leaves no half of it."""
        partial = destination.with_name(f".{destination.name}.partial")
        try:
            with self._transfer(f"{source} to {destination}") as sftp:
                sftp.get(source, str(partial))
            partial.rename(destination)
        finally:
            partial.unlink(missing_ok=True)

    def dial(self, port: int) -> ByteStream:
        """See kmlbench.model.Host. Raises HostError when nothing listens there."""
        with self._alive(f"while port {port} of it was opened"), self._answering():
            return self._transport.open_channel(
                "direct-tcpip", ("127.0.0.1", port), ("127.0.0.1", 0), timeout=NEVER_S
            )

    @contextmanager
    def _transfer(self, what: str) -> Iterator[paramiko.SFTPClient]:
        """The one SFTP session, opened at its first use."""
        with self._alive(f"while copying {what}"):
            if self._sftp is None:
                self._sftp = paramiko.SFTPClient.from_transport(self._transport)
            if self._sftp is None:
                raise HostError(
                    f"{self.name} offers no SFTP", remedy="enable Subsystem sftp in its sshd_config"
                )
            try:
                yield self._sftp
            except OSError as error:
                if not self._transport.is_active():
                    raise
                raise HostError(f"{self.name}: cannot copy {what}: {error}") from error

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """Give the connection up when the host has not answered within OPEN_TIMEOUT_S."""
        timer = threading.Timer(OPEN_TIMEOUT_S, self._transport.close)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    @contextmanager
    def _alive(self, moment: str) -> Iterator[None]:
        """Any failure of the connection is a HostError."""
        try:
            yield
        except (paramiko.SSHException, EOFError, OSError) as error:
            cause = str(error) or type(error).__name__
            state = "did not do as asked" if self._transport.is_active() else "went away"
            raise HostError(
                f"{self.name} {state} {moment}: {cause}",
                remedy="look at its console log or whether it still runs",
            ) from error

    def _kill(self, channel: paramiko.Channel) -> None:
        """Ask sshd to kill the command's process group (RFC 4254, section 6.9)."""
        message = paramiko.Message()
        message.add_byte(bytes([paramiko.common.MSG_CHANNEL_REQUEST]))
        message.add_int(channel.remote_chanid)
        message.add_string("signal")
        message.add_boolean(False)
        message.add_string("KILL")
        with suppress(paramiko.SSHException, EOFError, OSError):
            # Paramiko has no public way to send a signal.
            self._transport._send_user_message(message)  # type: ignore[attr-defined]

    def _require_status(self, status: int, argv: Sequence[str]) -> None:
        # paramiko's -1: the channel closed without an exit status, as when the connection is lost.
        if status == -1 and not self._transport.is_active():
            raise HostError(
                f"{self.name} went away while it ran `{argv[0]}`",
                remedy="look at its console log or whether it still runs",
            )


@contextmanager
def connect(  # noqa: PLR0913 - an address is what it is
    address: str, *, port: int, user: str, key: Path, host_key: str, deadline_s: float, name: str = ""
) -> Iterator[SshHost]:
    """A connection to a host, tried until it answers or `deadline_s` seconds are over.

    `key` is the private key that logs in, `host_key` the public key that the host must show
    ("ssh-ed25519 AAAA..."). Raises HostError at once for another host key or a refused login.
    """
    login = Login(address=address, port=port, user=user, key=key, host_key=host_key)
    client = login.client(deadline_s=deadline_s)
    try:
        transport = client.get_transport()
        if transport is None:
            raise HostError(f"{login} closed the connection after login")
        transport.set_keepalive(KEEPALIVE_S)
        yield SshHost(name or address, transport)
    finally:
        client.close()


def _feed(channel: paramiko.Channel, stdin: bytes) -> None:
    """Send the standard input and its end, beside the reading of what comes back."""

    def send() -> None:
        # A command may end without reading its input.
        with suppress(paramiko.SSHException, EOFError, OSError):
            channel.sendall(stdin)
            channel.shutdown_write()

    if stdin:
        threading.Thread(target=send, daemon=True).start()
    else:
        channel.shutdown_write()


def _drain(channel: paramiko.Channel, deadline: float) -> _Collected | None:
    """Both streams to their end, or None at the deadline (of time.monotonic)."""
    collected = _Collected()
    while True:
        # Asked before reading: what arrives with the end is read, too.
        ended = channel.eof_received or channel.closed
        while channel.recv_ready():
            collected.stdout += channel.recv(CHUNK_BYTES)
        while channel.recv_stderr_ready():
            collected.stderr += channel.recv_stderr(CHUNK_BYTES)
        if ended:
            return collected
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            return None
        select.select([channel], [], [], remaining)
