# SPDX-License-Identifier: MIT
"""What is installed on an SSH host for a campaign: files, their sources, directories."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from kmlbench.model import Prefix, Server
from kmlbench.provision.manifest import BASE

PROGRAMS = "/usr/lib/kmlbench"

SCRIPTS = "/usr/share/kmlbench"

TRUSTED = str(Prefix.TRUSTED)

DATA = f"{BASE}/data"

# Only root may start programs below it: anyone who can owns the machine.
MODES = {TRUSTED: "0700"}

PACKAGES: Mapping[str, str] = {
    "bin/sysbench": "sysbench",
    "bin/python3": "python3",
    "bin/bash": "bash",
    "sbin/mysqld": "mysql-server-core",
    "bin/mysql": "mysql-client",
    "bin/mysqladmin": "mysql-client",
    "sbin/mariadbd": "mariadb-server-core",
    "bin/mariadb": "mariadb-client",
    "bin/mariadb-admin": "mariadb-client",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A file that this machine made and sends; `sha256` is that of its content."""

    path: str
    local: Path
    mode: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Copied:
    """A copy of a file below /usr of the host itself."""

    path: str
    source: str


Item = Sent | Copied


@dataclass(frozen=True, slots=True, kw_only=True)
class Belongings:
    """Everything, in the order in which it is installed.

    `initialise` is a shell script that makes the server's data in $1.
    """

    server: Server
    items: tuple[Item, ...]
    initialise: str

    @property
    def directories(self) -> tuple[str, ...]:
        """The directories of the files, parents before children."""
        parents = {parent for item in self.items for parent in _parents(item.path)}
        return tuple(sorted({BASE, *parents}))

    @property
    def sources(self) -> tuple[str, ...]:
        """The host's own files that are copied, without those that are sent first."""
        sent = {item.path for item in self.items if isinstance(item, Sent)}
        copied = (item.source for item in self.items if isinstance(item, Copied))
        return tuple(source for source in copied if source not in sent)


def belongings(server: Server, stage: Path, *, trusted: Sequence[str], initialise: str) -> Belongings:
    """What is installed on a host: the files of `stage`, laid out as on the host, and copies below /trusted.

    `trusted` holds paths relative to /usr; one that ends with "/*" stands for the files of the stage there.
    """
    sent = tuple(_sent(path, stage) for path in sorted(stage.rglob("*")) if path.is_file())
    copied = (
        Copied(path=Prefix.TRUSTED.path(relative), source=Prefix.USR.path(relative))
        for relative in _expanded(trusted, sent)
    )
    return Belongings(server=server, items=(*sent, *copied), initialise=initialise)


def _sent(local: Path, stage: Path) -> Sent:
    path = f"/{local.relative_to(stage)}"
    return Sent(
        path=path,
        local=local,
        mode="0755" if path.startswith(f"{PROGRAMS}/") else "0644",
        sha256=hashlib.sha256(local.read_bytes()).hexdigest(),
    )


def _expanded(trusted: Sequence[str], sent: Sequence[Sent]) -> Iterable[str]:
    for pattern in trusted:
        if pattern.endswith("/*"):
            start = Prefix.USR.path(pattern.removesuffix("*"))
            yield from (
                item.path.removeprefix(f"{Prefix.USR}/") for item in sent if item.path.startswith(start)
            )
        else:
            yield pattern


def _parents(path: str) -> Iterable[str]:
    """The directories above a path that are not the system's own."""
    listed = [str(parent) for parent in PurePosixPath(path).parents]
    return [parent for parent in listed if parent not in {"/", "/usr", "/usr/lib", "/usr/share"}]
