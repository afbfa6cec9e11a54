# SPDX-License-Identifier: MIT
"""The first line of a script, as the kernel and env(1) read it."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from kmlbench.errors import InputError

# What the kernel reads of a file to find out what it is (BINPRM_BUF_SIZE).
LINE = 256

MAGIC = b"#!"

_SPLIT = "-S"


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpretation:
    """The program that interprets a script, and the arguments that come before the script's own path."""

    interpreter: Path
    arguments: tuple[str, ...]


def interpretation(path: Path, head: bytes, *, find: Callable[[str], Path]) -> Interpretation:
    """What runs the script `path`, whose first LINE bytes are `head`. `find` looks in PATH as env(1) does.

    Raises InputError.
    """
    line, newline, _ = head[len(MAGIC) :].partition(b"\n")
    if not newline and len(head) == LINE:
        raise InputError(f"{path}: its first line is longer than the {LINE} bytes that the kernel reads")
    words = line.decode(errors="surrogateescape").strip(" \t\r").split(maxsplit=1)
    if not words:
        raise InputError(
            f"{path}: its first line names no interpreter", remedy="write one, such as #!/bin/sh"
        )
    interpreter, *rest = words
    if PurePosixPath(interpreter).name == "env":
        return _by_env(path, rest, find)
    if not Path(interpreter).is_file():
        raise InputError(f"{path}: its interpreter {interpreter} is not on this machine")
    return Interpretation(interpreter=Path(interpreter), arguments=tuple(rest))


def _by_env(path: Path, rest: list[str], find: Callable[[str], Path]) -> Interpretation:
    """With -S env splits the rest of the line into words; without it, all of it is one name."""
    words = rest
    if rest and rest[0].startswith(_SPLIT):
        words = _split(path, rest[0].removeprefix(_SPLIT))
    if not words or words[0].startswith("-") or "=" in words[0]:
        raise InputError(
            f"{path}: env is to do more than to find a program ({' '.join(rest) or 'it is given nothing'})",
            remedy="name the interpreter itself in the first line",
        )
    name, *arguments = words
    try:
        return Interpretation(interpreter=find(name), arguments=tuple(arguments))
    except InputError as error:
        raise InputError(f"{path}: {error.args[0]}", remedy=error.remedy) from error


def _split(path: Path, text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError as error:
        raise InputError(f"{path}: its first line cannot be split into words: {error}") from error
