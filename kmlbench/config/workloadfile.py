# SPDX-License-Identifier: MIT
"""Reads workload files that people write: every fault at once, each as `FILE:LINE: ...`, and their schema."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from kmlbench import paths
from kmlbench.config import faults
from kmlbench.config.faults import adapter
from kmlbench.config.yamlfile import suggestion
from kmlbench.errors import InputError
from kmlbench.rules import Location
from kmlbench.tomlfile import TomlFile, read_toml
from kmlbench.workloads.base import Readiness
from kmlbench.workloads.definition import (
    MOST_WORK,
    NAME,
    PLACEHOLDERS,
    PREFIX,
    Definition,
    placeholders,
)
from kmlbench.workloads.levels import split_level
from kmlbench.workloads.registry import ADAPTERS, is_level
from kmlbench.workloads.syscall_counts import is_counting

SCHEMA_FILE = "workload.schema.json"

REMEDY = f"{paths.page('workload-files.md')} explains every key; an editor can check it by {SCHEMA_FILE}"

PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]+")

RELATIVE = re.compile(r"[A-Za-z0-9_*?\[\]][A-Za-z0-9_*?\[\]./+@:-]*")

FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")

# What the suite itself puts in the directory of a workload.
TAKEN = ("log", "socket", "started")

_WANTED = {
    "tuple_type": "must be a list",
    "mapping_type": "must be a table",
    "dict_type": "must be a table",
    "dataclass_type": "must be a table",
}

Fault = tuple[Location, str]


def read_workload_file(path: Path, *, known: Collection[str] = tuple(ADAPTERS)) -> Definition:
    """The definition in a file; `known` are the names that it may not have.

    Raises InputError with every fault of the file, in its order.
    """
    file = read_toml(path, remedy=REMEDY)
    name = path.name.removesuffix(".toml")
    definition, structural = _definition(file, name)
    broken = [location for location, _ in structural]
    related = [
        (location, text)
        for location, text in _relations(file.data)
        if not any(location[: len(each)] == each for each in broken)
    ]
    found = [((), text) for text in _name_faults(path, known)] + structural + related
    if found or definition is None:
        placed = [(file.line(location), location, text) for location, text in found]
        placed.sort(key=lambda each: each[0])
        raise InputError(
            *(f"{path}:{line}: {_title(location)}{text}" for line, location, text in placed), remedy=REMEDY
        )
    return definition


def _definition(file: TomlFile, name: str) -> tuple[Definition | None, list[Fault]]:
    """The definition, or the faults of single values."""
    if "name" in file.data:
        return None, [(("name",), "unknown key: the name is that of the file")]
    try:
        # The name has faults of its own.
        definition = adapter(Definition).validate_python({**file.data, "name": "a"})
        return replace(definition, name=name), []
    except ValidationError as error:
        return None, [_told(item) for item in error.errors(include_url=False)]


def _told(error: ErrorDetails) -> Fault:
    location = error["loc"]
    *outer, last = (step for step in location if isinstance(step, str))
    owner, key = faults.field_at(Definition, (*outer, last))
    match error["type"]:
        case "missing":
            return location[:-1], f"the key {last!r} is missing"
        case "unexpected_keyword_argument":
            known = [name for name in faults.keys(owner) if name != "name"]
            return location, f"unknown key{suggestion(last, known)}"
        case kind if kind in _WANTED:
            return location, _WANTED[kind]
    return location, faults.words(owner, key, error)


def _title(location: Location) -> str:
    return "".join(f"{step}: " if isinstance(step, str) else f"{step + 1}: " for step in location)


def _name_faults(path: Path, known: Collection[str]) -> Iterator[str]:
    """What is wrong with the name, which is that of the file."""
    name = path.name.removesuffix(".toml")
    if path.suffix != ".toml":
        yield f"the name of a workload file ends with .toml, not {path.suffix!r}"
    elif not re.fullmatch(NAME, name):
        yield f"{name!r} is no name for a workload: small letters, digits and _, with a letter first"
    elif name in known:
        yield f"there is a workload {name!r} already: rename the file"
    elif is_counting(name) or split_level(name)[1].threads != 1 or is_level(name):
        yield f"{name!r} would be read as another workload's calls, threads or transport: rename the file"


def _relations(data: Mapping[str, object]) -> Iterator[Fault]:
    """What single values do not say: which texts mean something, and which keys go together."""
    for location, argv in _commands(data):
        yield from _command_faults(location, argv)
    client, server = _table(data, "client"), _table(data, "server")
    yield from _client_faults(client)
    if server:
        yield from _server_faults(server, data)
    for index, reading in enumerate(_tables(data, "readings")):
        yield from _reading_faults(("readings", index), reading)
    yield from _repeated(("readings",), [each.get("metric") for each in _tables(data, "readings")])
    for index, check in enumerate(_tables(data, "checks")):
        yield from _pattern_faults(("checks", index, "expect"), check.get("expect"))
    yield from _matching(data, "packages", PACKAGE.fullmatch, "is not the name of a Debian package")
    yield from _matching(data, "trusted", _below_usr, "is not a path relative to /usr")
    for name in _table(data, "files"):
        if not FILE_NAME.fullmatch(name) or name in TAKEN:
            yield ("files", name), "not a plain file name, or one that the suite uses itself"


def _commands(data: Mapping[str, object]) -> Iterator[tuple[Location, list[str]]]:
    """Every command that is a list of texts, by its place."""
    checks = _tables(data, "checks")
    found: list[tuple[Location, object]] = [
        (("client", "argv"), _table(data, "client").get("argv")),
        (("server", "argv"), _table(data, "server").get("argv")),
        *((("checks", index, "argv"), each.get("argv")) for index, each in enumerate(checks)),
        *(
            ((name, index), each)
            for name in ("prepare", "load")
            for index, each in enumerate(_list(data, name))
        ),
    ]
    for location, argv in found:
        if isinstance(argv, list) and all(isinstance(word, str) for word in argv):
            yield location, argv


def _command_faults(location: Location, argv: Sequence[str]) -> Iterator[Fault]:
    if not argv:
        yield location, "a command has at least a program"
        return
    measured = location[0] in {"client", "server"}
    if measured and not argv[0].startswith(PREFIX):
        yield location, f"{argv[0]!r} has to begin with {PREFIX!r}, such as {{prefix}}/bin/redis-server"
    elif not argv[0].startswith((PREFIX, "/")):
        yield location, f"{argv[0]!r} has to be an absolute path, or to begin with {PREFIX!r}"
    known = [f"{{{each}}}" for each in PLACEHOLDERS]
    for word in dict.fromkeys(f"{{{word}}}" for text in argv for word in sorted(placeholders(text))):
        if word not in known:
            yield location, f"unknown placeholder {word}{suggestion(word, known)}"


def _client_faults(client: Mapping[str, object]) -> Iterator[Fault]:
    work = _list(client, "work")
    if "work" in client:
        yield from _work_faults(client["work"])
    if "marks" in client and len(work) > 1:
        yield ("client", "marks"), "a program that marks its windows has one amount of work"
    takes_work = any("{work}" in word for word in _list(client, "argv") if isinstance(word, str))
    if _list(client, "argv") and not takes_work and ("warm_up" in client or len(work) > 1):
        yield ("client", "argv"), "no {work} in it, so no run is told how much to do"
    for index, pattern in enumerate(_list(client, "expect")):
        yield from _pattern_faults(("client", "expect", index), pattern)


def _work_faults(work: object) -> Iterator[Fault]:
    location, listed = ("client", "work"), work if isinstance(work, list) else []
    numbers = [each for each in listed if type(each) is int and 1 <= each <= MOST_WORK]
    if len(numbers) < len(listed) or len(listed) not in {1, 2}:
        yield location, "must be a list of one or two whole numbers from 1 on"
    elif len(numbers) == 2 and numbers[0] >= numbers[1]:
        yield location, f"the second amount is the longer one, and {numbers[1]} is not more than {numbers[0]}"


def _server_faults(server: Mapping[str, object], data: Mapping[str, object]) -> Iterator[Fault]:
    ready, pattern = server.get("ready"), server.get("pattern", "")
    if ready == Readiness.OUTPUT and not pattern:
        yield ("server", "ready"), "output needs a pattern"
    # Anything may stand there, also what no set can hold.
    if ready in (Readiness.SOCKET, Readiness.PORT):
        if pattern:
            yield ("server", "pattern"), f"a server is ready by its {ready} or by a pattern, not by both"
        words = [*_list(server, "argv"), *_table(data, "files").values()]
        if not any(f"{{{ready}}}" in word for word in words if isinstance(word, str)):
            yield ("server", "ready"), f"no {{{ready}}} in its argv or in files: it will listen elsewhere"
    yield from _pattern_faults(("server", "pattern"), pattern)


def _reading_faults(location: Location, reading: Mapping[str, object]) -> Iterator[Fault]:
    given = [name for name in ("pattern", "json") if reading.get(name)]
    if len(given) != 1:
        yield location, "either a pattern or a json path says where the number is"
    pattern = reading.get("pattern")
    broken = list(_pattern_faults((*location, "pattern"), pattern))
    yield from broken
    if not broken and isinstance(pattern, str) and pattern and re.compile(pattern).groups != 1:
        yield (*location, "pattern"), "has to have exactly one group: the number"


def _pattern_faults(location: Location, pattern: object) -> Iterator[Fault]:
    if not isinstance(pattern, str):
        return
    try:
        re.compile(pattern)
    except re.error as error:
        yield location, f"not a regular expression: {error}"


def _repeated(location: Location, names: Sequence[object]) -> Iterator[Fault]:
    for index, name in enumerate(names):
        if isinstance(name, str) and name in names[:index]:
            yield (*location, index), f"{name} is read twice"


def _matching(
    data: Mapping[str, object], key: str, holds: Callable[[str], object], text: str
) -> Iterator[Fault]:
    for index, each in enumerate(_list(data, key)):
        if isinstance(each, str) and not holds(each):
            yield (key, index), f"{each!r} {text}"


def _below_usr(text: str) -> bool:
    """Whether a text is a path, or a pattern of the shell for paths, and nothing else to a shell."""
    return RELATIVE.fullmatch(text) is not None and ".." not in PurePosixPath(text).parts


def _table(data: Mapping[str, object], key: str) -> Mapping[str, object]:
    value = data.get(key)
    return value if isinstance(value, dict) else {}


def _list(data: Mapping[str, object], key: str) -> list[object]:
    value = data.get(key)
    return value if isinstance(value, list) else []


def _tables(data: Mapping[str, object], key: str) -> list[Mapping[str, object]]:
    return [each if isinstance(each, dict) else {} for each in _list(data, key)]
