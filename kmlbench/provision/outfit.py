# SPDX-License-Identifier: MIT
"""Programs of a campaign's own on its hosts: put there after each boot, and taken away before it ends."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from kmlbench.errors import HostError, InputError
from kmlbench.hosts.base import Booted, Machines, require_success
from kmlbench.model import Boot, Host, Prefix

# The name of the fact that says which programs they are.
FACT = "own_programs_sha256"

TIMEOUT_S = 300.0

_ARCHIVE = "/run/kmlbench-programs.tar"

_UNPACK = """
set -eu
umask 022
archive=$1 root=$2
shift 2
for prefix; do
    rm -rf "$prefix/$root"
    tar --extract --no-same-owner --file="$archive" --directory="$prefix"
done
rm "$archive"
"""

_ABSENT, _SCRIPT = 3, 4

# Pairs of a file below /usr and its name below each prefix.
_COPY = f"""
set -eu
umask 022
while [ $# -gt 0 ]; do
    [ -f "/usr/$1" ] || {{ echo "$1"; exit {_ABSENT}; }}
    [ "$(head -c 2 "/usr/$1" | tr -d '\\0')" != '#!' ] || {{ echo "$1"; exit {_SCRIPT}; }}
    for prefix in {" ".join(Prefix)}; do install -D -m 0755 "/usr/$1" "$prefix/$2"; done
    shift 2
done
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outfit:
    """What lies below `root`, below each prefix, while a campaign runs.

    `archive` is a tar file of programs of this machine; `copied` are the host's own, by their path below
    /usr, with the path of the copy below each prefix.
    """

    root: str
    archive: Path | None = None
    copied: Mapping[str, str] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """What tells this outfit from others."""
        content = self.archive.read_bytes() if self.archive else b""
        return hashlib.sha256(content + repr(sorted(self.copied.items())).encode()).hexdigest()


def fitted_out(machines: Machines, outfit: Outfit) -> Machines:
    """Machines with these programs. A boot raises InputError for a program that its host does not have."""
    digest = outfit.digest

    @contextmanager
    def boot(planned: Boot, directory: Path) -> Iterator[Booted]:
        with machines(planned, directory) as booted, _placed(booted.host, outfit):
            image = booted.image and f"{booted.image}+{digest}"
            yield replace(booted, image=image, facts={**booted.facts, FACT: digest})

    return boot


@contextmanager
def _placed(host: Host, outfit: Outfit) -> Iterator[None]:
    try:
        if outfit.archive is not None:
            host.put(outfit.archive, _ARCHIVE)
            unpack = ("sh", "-c", _UNPACK, "sh", _ARCHIVE, outfit.root, *Prefix)
            require_success(host, host.run(unpack, timeout_s=TIMEOUT_S), "unpacking the programs")
        if outfit.copied:
            _copy(host, outfit.copied)
        yield
    finally:
        with suppress(HostError):
            left = (_ARCHIVE, *(prefix.path(outfit.root) for prefix in Prefix))
            host.run(("rm", "-rf", "--", *left), timeout_s=TIMEOUT_S)


def _copy(host: Host, files: Mapping[str, str]) -> None:
    """Copy programs of the host."""
    pairs = (path for pair in files.items() for path in pair)
    result = host.run(("sh", "-c", _COPY, "sh", *pairs), timeout_s=TIMEOUT_S)
    path = Prefix.USR.path(result.stdout.strip())
    if result.returncode == _ABSENT:
        raise InputError(
            f"{host.name} has no program {path}",
            remedy="leave out guest: if it is a program of this machine",
        )
    if result.returncode == _SCRIPT:
        raise InputError(
            f"{path} of {host.name} is a script: its interpreter is the program that would be measured",
            remedy=f"give the interpreter, and {path} as its first argument",
        )
    require_success(host, result, "copying its programs")
