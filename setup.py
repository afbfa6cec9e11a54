# SPDX-License-Identifier: MIT
"""The version, from git; and what the package needs of the repository, for wheels, as kmlbench/data.

Everything else about the package is in pyproject.toml.
"""

from __future__ import annotations

import shutil
import sys
from email.parser import Parser
from pathlib import Path
from types import ModuleType

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

PROJECT = Path(__file__).resolve().parent

# The versions of Linux that there are patches for.
LINUX = sorted(base.parent.name for base in PROJECT.glob("kernel/*/base"))

# In this place and under these names kmlbench.paths looks for them; kernel/ without its tests.
DATA = (
    *("data", "guest", "instrument", "workloads", "hosts.yaml", "tools/packages.txt"),
    *(f"kernel/{name}" for name in ("LICENSE", "README.md", "checksums.toml", "common", *LINUX)),
    *(f"docs/{page.name}" for page in (PROJECT / "docs").glob("*.md")),
)


class BuildWithData(build_py):
    """An editable install reads the checkout itself, and gets nothing."""

    def run(self) -> None:
        if not self.editable_mode:
            # What an earlier build left there would be in the wheel.
            shutil.rmtree(self.build_lib, ignore_errors=True)
        super().run()
        if not self.editable_mode:
            _add_data(Path(self.build_lib) / "kmlbench" / "data")


class SdistWithCommit(sdist):
    """What is built from an sdist is built outside of git."""

    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        super().make_release_tree(base_dir, files)
        _record_commit(Path(base_dir))


def _add_data(target: Path) -> None:
    for name in DATA:
        source, copy = PROJECT / name, target / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, copy)
    _record_commit(target)


def _version() -> str:
    """Of the work tree; in an sdist, that of the work tree it was made from."""
    if _provenance().in_work_tree():
        return str(_provenance().tree_version())
    try:
        return str(Parser().parsestr((PROJECT / "PKG-INFO").read_text(encoding="utf-8"))["Version"])
    except FileNotFoundError:
        return str(_provenance().NO_VERSION)


def _provenance() -> ModuleType:
    # It needs no package but its own, so that it can be imported in an isolated build.
    if str(PROJECT) not in sys.path:
        sys.path.insert(0, str(PROJECT))
    from kmlbench import provenance

    return provenance


def _record_commit(directory: Path) -> None:
    commit = _provenance().git_commit()
    record = directory / _provenance().RECORDED
    # In an sdist it may be a link to the file that it was built from.
    record.unlink(missing_ok=True)
    record.write_text(f"{commit}\n", encoding="utf-8")


setup(version=_version(), cmdclass={"build_py": BuildWithData, "sdist": SdistWithCommit})
