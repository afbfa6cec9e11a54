# SPDX-License-Identifier: MIT
"""With what a campaign was run: the project's commit and the versions of the tools."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from kmlbench import commands
from kmlbench.errors import MachineError
from kmlbench.hosts.qemu import QEMU

PROJECT = Path(__file__).resolve().parent.parent
TIMEOUT_S = 30.0
PACKAGES = ("kmlbench", "paramiko", "pymysql", "sqlalchemy", "numpy", "pandas", "scipy")


def git_commit() -> str:
    """The commit of the work tree, with "-dirty" when it holds changes; "unknown" outside of git."""
    try:
        result = commands.run(
            ("git", "-C", str(PROJECT), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"),
            timeout_s=TIMEOUT_S,
        )
    except MachineError:
        return "unknown"
    return result.stdout.strip() if result.returncode == 0 else "unknown"


def tools(*, guests: bool) -> Mapping[str, str]:
    """Versions by name; QEMU's and the compiler's only where guests are built and booted."""
    found = {"python": platform.python_version(), "system": platform.release()}
    if guests:
        found |= {"qemu": _first_line(QEMU), "gcc": _first_line("gcc")}
    return found | {package: version(package) for package in PACKAGES}


def _first_line(program: str) -> str:
    return commands.check((program, "--version"), timeout_s=TIMEOUT_S).stdout.splitlines()[0]
