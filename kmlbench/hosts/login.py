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
from paramiko.ssh_exception import NoValidConnectionsError

from kmlbench.errors import HostError
from kmlbench.hosts.spec import Beside, number, plain_field, text_field

RETRY_S = 0.2

# Paramiko logs each failed attempt with a traceback; the errors raised here report it once.
logging.getLogger("paramiko").addHandler(logging.NullHandler())


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """The address of a host, the user and private key to log in with, and its host key.

    The host must present `host_key`, a public key, or one that the file `known_hosts` has for it.
    """

    # Keys of hosts.yaml of which one is given, and what to do about it.
    either: ClassVar[tuple[str, ...]] = ("host_key", "known_hosts")
    neither: ClassVar[str] = "say which key the host must show: either host_key or known_hosts"

    address: str = field(
        metadata=text_field(
            "the name or address of its SSH server",
            pattern=r"[A-Za-z0-9_][A-Za-z0-9_.:-]*",
            wanted="a name or an address, IPv6 without brackets",
        )
    )
    port: int = field(default=22, metadata=number("the port of its SSH server", 1, 65535))
    user: str = field(
        metadata=text_field(
            "who logs in: root, or a user who becomes root by sudo",
            pattern=r"[A-Za-z_][A-Za-z0-9_.-]*",
            wanted="the name of a user",
        )
    )
    key: Annotated[Path, Beside()] = field(
        metadata=plain_field("the private key that logs in: a file, unencrypted, that nobody else can read")
    )
    host_key: str = field(
        default="",
        metadata=text_field(
            "the public key that it must show, a line of its ssh_host_ed25519_key.pub",
            pattern=r"(ssh-ed25519|ssh-rsa|ecdsa-sha2-[a-z0-9-]+) [A-Za-z0-9+/]+={0,3}( [^\x00-\x1f\x7f]*)?",
            wanted="the host's public key, such as 'ssh-ed25519 AAAA...'",
        ),
    )
    known_hosts: Annotated[Path, Beside()] | None = field(
        default=None,
        metadata=plain_field(
            "in place of host_key: a file as ssh keeps it that has the host's key, such as ~/.ssh/known_hosts"
        ),
    )

    @property
    def jump(self) -> Login | None:
        """What the connection goes through."""
        return None

    def __str__(self) -> str:
        through = f" through {self.jump}" if self.jump else ""
        return f"{self.user}@{self.address}:{self.port}{through}"

    @contextmanager
    def client(self, *, deadline_s: float) -> Iterator[paramiko.SSHClient]:
        """A client that is logged in. Raises HostError."""
        deadline = time.monotonic() + deadline_s
        known, private = self._keys()
        with ExitStack() as stack:
            gate = stack.enter_context(self.jump.client(deadline_s=deadline_s)) if self.jump else None
            while True:
                client = self._client(known)
                try:
                    self._try(client, private, gate, timeout_s=max(RETRY_S, deadline - time.monotonic()))
                except (paramiko.SSHException, EOFError, OSError) as error:
                    client.close()
                    self._give_up(error, late=time.monotonic() + RETRY_S > deadline, deadline_s=deadline_s)
                    time.sleep(RETRY_S)
                else:
                    break
            stack.callback(client.close)
            yield client

    def faults(self) -> Iterator[tuple[str, HostError]]:
        """The fields whose key or file cannot be used, each with the reason. No host is contacted."""
        known = "host_key" if self.known_hosts is None else "known_hosts"
        for name, read in (("key", self._private_key), (known, self._known_keys)):
            try:
                read()
            except HostError as error:
                yield name, error

    def _keys(self) -> tuple[Sequence[paramiko.PKey], paramiko.PKey]:
        try:
            return self._known_keys(), self._private_key()
        except HostError as error:
            raise HostError(f"{self}: {error.args[0]}", remedy=error.remedy) from error

    def _client(self, known: Sequence[paramiko.PKey]) -> paramiko.SSHClient:
        client = paramiko.SSHClient()
        client.set_missing_host_key_policy(paramiko.RejectPolicy())
        for key in known:
            client.get_host_keys().add(self._known_name(), key.get_name(), key)
        return client

    def _try(
        self,
        client: paramiko.SSHClient,
        private: paramiko.PKey,
        gate: paramiko.SSHClient | None,
        *,
        timeout_s: float,
    ) -> None:
        client.connect(
            self.address,
            port=self.port,
            username=self.user,
            pkey=private,
            sock=None if gate is None else self._channel(gate, timeout_s),
            timeout=timeout_s,
            banner_timeout=timeout_s,
            auth_timeout=timeout_s,
            allow_agent=False,
            look_for_keys=False,
        )

    def _channel(self, gate: paramiko.SSHClient, timeout_s: float) -> paramiko.Channel:
        """A stream to this host from the jump host."""
        transport = gate.get_transport()
        if transport is None:
            raise EOFError(f"{self.jump} closed the connection")
        place = (self.address, self.port)
        return transport.open_channel("direct-tcpip", place, ("127.0.0.1", 0), timeout=timeout_s)

    def _give_up(self, error: Exception, *, late: bool, deadline_s: float) -> None:
        """Raises HostError for errors that retrying cannot fix."""
        if isinstance(error, paramiko.BadHostKeyException) or "not found in known_hosts" in str(error):
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

    def _known_name(self) -> str:
        """This host's name in a known_hosts file."""
        return self.address if self.port == 22 else f"[{self.address}]:{self.port}"

    # Reading a key, paramiko raises whatever the library below it does: a passphrase is a TypeError, a kind
    # that it does not know has an error of its own, damage may be an OverflowError or an AssertionError.

    def _known_keys(self) -> Sequence[paramiko.PKey]:
        return [self._given_key()] if self.known_hosts is None else self._kept_keys(self.known_hosts)

    def _given_key(self) -> paramiko.PKey:
        try:
            kind, encoded = self.host_key.split()[:2]
            return paramiko.PKey.from_type_string(kind, base64.b64decode(encoded))
        except Exception as error:
            raise HostError(
                f"{self.host_key[:60]!r} is not a public host key",
                remedy="give the line of the host's ssh_host_ed25519_key.pub",
            ) from error

    def _kept_keys(self, path: Path) -> Sequence[paramiko.PKey]:
        try:
            kept = paramiko.HostKeys(str(path)).lookup(self._known_name())
        except Exception as error:
            raise HostError(
                f"the known_hosts file {path} cannot be used: {_cause(error)}",
                remedy="give an OpenSSH known_hosts file, or host_key instead",
            ) from error
        if not kept:
            through = f"-J {self.jump} " if self.jump else ""
            raise HostError(
                f"{path} has no key of {self._known_name()}",
                remedy=f"log in once with `ssh {through}-p {self.port} {self.user}@{self.address}`, compare "
                "the key's fingerprint with what the host's own console says, and accept it",
            )
        return [kept[kind] for kind in kept]

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
