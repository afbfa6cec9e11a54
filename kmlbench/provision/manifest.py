# SPDX-License-Identifier: MIT
"""What was installed on an SSH host: the manifest there, and the paths it may name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec
from msgspec import Struct

from kmlbench.errors import HostError
from kmlbench.model import Server
from kmlbench.results import lines

BASE = "/var/lib/kmlbench"

PATH = f"{BASE}/manifest.json"

# Nothing else is ever created or removed there. "." and ".." are not valid names.
OURS = re.compile(
    r"/(trusted|usr/lib/kmlbench|usr/share/kmlbench|var/lib/kmlbench)(/(?!\.{1,2}(/|\Z))[A-Za-z0-9_.,#@+-]+)*"
)

SUM = re.compile(r"[0-9a-f]{64}")

VERSION = 1


class _Record(Struct, frozen=True, kw_only=True):
    version: int
    server: Server
    directories: tuple[str, ...]
    files: dict[str, str]


_DECODER = msgspec.json.Decoder(_Record)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The SHA-256 of each installed file, the directories created, and for which server."""

    server: Server
    files: Mapping[str, str] = field(default_factory=dict)
    directories: tuple[str, ...] = ()

    def dump(self) -> str:
        """The text of the file."""
        record = _Record(
            version=VERSION,
            server=self.server,
            directories=self.directories,
            files=dict(sorted(self.files.items())),
        )
        return lines.seal(record) + "\n"


def parse_manifest(text: str, *, host: str) -> Manifest:
    """Read a host's manifest. Raises HostError if it is damaged or names paths that are not ours."""
    try:
        record = lines.decode(text, _DECODER)
        _require_ours(record)
    except ValueError as error:
        raise HostError(
            f"{host}: {PATH} is damaged: {error}",
            remedy=f"remove what it lists by hand, then {PATH}",
        ) from error
    return Manifest(server=record.server, files=record.files, directories=record.directories)


def _require_ours(record: _Record) -> None:
    if record.version != VERSION:
        raise ValueError("unknown version")
    foreign = [path for path in (*record.files, *record.directories) if not OURS.fullmatch(path)]
    if foreign:
        raise ValueError(f"it names {foreign[0]!r}, which is not ours")
    if not all(map(SUM.fullmatch, record.files.values())):
        raise ValueError("not a checksum")
