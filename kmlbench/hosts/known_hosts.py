# SPDX-License-Identifier: MIT
"""The host keys that an OpenSSH known_hosts file has for a host, as ssh reads it (sshd(8), SSH_KNOWN_HOSTS).

paramiko's own reader knows neither patterns, nor markers, nor that names are compared in lower case.
"""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import paramiko

HASHED = "|1|"

DEFAULT_PORT = 22


class Marker(StrEnum):
    """What a line says of its key; NONE: it is the host's."""

    NONE = ""
    AUTHORITY = "@cert-authority"
    REVOKED = "@revoked"


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownKeys:
    """What a file has for a host: its keys that are not revoked, how many are, and who may certify others."""

    keys: Sequence[paramiko.PKey]
    revoked: int
    authorities: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    marker: Marker
    hosts: str
    kind: str
    key: str


def known_name(address: str, port: int) -> str:
    """The name under which ssh looks a host up."""
    return address.lower() if port == DEFAULT_PORT else f"[{address.lower()}]:{port}"


def keys_in(path: Path, address: str, port: int) -> KnownKeys:
    """The keys of a host; those of its address alone, if this port has none of its own, as ssh does it.

    Raises OSError, or whatever paramiko does for a key that is damaged.
    """
    lines = list(_lines(path.read_text(encoding="utf-8", errors="surrogateescape")))
    names = dict.fromkeys((known_name(address, port), known_name(address, DEFAULT_PORT)))
    by_name = [_keys([line for line in lines if _matches(name, line.hosts)]) for name in names]
    without = KnownKeys(keys=(), revoked=0, authorities=sum(keys.authorities for keys in by_name))
    return next((keys for keys in by_name if keys.keys or keys.revoked), without)


def _keys(lines: Sequence[_Line]) -> KnownKeys:
    keys = {marker: [_key(line) for line in lines if line.marker is marker] for marker in Marker}
    revoked = [key for key in keys[Marker.REVOKED] if key is not None]
    own = [key for key in keys[Marker.NONE] if key is not None and key not in revoked]
    return KnownKeys(keys=own, revoked=len(revoked), authorities=len(keys[Marker.AUTHORITY]))


def _key(line: _Line) -> paramiko.PKey | None:
    """The key of a line; None for a kind that is not supported."""
    try:
        return paramiko.PKey.from_type_string(line.kind, base64.b64decode(line.key))
    except paramiko.pkey.UnknownKeyType:
        return None


def _lines(text: str) -> Iterator[_Line]:
    for line in text.split("\n"):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        marker = words.pop(0) if words[0].startswith("@") else ""
        if marker in set(Marker) and len(words) >= 3:
            yield _Line(marker=Marker(marker), hosts=words[0], kind=words[1], key=words[2])


def _matches(name: str, hosts: str) -> bool:
    """Whether a list of patterns, or a hashed name, is that of a host; a pattern with ! excludes it."""
    if hosts.startswith(HASHED):
        return hmac.compare_digest(_hashed(name, hosts), hosts)
    patterns = hosts.lower().split(",")
    excluded = any(_is_like(name, pattern[1:]) for pattern in patterns if pattern.startswith("!"))
    return not excluded and any(_is_like(name, pattern) for pattern in patterns)


def _is_like(name: str, pattern: str) -> bool:
    """Only * and ? have a meaning: a name in brackets is no set of characters."""
    parts = (".*" if char == "*" else "." if char == "?" else re.escape(char) for char in pattern)
    return re.fullmatch("".join(parts), name) is not None


def _hashed(name: str, salt: str) -> str:
    try:
        return paramiko.HostKeys.hash_host(name, salt)
    except (ValueError, IndexError, AssertionError):
        return ""
