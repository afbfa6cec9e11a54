# SPDX-License-Identifier: MIT
"""Logging in over SSH: the host key is known beforehand, the login is by key, patience has a deadline."""

from __future__ import annotations

import base64
import binascii
import logging
import time
from dataclasses import dataclass
from pathlib import Path

import paramiko

from kmlbench.errors import HostError

RETRY_S = 0.2

# Paramiko logs each failed try with a traceback; the errors raised here say it once.
logging.getLogger("paramiko").addHandler(logging.NullHandler())


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """Where a host is, who logs in with which private key, and the public key the host must show."""

    address: str
    port: int
    user: str
    key: Path
    host_key: str

    def __str__(self) -> str:
        return f"{self.user}@{self.address}:{self.port}"

    def client(self, *, deadline_s: float) -> paramiko.SSHClient:
        """A client that is logged in. Raises HostError."""
        deadline = time.monotonic() + deadline_s
        known, private = self._known_key(), self._private_key()
        while True:
            client = paramiko.SSHClient()
            client.set_missing_host_key_policy(paramiko.RejectPolicy())
            client.get_host_keys().add(self._known_name(), known.get_name(), known)
            try:
                self._try(client, private, timeout_s=max(RETRY_S, deadline - time.monotonic()))
            except (paramiko.SSHException, EOFError, OSError) as error:
                client.close()
                self._give_up(error, late=time.monotonic() + RETRY_S > deadline, deadline_s=deadline_s)
                time.sleep(RETRY_S)
            else:
                return client

    def _try(self, client: paramiko.SSHClient, private: paramiko.PKey, *, timeout_s: float) -> None:
        client.connect(
            self.address,
            port=self.port,
            username=self.user,
            pkey=private,
            timeout=timeout_s,
            banner_timeout=timeout_s,
            auth_timeout=timeout_s,
            allow_agent=False,
            look_for_keys=False,
        )

    def _give_up(self, error: Exception, *, late: bool, deadline_s: float) -> None:
        """Raises HostError for what no further try can mend."""
        if isinstance(error, paramiko.BadHostKeyException) or "not found in known_hosts" in str(error):
            raise HostError(
                f"{self} shows another host key than the one that is known for it",
                remedy="if the host was really made anew, put its new public key into hosts.yaml; if not, "
                "something else answers at this address",
            ) from error
        if isinstance(error, paramiko.AuthenticationException):
            raise HostError(
                f"{self} refused the login with {self.key}: {error}",
                remedy="put the public half of that key into the host's authorized_keys",
            ) from error
        if late:
            raise HostError(
                f"{self} did not answer within {deadline_s:.0f} s: {str(error) or type(error).__name__}",
                remedy="see whether the host runs and its SSH server listens there",
            ) from error

    def _known_name(self) -> str:
        """How a known_hosts file spells this host."""
        return self.address if self.port == 22 else f"[{self.address}]:{self.port}"

    def _known_key(self) -> paramiko.PKey:
        try:
            kind, encoded = self.host_key.split()[:2]
            return paramiko.PKey.from_type_string(kind, base64.b64decode(encoded))
        except (ValueError, binascii.Error, paramiko.SSHException, paramiko.pkey.UnknownKeyType) as error:
            raise HostError(
                f"{self}: {self.host_key[:60]!r} is not a public host key",
                remedy="give the line of the host's ssh_host_ed25519_key.pub",
            ) from error

    def _private_key(self) -> paramiko.PKey:
        try:
            return paramiko.PKey.from_path(self.key)
        except (OSError, ValueError, paramiko.SSHException, paramiko.pkey.UnknownKeyType) as error:
            raise HostError(
                f"{self}: the private key {self.key} cannot be used: {error}",
                remedy="give the file of an unencrypted SSH key that you can read",
            ) from error
