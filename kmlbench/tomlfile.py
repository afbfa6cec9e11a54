# SPDX-License-Identifier: MIT
"""A TOML file as plain data, with the line of each key. tomllib reads it; it knows no lines."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from kmlbench.errors import InputError
from kmlbench.rules import Location

MOST_BYTES = 1 << 16

# What a statement may begin with; within a text or a list of several lines it may be something else.
_BEGINNING = re.compile(r"\s*(\[|[A-Za-z0-9_\"'-])")

_WHERE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class TomlFile:
    """The content of a file, as data and as text."""

    data: Mapping[str, object]
    text: str

    def line(self, location: Location) -> int:
        """The line of the value at a location, or of what lacks it."""
        lines = _lines(self.text)
        for length in range(len(location), 0, -1):
            start = location[:length]
            if start in lines:
                return lines[start]
            # A list of tables has the lines of its tables only.
            if within := [line for place, line in lines.items() if place[:length] == start]:
                return min(within)
        return 1


def read_toml(path: Path, *, remedy: str) -> TomlFile:
    """The file at `path`. Raises InputError when it cannot be read, is not TOML, or is longer than 64 KiB."""
    try:
        content = path.read_bytes()
        if len(content) > MOST_BYTES:
            raise InputError(f"{path}: longer than {MOST_BYTES >> 10} KiB: not such a file", remedy=remedy)
        return parse_toml(content.decode(), name=str(path), remedy=remedy)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}", remedy=remedy) from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text (byte {error.start})", remedy=remedy) from error


def parse_toml(text: str, *, name: str, remedy: str) -> TomlFile:
    """The content of a file that is called `name` in messages. Raises InputError when it is not TOML."""
    try:
        return TomlFile(data=tomllib.loads(text), text=text)
    except tomllib.TOMLDecodeError as error:
        match = _WHERE.search(str(error))
        line = int(match[1]) if match and match[1] else text.count("\n") + 1
        raise InputError(f"{name}:{line}: not TOML: {_WHERE.sub('', str(error))}", remedy=remedy) from error
    except RecursionError as error:
        raise InputError(f"{name}: not TOML: nested too deeply", remedy=remedy) from error


@lru_cache(maxsize=1)
def _lines(text: str) -> Mapping[Location, int]:
    return dict(_positions(text))


def _positions(text: str) -> Iterator[tuple[Location, int]]:
    """Every table and key of a valid text, with its line."""
    table: Location = ()
    counts: dict[Location, int] = {}
    for line, statement in _statements(text):
        path = _path(tomllib.loads(statement))
        if statement.lstrip().startswith("[["):
            counts[path] = counts.get(path, -1) + 1
            table = (*_indexed(path[:-1], counts), path[-1], counts[path])
            yield table, line
        elif statement.lstrip().startswith("["):
            table = _indexed(path, counts)
            yield table, line
        else:
            yield from (((*table, *path[:length]), line) for length in range(1, len(path) + 1))


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """The headers and the assignments, each with its first line. One begins where what is before is whole."""
    lines = text.splitlines(keepends=True)
    starts = [
        number for number, line in enumerate(lines) if _BEGINNING.match(line) and _is_whole(lines[:number])
    ]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        yield start + 1, "".join(lines[start:end])


def _is_whole(lines: list[str]) -> bool:
    try:
        tomllib.loads("".join(lines))
    except tomllib.TOMLDecodeError:
        return False
    return True


def _path(value: object) -> tuple[str, ...]:
    """The keys that lead to what a statement assigns, or to the table that it begins."""
    path: list[str] = []
    while isinstance(value, dict) and len(value) == 1:
        name, value = next(iter(value.items()))
        path.append(name)
    return tuple(path)


def _indexed(path: tuple[str, ...], counts: Mapping[Location, int]) -> Location:
    """A path of names, with the index of the last table in each list of tables."""
    location: list[str | int] = []
    for length, name in enumerate(path, start=1):
        location.append(name)
        if path[:length] in counts:
            location.append(counts[path[:length]])
    return tuple(location)
