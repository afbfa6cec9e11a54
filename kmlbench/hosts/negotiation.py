# SPDX-License-Identifier: MIT
"""The part of SSH that comes before a login: which host keys are taken, and which algorithms there were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import paramiko
from paramiko.ssh_exception import IncompatiblePeer

# By the word in paramiko's complaint: what it is called, and whose lists they are.
KINDS: Mapping[str, tuple[str, str, str]] = {
    "kex algorithm": ("key exchange", "kex_algo_list", "kex"),
    "host key": ("host key", "server_key_algo_list", "key_types"),
    "ciphers": ("cipher", "client_encrypt_algo_list", "ciphers"),
    "macs": ("MAC", "client_mac_algo_list", "digests"),
    "compression": ("compression", "client_compress_algo_list", "compression"),
}

# In the list of key exchanges, but none.
EXTENSIONS = ("kex-strict-", "ext-info-")

# An RSA key is asked for by the hash of its signatures.
SIGNATURES = {"ssh-rsa": ("rsa-sha2-512", "rsa-sha2-256")}


class ClientTransport(paramiko.Transport):
    """A client's side of a connection, which remembers what the server offered."""

    offered: Mapping[str, Sequence[str]]

    def _really_parse_kex_init(self, message: Any, ignore_first_byte: bool = False) -> Any:
        # paramiko has no public way to see it.
        parsed = super()._really_parse_kex_init(message, ignore_first_byte)  # type: ignore[misc]
        self.offered = {name: list(words) for name, words in parsed.items() if isinstance(words, list)}
        return parsed


class Dialer:
    """Makes the transport of a client that prefers the kinds of the host's known keys, as ssh does."""

    def __init__(self, known: Sequence[paramiko.PKey]) -> None:
        self._known = known
        self._transport: ClientTransport | None = None

    def __call__(self, sock: Any, /, **options: Any) -> ClientTransport:
        """The transport, which is not started."""
        self._transport = transport = ClientTransport(sock, **options)
        security = transport.get_security_options()
        kinds = [key.get_name() for key in self._known]
        wanted = [name for kind in kinds for name in SIGNATURES.get(kind, (kind,))]
        known = [name for name in dict.fromkeys(wanted) if name in security.key_types]
        security.key_types = [*known, *(name for name in security.key_types if name not in known)]
        return transport

    def disagreement(self, error: IncompatiblePeer) -> str:
        """What both sides could not agree on, with the algorithms of each."""
        kind = next(
            (words for complaint, words in KINDS.items() if f"acceptable {complaint}" in str(error)), None
        )
        offered = getattr(self._transport, "offered", None)
        if kind is None or self._transport is None or offered is None:
            return str(error)
        title, theirs, ours = kind
        own = getattr(self._transport.get_security_options(), ours)
        algorithms = [name for name in offered[theirs] if not name.startswith(EXTENSIONS)]
        return f"no {title} in common: it offers {', '.join(algorithms)}; here is {', '.join(own)}"


class KnownKeyPolicy(paramiko.MissingHostKeyPolicy):
    """Accepts the known keys and no other."""

    def __init__(self, known: Sequence[paramiko.PKey]) -> None:
        self._known = known

    def missing_host_key(self, client: paramiko.SSHClient, hostname: str, key: paramiko.PKey) -> None:
        """Raises BadHostKeyException."""
        del client
        if key not in self._known:
            raise paramiko.BadHostKeyException(hostname, key, self._known[0])
