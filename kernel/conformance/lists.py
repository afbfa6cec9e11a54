# SPDX-License-Identifier: GPL-2.0
"""The lists of tests: what runs, where, and for how long. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from kmlbench.errors import InputError
from kmlbench.model import Prefix

LISTS = Path(__file__).parent / "lists"


@dataclass(frozen=True, slots=True, kw_only=True)
class Test:
    """One test: a command with a limit in seconds. `{prefix}` in it is where its programs come from."""

    suite: str
    name: str
    limit_s: int
    command: str
    directory: str

    def argv(self, prefix: Prefix) -> tuple[str, ...]:
        """The words of the command, with its programs below `prefix`."""
        return tuple(word.replace("{prefix}", prefix) for word in shlex.split(self.command))

    def where(self, prefix: Prefix) -> str:
        """The directory to run in."""
        return self.directory.replace("{prefix}", prefix)


def suites() -> tuple[str, ...]:
    """The names of all lists."""
    return tuple(sorted(path.stem for path in LISTS.glob("*.txt")))


def load(suite: str) -> tuple[Test, ...]:
    """The tests of lists/SUITE.txt. Raises InputError with every line that makes no sense."""
    path = LISTS / f"{suite}.txt"
    if not path.exists():
        raise InputError(f"there is no list {suite!r}", remedy=f"use one of {', '.join(suites())}")
    return parse(suite, path.read_text().splitlines())


def parse(suite: str, lines: Iterable[str]) -> tuple[Test, ...]:
    """`command:` and `directory:` are templates for the lines `LIMIT_S WORDS` or `LIMIT_S NAME = WORDS`."""
    templates: dict[str, str] = {"command": "{words}", "directory": "/tmp"}
    tests: list[Test] = []
    faults: list[str] = []
    for number, line in enumerate(lines, 1):
        key, colon, value = line.partition(": ")
        if not line.strip() or line.startswith("#"):
            continue
        if colon and key in templates:
            templates[key] = value
        elif line.split()[0].isdecimal() and len(line.split()) > 1:
            tests.append(_test(suite, line, templates))
        else:
            faults.append(f"list {suite}, line {number}: {line!r} has no limit, or nothing to run")
    names = [test.name for test in tests]
    faults += [f"list {suite}: {name!r} stands there twice" for name in set(names) if names.count(name) > 1]
    if faults:
        raise InputError(*faults)
    return tuple(tests)


def _test(suite: str, line: str, templates: dict[str, str]) -> Test:
    limit, rest = line.split(maxsplit=1)
    name, equals, words = rest.partition(" = ")
    if not equals:
        name = words = rest
    return Test(
        suite=suite,
        name=name,
        limit_s=int(limit),
        command=templates["command"].replace("{words}", words),
        directory=templates["directory"].replace("{group}", str(Path(words.split()[0]).parent)),
    )
