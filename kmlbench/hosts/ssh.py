# SPDX-License-Identifier: MIT
"""A host over SSH: one connection, one channel per command, and limits for everything it sends."""

from __future__ import annotations

import base64
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
from kmlbench.storage import write_whole

KEEPALIVE_S = 15

CHUNK_BYTES = 1 << 20

OPEN_TIMEOUT_S = 60.0

# Paramiko's own timeouts use wall-clock time, which may be set: here they never expire.
NEVER_S = 1e9

FILE_TIMEOUT_S = 600.0

# Per command, both streams together, and per stream to a port.
OUTPUT_BYTES = 128 << 20

SUDO = ("sudo", "--non-interactive", "--")

GONE = "look at its console log or whether it still runs"

TOO_FEW_SESSIONS = "MaxSessions 10 in its sshd_config: a session may begin before the last one is gone"

NO_PORT = "see whether a server listens there, and for AllowTcpForwarding yes in its sshd_config"

# The login user cannot kill root's command.
SUDO_GRACE_S = 5

_WRITE = 'umask 077; cat > "$1.partial" && chmod "$2" "$1.partial" && mv -f "$1.partial" "$1"'


# What login shells disagree on even between single quotes: csh ends a word at a newline and expands !, fish
# reads \\ as one.
MEANT_DIFFERENTLY = frozenset("\n\r\\!")

NOISE_CHARACTERS = 200


def command_line(argv: Sequence[str]) -> str:
    """`argv` as any login shell of the host understands it: sh, bash, zsh, dash, tcsh, fish."""
    # zsh takes =ls for the path of ls.
    words = " ".join(
        f"'{word}'" if word.startswith("=") and "'" not in word else shlex.quote(word) for word in argv
    )
    if not MEANT_DIFFERENTLY & set(words):
        return words
    encoded = base64.b64encode(f"exec {words}".encode(errors="surrogateescape")).decode()
    return f"""exec /bin/sh -c 'eval "$(echo "$0" | base64 -d)"' {encoded}"""


@dataclass(slots=True)
class _Collected:
    """What a channel has received so far."""

    stdout: bytearray = field(default_factory=bytearray)
    stderr: bytearray = field(default_factory=bytearray)
    returncode: int = -1

    def size(self) -> int:
        return len(self.stdout) + len(self.stderr)


