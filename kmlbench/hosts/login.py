# SPDX-License-Identifier: MIT
"""Logging in over SSH: with a pinned host key, a private key, and a deadline."""

from __future__ import annotations

import base64
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar

import paramiko
from paramiko.ssh_exception import IncompatiblePeer, NoValidConnectionsError

from kmlbench.errors import HostError
from kmlbench.hosts.known_hosts import keys_in, known_name
from kmlbench.hosts.negotiation import Dialer, KnownKeyPolicy
from kmlbench.hosts.spec import Beside
from kmlbench.paths import home
from kmlbench.rules import number, plain_field, text_field

# The first pause between two attempts, by how much each is longer than the one before, and the longest.
RETRY_S, BACK_OFF, LONGEST_PAUSE_S = 0.2, 1.5, 5.0

USER_CONFIG = ".ssh/config"

# Paramiko logs each failed attempt with a traceback; the errors raised here report it once.
logging.getLogger("paramiko").addHandler(logging.NullHandler())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attempt:
    """One attempt to log in: the keys of both sides, and the jump host."""

    known: Sequence[paramiko.PKey]
    private: paramiko.PKey
    gate: paramiko.SSHClient | None
    dialer: Dialer


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """The address of a host, the user and private key to log in with, and its host key.

    The host must present `host_key`, a public key, or one that the file `known_hosts` has for it.
    """

    # The keys of hosts.yaml of which exactly one must be given, and the message when that is not so.
    either: ClassVar[tuple[str, ...]] = ("host_key", "known_hosts")
    neither: ClassVar[str] = "give the key that the host must present: either host_key or known_hosts"

    address: str = field(
        metadata=text_field(
            "the name or address of its SSH server",
            pattern=r"[A-Za-z0-9_:][A-Za-z0-9_.:%-]*",
            wanted="a host name or an address (IPv6 without brackets)",
        )
    )
    port: int = field(default=22, metadata=number("the port of its SSH server", 1, 65535))
    user: str = field(
        metadata=text_field(
            "the login: root, or a user who becomes root with sudo",
            pattern=r"[A-Za-z0-9_][A-Za-z0-9_.@+\\-]*",
            wanted="a user name",
        )
    )
    key: Annotated[Path, Beside()] = field(
        metadata=plain_field("the private key to log in with: an unencrypted file that nobody else can read")
    )
    host_key: str = field(
        default="",
        metadata=text_field(
            "the public key that it must present: a line of its ssh_host_ed25519_key.pub",
            pattern=r"(ssh-ed25519|ssh-rsa|ecdsa-sha2-[a-z0-9-]+) [A-Za-z0-9+/]+={0,3}( [^\x00-\x1f\x7f]*)?",
            wanted="the host's public key, such as 'ssh-ed25519 AAAA...'",
        ),
    )
    known_hosts: Annotated[Path, Beside()] | None = field(
        default=None,
        metadata=plain_field(
            "instead of host_key: an OpenSSH known_hosts file with the host's key, such as ~/.ssh/known_hosts"
        ),
    )

    @property
    def jump(self) -> Login | None:
        """The host that the connection goes through."""
        return None

    def __str__(self) -> str:
        through = f" through {self.jump}" if self.jump else ""
        return f"{self.user}@{self.address}:{self.port}{through}"

    @contextmanager
    def client(self, *, deadline_s: float) -> Iterator[paramiko.SSHClient]:
        """A client that is logged in. Raises HostError."""
        deadline = time.monotonic() + deadline_s
        known, private = self._keys()
        pause = RETRY_S
        with ExitStack() as stack:
            gate = stack.enter_context(self.jump.client(deadline_s=deadline_s)) if self.jump else None
            while True:
                attempt = _Attempt(known=known, private=private, gate=gate, dialer=Dialer(known))
                try:
                    client = self._try(attempt, timeout_s=max(RETRY_S, deadline - time.monotonic()))
                    break
                except (paramiko.SSHException, EOFError, OSError) as error:
                    left = deadline - time.monotonic()
                    self._give_up(error, attempt.dialer, late=left < RETRY_S, deadline_s=deadline_s)
                    time.sleep(min(pause, left))
                    pause = min(BACK_OFF * pause, LONGEST_PAUSE_S)
            stack.callback(client.close)
            yield client

    def faults(self) -> Iterator[tuple[str, HostError]]:
        """The fields whose key or file cannot be used, each with the reason. Contacts no host."""
        known = "host_key" if self.known_hosts is None else "known_hosts"
        fields = (("address", self._require_no_alias), ("key", self._private_key), (known, self._known_keys))
        for name, read in fields:
            try:
                read()
            except HostError as error:
                yield name, error

    def _keys(self) -> tuple[Sequence[paramiko.PKey], paramiko.PKey]:
        try:
            return self._known_keys(), self._private_key()
        except HostError as error:
            raise HostError(f"{self}: {error.args[0]}", remedy=error.remedy) from error

    def _try(self, attempt: _Attempt, *, timeout_s: float) -> paramiko.SSHClient:
        client = paramiko.SSHClient()
        client.set_missing_host_key_policy(KnownKeyPolicy(attempt.known))
        with ExitStack() as unless_it_works:
            unless_it_works.callback(client.close)
            client.connect(
                self.address,
                port=self.port,
                username=self.user,
                pkey=attempt.private,
                sock=None if attempt.gate is None else self._channel(attempt.gate, timeout_s),
                timeout=timeout_s,
                banner_timeout=timeout_s,
                auth_timeout=timeout_s,
                allow_agent=False,
                look_for_keys=False,
                transport_factory=attempt.dialer,
            )
            unless_it_works.pop_all()
        return client

    def _channel(self, gate: paramiko.SSHClient, timeout_s: float) -> paramiko.Channel:
        """A stream to this host from the jump host."""
        transport = gate.get_transport()
        if transport is None:
            raise EOFError(f"{self.jump} closed the connection")
        destination = (self.address, self.port)
        return transport.open_channel("direct-tcpip", destination, ("127.0.0.1", 0), timeout=timeout_s)

    def _give_up(self, error: Exception, dialer: Dialer, *, late: bool, deadline_s: float) -> None:
        """Raises HostError for errors that retrying cannot fix."""
        if isinstance(error, IncompatiblePeer):
            raise HostError(
                f"{self} cannot be talked to: {dialer.disagreement(error)}",
                remedy="allow one of these in the host's /etc/ssh/sshd_config, or update its SSH server",
            ) from error
        if isinstance(error, paramiko.BadHostKeyException):
            raise HostError(
                f"{self} presents a different host key than expected",
                remedy="if the host was really reinstalled, put its new public key into hosts.yaml or its "
                "known_hosts; if not, something else answers at this address",
            ) from error
        if isinstance(error, paramiko.AuthenticationException):
            raise HostError(
                f"{self} refused the login with {self.key}: {error}",
                remedy="put the public half of that key into the host's authorized_keys",
            ) from error
        if late:
            raise HostError(
                f"{self} did not answer within {deadline_s:.0f} s: {_cause(error)}",
                remedy="check that the host is up and that its SSH server listens there",
            ) from error

    def _require_no_alias(self) -> None:
        """Raises HostError if the address only means something to ssh."""
        try:
            path = home() / USER_CONFIG
            given = paramiko.SSHConfig.from_path(str(path)).lookup(self.address)
        except Exception:
            # No home, no such file, or one that paramiko cannot read: then nothing is known of aliases.
            return
        meant = given.get("hostname", self.address)
        if meant.lower() != self.address.lower():
            words = ", ".join(
                f"{name} {given[name]}" for name in ("hostname", "port", "user") if name in given
            )
            raise HostError(
                f"{self.address!r} is an alias in {path}, which kmlbench does not read: it means {words}",
                remedy="write these as address, port and user (a ProxyJump as jump)",
            )

    # When paramiko reads a key, errors of the library below it pass through: a passphrase is a TypeError, an
    # unknown kind of key has an error of its own, damage may be an OverflowError or an AssertionError.

    def _known_keys(self) -> Sequence[paramiko.PKey]:
        return [self._inline_key()] if self.known_hosts is None else self._keys_in(self.known_hosts)

    def _inline_key(self) -> paramiko.PKey:
        try:
            kind, encoded = self.host_key.split()[:2]
            return paramiko.PKey.from_type_string(kind, base64.b64decode(encoded))
        except Exception as error:
            raise HostError(
                f"{self.host_key[:60]!r} is not a public host key",
                remedy="give the line of the host's ssh_host_ed25519_key.pub",
            ) from error

    def _keys_in(self, path: Path) -> Sequence[paramiko.PKey]:
        try:
            known = keys_in(path, self.address, self.port)
        except Exception as error:
            raise HostError(
                f"the known_hosts file {path} cannot be used: {_cause(error)}",
                remedy="give an OpenSSH known_hosts file, or host_key instead",
            ) from error
        name = known_name(self.address, self.port)
        if not known.keys and known.revoked:
            raise HostError(
                f"{path} revokes the key of {name} (@revoked)",
                remedy="give the host a new key, and put that into the file",
            )
        if not known.keys and known.authorities:
            raise HostError(
                f"{path} has only a certificate authority for {name} (@cert-authority), and kmlbench "
                "reads no host certificates",
                remedy="give the host's own key: a line of its /etc/ssh/ssh_host_ed25519_key.pub as host_key",
            )
        if not known.keys:
            through = f"-J {self.jump} " if self.jump else ""
            raise HostError(
                f"{path} has no key of {name}",
                remedy=f"log in once with `ssh {through}-p {self.port} {self.user}@{self.address}`, compare "
                "the key's fingerprint with what the host's own console says, and accept it",
            )
        return known.keys

    def _private_key(self) -> paramiko.PKey:
        try:
            mode = self.key.stat().st_mode & 0o777
            private = paramiko.PKey.from_path(self.key)
        except Exception as error:
            raise HostError(
                f"the private key {self.key} cannot be used: {_cause(error)}",
                remedy="give the file of an unencrypted SSH key that you can read",
            ) from error
        if mode & 0o077:
            raise HostError(
                f"others may read the private key {self.key} (mode {mode:04o})",
                remedy=f"chmod 600 {self.key}; if others may have read it, create a new one",
            )
        return private


def _cause(error: Exception) -> str:
    """The text of an error; the system's own for an OSError."""
    match error:
        case NoValidConnectionsError(errors=tried):
            return ", ".join(dict.fromkeys(map(_cause, tried.values())))
        case OSError(strerror=str(words)):
            return words
    return str(error) or type(error).__name__
