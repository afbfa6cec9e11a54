# SPDX-License-Identifier: MIT
"""What a campaign was run with: the project's commit and the versions of the tools."""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Collection, Mapping
from importlib.metadata import version
from pathlib import Path

from kmlbench import process
from kmlbench.errors import MachineError
from kmlbench.paths import PROJECT
from kmlbench.process import QEMU

# The program. The user's input, such as hosts.yaml, is in the record of each campaign.
PROGRAM = (
    *("kmlbench", "data", "guest", "instrument", "kernel", "workloads", "tools"),
    *("pyproject.toml", "requirements.lock", "setup.py"),
)

CHANGED, UNKNOWN = "-dirty", "unknown"

# setup.py writes the value of `git_commit` into this file of a wheel or an sdist.
RECORDED = "commit"

DIGITS = 12

TIMEOUT_S = 30.0

PACKAGES = ("kmlbench", "paramiko", "pymysql", "sqlalchemy", "numpy", "pandas", "scipy")


def git_commit() -> str:
    """The commit of the work tree, and "-dirty-" with a hash where it holds changes to the program.

    Outside of git, that of the work tree from which this wheel or sdist was built; else "unknown".
    """
    if not in_work_tree():
        return _recorded_commit()
    try:
        commit = _git("rev-parse", "HEAD").strip()
        tracked = _git("diff", "HEAD", "--name-only", "-z", "--", *PROGRAM)
        others = _git("ls-files", "--others", "--exclude-standard", "-z", "--", *PROGRAM)
    except MachineError:
        return UNKNOWN
    changed = {name for name in (tracked + others).split("\0") if name}
    return f"{commit}{CHANGED}-{_digest(changed)}" if changed else commit


def in_work_tree() -> bool:
    """Whether this program is in a work tree of git, and not built from one."""
    # git would describe any repository around the package.
    return (PROJECT / ".git").exists()


def commit_of(recorded: str) -> str | None:
    """The commit in a value of `git_commit`, None if unknown. Old records have no hash after "-dirty"."""
    return None if recorded == UNKNOWN else recorded.partition(CHANGED)[0]


def has_changes(recorded: str) -> bool:
    """Whether the program had uncommitted changes."""
    return CHANGED in recorded


def checkout(recorded: str) -> str:
    """How to have that version, as a remedy; empty if its commit is unknown."""
    commit = commit_of(recorded)
    if commit is None:
        return ""
    changes = ", then redo the changes that are not in that commit" if has_changes(recorded) else ""
    again = "" if in_work_tree() else ", and install kmlbench from there"
    return f"git checkout {commit}{changes}{again}"


def tools(*, guests: bool) -> Mapping[str, str]:
    """The versions by tool; QEMU's and the compiler's only where guests are built and booted."""
    versions = {"python": platform.python_version(), "system": platform.release()}
    if guests:
        versions |= {"qemu": _first_line(QEMU), "gcc": _first_line("gcc")}
    return versions | {package: version(package) for package in PACKAGES}


def _recorded_commit() -> str:
    try:
        return (PROJECT / RECORDED).read_text(encoding="utf-8").strip() or UNKNOWN
    except OSError:
        return UNKNOWN


def _git(*words: str) -> str:
    return process.check(("git", "-C", str(PROJECT), *words), timeout_s=TIMEOUT_S).stdout


def _digest(names: Collection[str]) -> str:
    total = hashlib.sha256()
    for name in sorted(names):
        total.update(f"{name}\0{_content(PROJECT / name)}\n".encode())
    return total.hexdigest()[:DIGITS]


def _content(path: Path) -> str:
    try:
        content = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return "not there"
    return f"{content} {os.access(path, os.X_OK)}"


def _first_line(program: str) -> str:
    return process.check((program, "--version"), timeout_s=TIMEOUT_S).stdout.splitlines()[0]
