# SPDX-License-Identifier: MIT
"""Files of TOML that come as data, with known fields: what is wrong with one, and in which line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from kmlbench.errors import InputError
from kmlbench.results import lines
from kmlbench.rules import Location
from kmlbench.tomlfile import TomlFile, parse_toml, read_toml

T = TypeVar("T")


def read(path: Path, kind: type[T], *, remedy: str) -> T:
    """The content of a file. Raises InputError that names the file, the line and what is wrong there."""
    return _converted(read_toml(path, remedy=remedy), kind, name=str(path), remedy=remedy)


def parse(text: str, kind: type[T], *, name: str, remedy: str) -> T:
    """The content of `text`, which is called `name` in messages. Raises InputError."""
    return _converted(parse_toml(text, name=name, remedy=remedy), kind, name=name, remedy=remedy)


def repeated(names: Sequence[str]) -> str | None:
    """The first name that occurs twice."""
    return next((name for name in names if names.count(name) > 1), None)


def _converted(file: TomlFile, kind: type[T], *, name: str, remedy: str) -> T:
    try:
        converted: T = lines.convert(file.data, kind)
    except ValueError as error:
        raise InputError(f"{name}:{_line(file, str(error))}: {error}", remedy=remedy) from error
    return converted


def _line(file: TomlFile, message: str) -> int:
    """The line that a message is about: of its field, or where what it quotes stands."""
    quoted = re.search(r'"[^"]+"', message)
    if (location := _location(message)) or quoted is None:
        return file.line(location)
    return next((at for at, text in enumerate(file.text.split("\n"), 1) if quoted[0] in text), 1)


def _location(message: str) -> Location:
    """The field of a message of lines.convert; empty for a fault of the whole."""
    field = re.search(r'field "([\w.\[\]]+)"', message)
    words = re.findall(r"(\w+)|\[(\d+)\]", field[1]) if field else []
    return tuple(word or int(index) for word, index in words)
