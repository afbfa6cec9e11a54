# SPDX-License-Identifier: MIT
"""Files of TOML with known fields: what is wrong with one, and in which line."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from kmlbench.errors import InputError
from kmlbench.results import lines

T = TypeVar("T")


def read(path: Path, kind: type[T], *, remedy: str) -> T:
    """The content of a file. Raises InputError that names the file, the line and what is wrong there."""
    try:
        return parse(path.read_bytes().decode(), kind, name=str(path), remedy=remedy)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}", remedy=remedy) from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: is not UTF-8", remedy=remedy) from error


def parse(text: str, kind: type[T], *, name: str, remedy: str) -> T:
    """The content of `text`, which is called `name` in messages. Raises InputError."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        fault, line = _syntax_fault(str(error), text)
        raise InputError(f"{name}:{line}: {fault}", remedy=remedy) from error
    except RecursionError as error:
        raise InputError(f"{name}: it is nested too deeply", remedy=remedy) from error
    try:
        parsed: T = lines.convert(data, kind)
    except ValueError as error:
        raise InputError(f"{name}:{_line(text, str(error))}: {error}", remedy=remedy) from error
    return parsed


def repeated(names: Sequence[str]) -> str | None:
    """The first name that occurs twice."""
    return next((name for name in names if names.count(name) > 1), None)


def _syntax_fault(message: str, text: str) -> tuple[str, int]:
    """A message of tomllib without its position, and the line of that."""
    match = re.fullmatch(r"(.*) \(at (?:line (\d+), column \d+|end of document)\)", message, re.DOTALL)
    if match is None:
        return message, 1
    return match[1], int(match[2] or text.count("\n") + 1)


def _line(text: str, message: str) -> int:
    """The line that a message of lines.convert is about; that of its table if the field has none."""
    match = re.search(r'field "([\w.\[\]]+)"', message)
    parts = re.findall(r"(\w+)(?:\[(\d+)\])?", match[1]) if match else []
    line, every = 0, text.split("\n")
    for name, index in parts:
        line = _next(every, line, name, int(index or 0)) or line
    if not parts and (named := re.search(r'"([^"]+)"', message)):
        line = next((at for at, words in enumerate(every, 1) if f'"{named[1]}"' in words), 0)
    return line or 1


def _next(every: list[str], line: int, name: str, index: int) -> int:
    """The line at or below `line` where the table or the key of this name begins; 0 if there is none."""
    pattern = re.compile(rf"\s*(?:\[\[?(?:\w+\.)*{name}\]\]?|{name}\s*=)|.*[{{,]\s*{name}\s*=")
    found = [at for at, words in enumerate(every, 1) if at >= max(line, 1) and pattern.match(words)]
    return found[index] if index < len(found) else 0