class SshHost:
    """A machine behind an SSH connection. Implements kmlbench.model.Host.

    With `sudo`, commands run as root. A host may be broken or hostile: a command that sends more than
    OUTPUT_BYTES, does not end, or does not start in time is a HostError.
    """

    def __init__(self, name: str, transport: paramiko.Transport, *, sudo: bool = False) -> None:
        self.name = name
        self._transport = transport
        self._sudo = sudo

    def run(self, argv: Sequence[str], *, timeout_s: float, stdin: bytes = b"") -> CommandResult:
        """See kmlbench.model.Host. A command that exceeds its deadline is killed on the host."""
        started = time.monotonic()
        collected = self._execute(argv, timeout_s=timeout_s, stdin=stdin)
        return CommandResult(
            argv=tuple(argv),
            returncode=collected.returncode,
            stdout=collected.stdout.decode(errors="replace"),
            stderr=collected.stderr.decode(errors="replace"),
            elapsed_s=time.monotonic() - started,
        )

    def put(self, source: Path, destination: str) -> None:
        """Copy a local file, with its permission bits. Raises HostError if the host cannot write it."""
        argv = ("sh", "-c", _WRITE, "sh", destination, f"{source.stat().st_mode & 0o7777:04o}")
        self._copy(f"{source} to {destination}", argv, stdin=source.read_bytes())

    def get(self, source: str, destination: Path) -> None:
        """Copy a file from the host. Raises HostError if it is missing; leaves no partial file."""
        received = self._copy(f"{source} to {destination}", ("cat", "--", source))
        write_whole(destination, bytes(received.stdout))

    def dial(self, port: int) -> ByteStream:
        """See kmlbench.model.Host. Raises HostError if nothing listens there."""
        moment = f"while port {port} of it was opened"
        with self._alive(moment, refused=NO_PORT), self._answering():
            channel = self._transport.open_channel(
                "direct-tcpip", ("127.0.0.1", port), ("127.0.0.1", 0), timeout=NEVER_S
            )
        return BoundedStream(name=self.name, stream=channel, left=OUTPUT_BYTES)

    def _copy(self, what: str, argv: Sequence[str], *, stdin: bytes = b"") -> _Collected:
        received = self._execute(argv, timeout_s=FILE_TIMEOUT_S, stdin=stdin)
        if received.returncode:
            complaint = received.stderr.decode(errors="replace").strip()
            raise HostError(f"{self.name}: cannot copy {what}: {complaint or received.returncode}")
        return received

    def _execute(self, argv: Sequence[str], *, timeout_s: float, stdin: bytes) -> _Collected:
        deadline = time.monotonic() + timeout_s
        with self._alive(f"while it ran `{argv[0]}`", refused=TOO_FEW_SESSIONS):
            with self._answering():
                channel = self._transport.open_session(timeout=NEVER_S)
            try:
                with _closed_after(channel, timeout_s):
                    channel.exec_command(command_line(self._as_root(argv, timeout_s)))
                _feed(channel, stdin)
                collected = _drain(channel, deadline)
                if collected.size() > OUTPUT_BYTES:
                    self._kill(channel)
                    raise HostError(
                        f"{self.name}: `{argv[0]}` printed more than {OUTPUT_BYTES >> 20} MiB and was killed",
                        remedy="run it by hand to see its output",
                    )
                if not channel.status_event.wait(max(0.0, deadline - time.monotonic())):
                    self._kill(channel)
                    raise self._late(argv, timeout_s)
            except paramiko.SSHException as error:
                if time.monotonic() < deadline:
                    raise
                raise self._late(argv, timeout_s) from error
            finally:
                channel.close()
        collected.returncode = channel.exit_status
        self._require_status(collected.returncode, argv)
        return collected

    def _as_root(self, argv: Sequence[str], timeout_s: float) -> tuple[str, ...]:
        if not self._sudo:
            return tuple(argv)
        return (*SUDO, "timeout", "--signal=KILL", f"{timeout_s + SUDO_GRACE_S:.0f}", *argv)

    def _late(self, argv: Sequence[str], timeout_s: float) -> CommandTimeout:
        return CommandTimeout(
            f"{self.name}: `{shlex.join(argv)}` did not end within {timeout_s:g} s",
            remedy="check whether the host is overloaded, or give the step more time",
        )

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """Close the connection if the host has not answered within OPEN_TIMEOUT_S."""
        timer = threading.Timer(OPEN_TIMEOUT_S, self._transport.close)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    @contextmanager
    def _alive(self, moment: str, *, refused: str) -> Iterator[None]:
        """Turn any failure of the connection into a HostError; `refused`: the remedy for a channel's."""
        try:
            yield
        except (paramiko.SSHException, EOFError, OSError) as error:
            cause = str(error) or type(error).__name__
            active = self._transport.is_active()
            raise HostError(
                f"{self.name} {'refused' if active else 'went away'} {moment}: {cause}",
                remedy=refused if active and isinstance(error, paramiko.ChannelException) else GONE,
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
                remedy=GONE,
            )


@dataclass(slots=True, kw_only=True)
class BoundedStream:
    """A stream to a port of a host; at most `left` bytes of it are read. Implements model.ByteStream."""

    name: str
    stream: paramiko.Channel
    left: int

    def sendall(self, data: bytes, /) -> None:
        self.stream.sendall(data)

    def recv(self, size: int, /) -> bytes:
        """Raises HostError if the host has sent too much."""
        received = self.stream.recv(size)
        self.left -= len(received)
        if self.left < 0:
            self.stream.close()
            raise HostError(f"{self.name}: its server sent more than {OUTPUT_BYTES >> 20} MiB")
        return received

    def settimeout(self, timeout: float | None, /) -> None:
        self.stream.settimeout(timeout)

    def close(self) -> None:
        self.stream.close()


