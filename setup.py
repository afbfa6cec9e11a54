# SPDX-License-Identifier: MIT
"""Wheels get what the package needs of the repository, as kmlbench/data, and the commit they were built from.

Everything else about the package is in pyproject.toml.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

PROJECT = Path(__file__).resolve().parent

# In this place and under these names kmlbench.paths looks for them; kernel/ without its tests.
DATA = (
    *("data", "guest", "instrument", "workloads", "hosts.yaml", "tools/packages.txt"),
    *(f"kernel/{name}" for name in ("LICENSE", "README.md", "base", "configs", "patches", "series")),
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


def _record_commit(directory: Path) -> None:
    # These two need no package but their own, so that they can be imported in an isolated build.
    sys.path.insert(0, str(PROJECT))
    from kmlbench.provenance import RECORDED, git_commit

    commit = git_commit()
    record = directory / RECORDED
    # In an sdist it may be a link to the file that it was built from.
    record.unlink(missing_ok=True)
    record.write_text(f"{commit}\n", encoding="utf-8")


setup(cmdclass={"build_py": BuildWithData, "sdist": SdistWithCommit})
