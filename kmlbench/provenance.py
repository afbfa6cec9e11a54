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

# Tags of releases, v1.2 or v1.2.3; no others.
RELEASES = ("--match=v[0-9]*", "--exclude=*[!v0-9.]*")

# What precedes the first release has its number of commits, as setuptools-scm would number it.
BEFORE_RELEASES = "0.1.dev"

# Where there is neither git nor a record.
NO_VERSION = f"{BEFORE_RELEASES}0+{UNKNOWN}"

DIGITS = 12

# Of a commit in a version: a fixed number, as git abbreviates differently in each clone.
COMMIT_DIGITS = 9

TIMEOUT_S = 30.0

PACKAGES = ("paramiko", "pymysql", "sqlalchemy", "numpy", "pandas", "scipy")


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


def package_version() -> str:
    """The version by PEP 440: that of the work tree as it is now, else that of the installed package."""
    return tree_version() if in_work_tree() else version("kmlbench")


def tree_version() -> str:
    """The version of the work tree: 1.2 at the tag v1.2, else with the commit and the number of commits.

    1.2.post3+g012345678 is three commits after that tag, 0.1.dev812+g012345678 is before the first, and
    ".dirty" at the end means changes of the program that are not in that commit. NO_VERSION without git.
    """
    recorded = git_commit()
    commit = commit_of(recorded)
    if commit is None:
        return NO_VERSION
    release, distance = _release()
    local = f"+g{commit[:COMMIT_DIGITS]}{'.dirty' if has_changes(recorded) else ''}"
    if release is None:
        return f"{BEFORE_RELEASES}{distance}{local}"
    if distance:
        return f"{release}.post{distance}{local}"
    return f"{release}{local}" if has_changes(recorded) else release


def _release() -> tuple[str | None, int]:
    """The last release, and the number of commits since; None, and of all commits, if there is none."""
    try:
        described = _git("describe", "--tags", "--long", *RELEASES).strip()
    except MachineError:
        return None, int(_git("rev-list", "--count", "HEAD"))
    tag, distance, _ = described.rsplit("-", 2)
    return tag.removeprefix("v"), int(distance)


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
    return versions | {"kmlbench": package_version()} | {package: version(package) for package in PACKAGES}


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
