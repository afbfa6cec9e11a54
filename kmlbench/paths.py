# SPDX-License-Identifier: MIT
"""Where the parts of the project are that are not Python modules, and the user's own directories."""

from __future__ import annotations

import os
from pathlib import Path

from kmlbench.errors import MachineError

_PACKAGE = Path(__file__).resolve().parent

# setup.py copies what the package needs of the repository into a wheel.
_DATA = _PACKAGE / "data"

IN_CHECKOUT = not _DATA.is_dir()

PROJECT = _PACKAGE.parent if IN_CHECKOUT else _DATA

KERNEL = PROJECT / "kernel"

INSTRUMENT = PROJECT / "instrument"

WORKLOADS = PROJECT / "workloads"

PRICES = PROJECT / "data" / "prices"

# As messages name it: as in the repository, or where it lies in the wheel.
PRICES_PAGE = "data/prices/README.md" if IN_CHECKOUT else str(PRICES / "README.md")

PUBLISHED = PROJECT / "data" / "published"

PUBLISHED_PAGE = "data/published/README.md" if IN_CHECKOUT else str(PUBLISHED / "README.md")

COSTS_PROGRAM = PROJECT / "data" / "costs" / "costs.c"

HOSTS_EXAMPLE = PROJECT / "hosts.yaml"

DEBIAN_PACKAGES = PROJECT / "tools" / "packages.txt"


def setup_remedy() -> str:
    """How to install the Debian packages that building and measuring need."""
    if IN_CHECKOUT:
        return "run `make setup`"
    lines = DEBIAN_PACKAGES.read_text(encoding="utf-8").splitlines()
    names = " ".join(line for line in lines if not line.startswith("#"))
    return f"as root: apt-get install --no-install-recommends {names}"


def page(name: str) -> str:
    """How a message names a page of docs/: as in the repository, or where it lies in the wheel."""
    return f"docs/{name}" if IN_CHECKOUT else str(PROJECT / "docs" / name)


def home() -> Path:
    """The user's home directory. Raises MachineError where there is none."""
    try:
        path = Path.home()
    except RuntimeError as error:
        raise MachineError(
            f"there is no home directory: HOME is not set, and user {os.getuid()} is not in passwd",
            remedy="set HOME to a directory of yours",
        ) from error
    if not path.is_absolute():
        raise MachineError(
            f"HOME is {str(path)!r}, which is not an absolute path", remedy="set HOME to a directory of yours"
        )
    return path


def cache_home() -> Path:
    """XDG_CACHE_HOME, or ~/.cache. Raises MachineError where neither is an absolute path."""
    text = os.environ.get("XDG_CACHE_HOME")
    if not text:
        return home() / ".cache"
    if not Path(text).is_absolute():
        raise MachineError(
            f"XDG_CACHE_HOME is {text!r}, which is not an absolute path: the cache would be another one in "
            "each directory",
            remedy="set it to an absolute path, or unset it",
        )
    return Path(text)


def runtime_home() -> Path | None:
    """XDG_RUNTIME_DIR; None if it is not set. Raises MachineError if it is not a directory of this user."""
    text = os.environ.get("XDG_RUNTIME_DIR")
    if not text:
        return None
    path = Path(text)
    try:
        owner = path.stat().st_uid if path.is_absolute() and path.is_dir() else None
    except OSError:
        owner = None
    if owner is None or owner != os.geteuid():
        what = "not a directory that exists" if owner is None else f"the directory of user {owner}"
        raise MachineError(
            f"XDG_RUNTIME_DIR is {text!r}, {what}", remedy="unset it, as after `su` or `sudo -E`"
        )
    return path


def existing(path: Path) -> Path:
    """The nearest directory to `path`, itself included, that this user can see."""
    return next(parent for parent in (path, *path.absolute().parents) if _is_visible(parent))


def _is_visible(path: Path) -> bool:
    try:
        path.stat()
    except OSError:
        return False
    return True