@contextmanager
def reach(login: Login, *, deadline_s: float, name: str, sudo: bool = False) -> Iterator[SshHost]:
    """A connection to a host, retried until it answers or `deadline_s` seconds have passed.

    Raises HostError at once for a wrong host key, a refused login, a login shell that prints something, or a
    sudo that does not give root.
    """
    with _reached(login, deadline_s=deadline_s) as transport:
        _require_silence(SshHost(name, transport), login)
        host = SshHost(name, transport, sudo=sudo)
        if sudo:
            _require_root(host, login)
        yield host


@contextmanager
def _reached(login: Login, *, deadline_s: float) -> Iterator[paramiko.Transport]:
    with login.client(deadline_s=deadline_s) as client:
        transport = client.get_transport()
        if transport is None:
            raise HostError(f"{login} closed the connection after login")
        transport.set_keepalive(KEEPALIVE_S)
        yield transport


@contextmanager
def connect(  # noqa: PLR0913 - an address is what it is
    address: str, *, port: int, user: str, key: Path, host_key: str, deadline_s: float, name: str = ""
) -> Iterator[SshHost]:
    """As `reach`, for a host of our own making that shows `host_key` ("ssh-ed25519 AAAA...")."""
    login = Login(address=address, port=port, user=user, key=key, host_key=host_key)
    with _reached(login, deadline_s=deadline_s) as transport:
        yield SshHost(name or address, transport)


def _require_silence(host: SshHost, login: Login) -> None:
    """Raises HostError if the login shell prints something of its own: it would be taken for answers."""
    *noise, shell = host.run(("printenv", "SHELL"), timeout_s=OPEN_TIMEOUT_S).stdout.splitlines() or [""]
    if noise or not shell.startswith("/"):
        text = "\n".join([*noise, *(() if shell.startswith("/") else (shell,))])
        named = f"its login shell {shell}" if shell.startswith("/") else "its login shell"
        raise HostError(
            f"{login}: {named} prints something before each command: {text[:NOISE_CHARACTERS]!r}",
            remedy="let its start-up files (~/.bashrc, ~/.cshrc, …) print only in a terminal",
        )


def _require_root(host: SshHost, login: Login) -> None:
    result = host.run(("id", "-u"), timeout_s=OPEN_TIMEOUT_S)
    if result.stdout != "0\n":
        raise HostError(
            f"{login} does not become root by sudo: {result.stderr.strip() or result.stdout.strip()}",
            remedy=f"allow {login.user} sudo without a password (NOPASSWD in /etc/sudoers.d), or use root",
        )


@contextmanager
def _closed_after(channel: paramiko.Channel, timeout_s: float) -> Iterator[None]:
    """Close the channel if the block takes longer: paramiko waits for an answer forever."""

    def close() -> None:
        # The connection may already be gone.
        with suppress(OSError, EOFError, paramiko.SSHException):
            channel.close()

    timer = threading.Timer(timeout_s, close)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _feed(channel: paramiko.Channel, stdin: bytes) -> None:
    """Send standard input and its end, while the output is read."""

    def send() -> None:
        # A command may exit without reading its input.
        with suppress(paramiko.SSHException, EOFError, OSError):
            channel.sendall(stdin)
            channel.shutdown_write()

    if stdin:
        threading.Thread(target=send, daemon=True).start()
    else:
        channel.shutdown_write()


def _drain(channel: paramiko.Channel, deadline: float) -> _Collected:
    """Both streams to their end, to the deadline (of time.monotonic), or until they are too long."""
    collected = _Collected()
    while True:
        # Checked before reading, so that data arriving with the end is read, too.
        ended = channel.eof_received or channel.closed
        waiting = True
        while waiting and collected.size() <= OUTPUT_BYTES and time.monotonic() < deadline:
            waiting = channel.recv_ready() or channel.recv_stderr_ready()
            if channel.recv_ready():
                collected.stdout += channel.recv(CHUNK_BYTES)
            if channel.recv_stderr_ready():
                collected.stderr += channel.recv_stderr(CHUNK_BYTES)
        remaining = deadline - time.monotonic()
        if ended or remaining <= 0 or collected.size() > OUTPUT_BYTES:
            return collected
        select.select([channel], [], [], remaining)
