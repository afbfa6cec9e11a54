# SPDX-License-Identifier: MIT
"""hosts.yaml as plain data, with the line of each value, and options of the command line in place of some."""

from __future__ import annotations

import difflib
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from kmlbench.errors import InputError

TAG = "tag:yaml.org,2002:"

INTEGER = re.compile(r"-?[0-9]{1,20}")

NUMBER = re.compile(r"-?[0-9]*\.?[0-9]+")

MERGING = "merging (<<) is not supported; write the fields out"

MISSING = "name one with --hosts, or copy the hosts.yaml of the repository"

FIELDS = (
    "docs/hosts.md has every field; `kmlbench host schema` prints the schema by which an editor checks them"
)

# The keys that lead to a value, and the numbers of entries of lists.
Place = tuple[str | int, ...]


class NoValue:
    """What a key of hosts.yaml may not have: null, a date, a number that is not decimal."""


class Broken:
    """A mapping whose fault was told: others would follow from it."""


def suggestion(word: str, known: Iterable[str]) -> str:
    """What the user may have meant by `word`, as the end of a sentence."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(names) or 'none'}"


@dataclass(slots=True)
class Faults:
    """Everything that is wrong with the input, each line with its place."""

    found: list[str] = field(default_factory=list)

    def add(self, place: str, text: str) -> None:
        self.found.append(f"{place}: {text}")

    def check(self, *, remedy: str = "") -> None:
        """Raise all faults at once as InputError, if there are any."""
        if self.found:
            raise InputError(*self.found, remedy=remedy)


@dataclass(frozen=True, slots=True, kw_only=True)
class Option:
    """A value from the command line, and the name of its option."""

    name: str
    value: object


def option(name: str, text: str) -> Option:
    """A number or a text from the command line."""
    return Option(name=name, value=_number(text))


def read_options(name: str, texts: Iterable[str]) -> Option:
    """A list of texts from the command line."""
    return Option(name=name, value=list(texts))


class Document:
    """The file at `path`: `data` is made of dictionaries, lists, texts and numbers.

    `faults` are those of YAML itself, each with its line; where a mapping has one that leaves nothing to
    read, Broken takes its place.
    """

    def __init__(self, path: Path, root: Node) -> None:
        self.path = path
        self.faults: list[tuple[int, str]] = []
        self._root = root
        self._options: dict[Place, str] = {}
        self._converted: dict[int, object] = {}
        self.data = self._convert(root, ())

    def override(self, section: str, given: Mapping[str, Option]) -> None:
        """Let options of the command line stand for keys of a section, if it is one."""
        if not isinstance(self.data, dict) or not isinstance(self.data.get(section), dict):
            return
        values = {name: option.value for name, option in given.items()}
        self.data = {**self.data, section: {**self.data[section], **values}}
        self._options |= {(section, name): option.name for name, option in given.items()}

    def line(self, place: Place) -> int | None:
        """The line of the value at this place, or of what it is missing in; None for an option."""
        if place[:2] in self._options:
            return None
        node, line = self._root, 1
        for step in place:
            inner = next((entry for entry in _entries(node) if entry[0] == step), None)
            if inner is None:
                break
            _, node, line = inner
        return line

    def where(self, place: Place) -> str:
        """That line with the name of the file, or the name of the option."""
        line = self.line(place)
        return self._options[place[:2]] if line is None else f"{self.path}:{line}"

    def _convert(self, node: Node, place: Place) -> object:
        """An alias is converted once, and one that stands for itself has no value."""
        if id(node) not in self._converted:
            self._converted[id(node)] = NoValue()
            self._converted[id(node)] = self._fresh(node, place)
        return self._converted[id(node)]

    def _fresh(self, node: Node, place: Place) -> object:
        match node:
            case MappingNode():
                return self._mapping(node, place)
            case SequenceNode():
                return [self._convert(item, (*place, index)) for index, item in enumerate(node.value)]
        return _scalar(node)

    def _mapping(self, node: MappingNode, place: Place) -> object:
        found: dict[str, object] = {}
        for name, value in node.value:
            line = name.start_mark.line + 1
            if name.tag == TAG + "merge":
                self.faults.append((line, f"{title(place)}: {MERGING}"))
                return Broken()
            if name.tag != TAG + "str":
                self.faults.append((line, f"{title(place)}: a key must be a word"))
            elif name.value in found:
                self.faults.append((line, f"{title(place)}: the key {name.value!r} is there twice"))
            else:
                found[name.value] = self._convert(value, (*place, name.value))
        return found


def title(place: Place) -> str:
    """What a reader calls the mapping at this place."""
    match place:
        case ():
            return "file"
        case ("hosts", name, *inner):
            return ": ".join((f"host {name!r}", *map(str, inner)))
    return ": ".join(map(str, place))


def parse_yaml(path: Path) -> Document:
    """The document in the file at `path`. Raises InputError when it cannot be read or is not YAML."""
    try:
        with warnings.catch_warnings(action="ignore"):
            node = YAML(typ="safe", pure=True).compose(path.read_text(encoding="utf-8"))
            return Document(path, node or ScalarNode(TAG + "null", ""))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}", remedy=MISSING) from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text (byte {error.start})", remedy=FIELDS) from error
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{path}:{mark.line + 1 if mark else 1}"
        raise InputError(f"{place}: not YAML: {error.problem}", remedy=FIELDS) from error
    except (YAMLError, ValueError, RecursionError) as error:
        cause = str(error).splitlines()[0]
        raise InputError(f"{path}: not YAML: {cause}", remedy=FIELDS) from error


def _entries(node: Node) -> Iterator[tuple[str | int, Node, int]]:
    """The parts of a value: key or number, value, line."""
    match node:
        case MappingNode():
            for name, value in node.value:
                yield (name.value if name.tag == TAG + "str" else "", value, name.start_mark.line + 1)
        case SequenceNode():
            for index, item in enumerate(node.value):
                yield index, item, item.start_mark.line + 1


def _scalar(node: Node) -> object:
    """What the scalar stands for. A number or a truth value is written without quotes, and plainly."""
    text = str(node.value)
    plain = getattr(node, "style", None) is None
    if node.tag == TAG + "str":
        return text
    if plain and node.tag in {TAG + "int", TAG + "float"}:
        number = _number(text)
        return NoValue() if isinstance(number, str) else number
    if plain and node.tag == TAG + "bool" and text in {"true", "false"}:
        return text == "true"
    return NoValue()


def _number(text: str) -> int | float | str:
    if INTEGER.fullmatch(text):
        return int(text)
    return float(text) if NUMBER.fullmatch(text) else text
