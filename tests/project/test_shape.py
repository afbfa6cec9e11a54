# SPDX-License-Identifier: MIT
"""What import-linter does not see: processes, SSH and Dask have one home; only the command line prints."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest
from support.paths import REPOSITORY

from kmlbench import process

PACKAGE = REPOSITORY / "kmlbench"
HOMES = {
    "subprocess": ("process", "hosts"),
    "paramiko": ("hosts",),
    **dict.fromkeys(("dask", "distributed"), ("cluster",)),
}


def modules() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def unit(path: Path) -> str:
    """The module, or the sub-package, that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[str]:
    """The full names of what a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_processes_and_ssh_have_one_home(path: Path) -> None:
    for name in imports(path):
        assert unit(path) in HOMES.get(name.split(".")[0], (unit(path),)), f"{path.name} imports {name}"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_the_command_line_prints_or_exits(path: Path) -> None:
    calls = [node.func for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    text = {ast.unparse(called) for called in calls} & {"print", "sys.exit", "exit", "quit", "os._exit"}
    assert unit(path) == "cli" or not text
    assert "atexit" not in set(imports(path))


def test_no_compiled_program_is_in_the_repository() -> None:
    """`make -C kernel/tests` builds beside the sources unless it is given OUT."""
    listed = process.check(("git", "-C", str(REPOSITORY), "ls-files", "-z"), timeout_s=60).stdout.split("\0")
    files = [REPOSITORY / name for name in listed if name]
    assert not [path for path in files if path.is_file() and path.read_bytes()[:4] == b"\x7fELF"]


@pytest.mark.parametrize(
    "path", sorted((REPOSITORY / "tests").rglob("test_*.py")), ids=lambda path: path.stem
)
def test_no_tests_lie_where_pytest_does_not_look(path: Path, request: pytest.FixtureRequest) -> None:
    """Its default leaves out directories named build."""
    unseen = request.config.getini("norecursedirs")
    parents = [parent.name for parent in path.relative_to(REPOSITORY).parents]
    assert not [name for name in parents if any(fnmatch(name, pattern) for pattern in unseen)]


@pytest.mark.parametrize(
    ("asked", "collected"), [(["-m", "not guest and not browser"], 0), (["-m", "soak"], 10)]
)
def test_a_soak_runs_when_it_is_asked_for(asked: list[str], collected: int) -> None:
    """`make check` has an -m of its own, and ran a soak that runs `make check`."""
    soak = "tests/project/test_clean_debian.py"
    argv = (sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *asked, soak)
    listed = process.run(argv, timeout_s=120, cwd=REPOSITORY).stdout
    assert sum(line.startswith(f"{soak}::") for line in listed.splitlines()) == collected
