# SPDX-License-Identifier: MIT
"""What was installed on a machine of the user's: the file there that says so, and what it may name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from kmlbench.errors import HostError
from kmlbench.model import Server
from kmlbench.results import fields

BASE = "/var/lib/kmlbench"

PATH = f"{BASE}/manifest.json"

# Nothing else is ever made or removed there. "." and ".." are no names.
OURS = re.compile(
    r"/(trusted|usr/lib/kmlbench|usr/share/kmlbench|var/lib/kmlbench)(/(?!\.{1,2}(/|\Z))[A-Za-z0-9_.,#@+-]+)*"
)

SUM = re.compile(r"[0-9a-f]{64}")

VERSION = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The SHA-256 of each file that was installed, the directories that were made, and for which server."""

    server: Server
    files: Mapping[str, str] = field(default_factory=dict)
    directories: tuple[str, ...] = ()

    def dump(self) -> str:
        """The text of the file."""
        record = {
            "version": VERSION,
            "server": str(self.server),
            "directories": list(self.directories),
            "files": dict(sorted(self.files.items())),
        }
        return fields.seal(record) + "\n"


def parse(text: str, *, host: str) -> Manifest:
    """Read the file of a host. Raises HostError for one that is damaged or names what is not ours."""
    try:
        record = fields.load(text)
        files, directories = record.get("files"), record.get("directories")
        if (
            record.get("version") != VERSION
            or not isinstance(files, dict)
            or not isinstance(directories, list)
        ):
            raise ValueError("it is not one of this version")
        foreign = [
            path for path in (*files, *directories) if not (isinstance(path, str) and OURS.fullmatch(path))
        ]
        if foreign:
            raise ValueError(f"it names {foreign[0]!r}, which is not ours")
        if not all(isinstance(found, str) and SUM.fullmatch(found) for found in files.values()):
            raise ValueError("a checksum in it is none")
        return Manifest(
            server=Server(fields.text(record, "server")), files=files, directories=tuple(directories)
        )
    except ValueError as error:
        raise HostError(
            f"{host}: {PATH} is damaged: {error}",
            remedy=f"see what it lists, remove that by hand, then {PATH}",
        ) from error
