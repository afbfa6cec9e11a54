# SPDX-License-Identifier: MIT
"""What is at some paths of a host: kind, mode, owner and content, in two round trips."""

from __future__ import annotations

import re
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kmlbench.hosts.base import require_success
from kmlbench.model import Host

TIMEOUT_S = 300.0

LINE = re.compile(r"([0-9a-f]{1,8})\|([^|\n]*)\|([^|\n]*)")

SUM_LINE = re.compile(r"([0-9a-f]{64})  (.*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A path's state; `sha256` is empty if it has no content. A link's content is that of its target."""

    mode: int
    owner: str
    sha256: str

    @property
    def is_file(self) -> bool:
        return stat.S_ISREG(self.mode)

    @property
    def is_directory(self) -> bool:
        return stat.S_ISDIR(self.mode)

    @property
    def others_write(self) -> bool:
        """Whether anyone other than its owner can modify it."""
        return bool(self.mode & 0o022)


def survey(host: Host, paths: Sequence[str]) -> Mapping[str, Seen]:
    """What is at each of these absolute paths; missing ones are left out. Raises HostError."""
    if not paths:
        return {}
    lines = _ask(host, "stat", "--format=%f|%U|%n", "--", *paths)
    found = [match for line in lines if (match := LINE.fullmatch(line))]
    sums = _sums(host, [match[3] for match in found if not stat.S_ISDIR(int(match[1], 16))])
    return {
        match[3]: Seen(mode=int(match[1], 16), owner=match[2], sha256=sums.get(match[3], ""))
        for match in found
        if match[3] in paths
    }


def tree(host: Host, directory: str) -> tuple[Mapping[str, str], tuple[str, ...]]:
    """The SHA-256 of each file below a directory, and the directories with itself first. Raises HostError."""
    listed = _ask(host, "find", directory, "-printf", "%y %p\n")
    found = sorted((line[2:], line[0]) for line in listed if line)
    files = [path for path, kind in found if kind == "f"]
    return _sums(host, files), tuple(path for path, kind in found if kind == "d")


def _sums(host: Host, paths: Sequence[str]) -> Mapping[str, str]:
    lines = _ask(host, "sha256sum", "--", *paths) if paths else []
    matches = [match for line in lines if (match := SUM_LINE.fullmatch(line))]
    return {match[2]: match[1] for match in matches if match[2] in paths}


def _ask(host: Host, *argv: str) -> list[str]:
    """The lines of a command that exits with 1 if some of the paths are missing."""
    result = host.run(argv, timeout_s=TIMEOUT_S)
    if result.returncode not in (0, 1):
        require_success(host, result, "inspecting its files")
    return result.stdout.split("\n")
