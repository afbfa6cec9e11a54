# SPDX-License-Identifier: MIT
"""Debian's kernel source: the tarball that the patches apply to, unpacked."""

from __future__ import annotations

from pathlib import Path

from kmlbench import commands
from kmlbench.build.kernel import KERNEL

UNPACK_TIMEOUT_S = 600.0


def unpack(directory: Path) -> Path:
    """The source, unpacked as `directory`/source."""
    package = (KERNEL / "base").read_text().strip()
    tarball = Path("/usr/src") / f"{package}.tar.xz"
    argv = ("tar", "--extract", "--file", str(tarball), "--directory", str(directory))
    commands.check(argv, timeout_s=UNPACK_TIMEOUT_S)
    return (directory / package).rename(directory / "source")
