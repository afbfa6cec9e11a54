# SPDX-License-Identifier: MIT
"""hosts.yaml as plain data with the line of each value; options of the command line may override values."""

from __future__ import annotations

import difflib
import math
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from kmlbench import paths
from kmlbench.errors import InputError
from kmlbench.rules import Location

TAG = "tag:yaml.org,2002:"

INTEGER = re.compile(r"-?[0-9]{1,20}")

NUMBER = re.compile(r"-?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]{1,3})?")

MERGING = "merge keys (<<) are not supported; write the fields out"

MISSING = "name a file with --hosts, or begin with an example: kmlbench host example > hosts.yaml"

FIELDS = (
    f"{paths.page('hosts.md')} explains every field; `kmlbench host schema` prints a schema for editors to "
    "check it"
)


class NoValue:
    """What a key of hosts.yaml may not have: null, a date, a number that is not decimal."""


class Broken:
    """A mapping whose fault has been reported; further faults would only follow from it."""


def suggestion(word: str, known: Iterable[str]) -> str:
    """What the user may have meant by `word`, as the end of a sentence."""
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; known: {', '.join(names) or 'none'}"


class ConfigError(InputError):
    """The faults of hosts.yaml and of options that override it; `in_options`: an option has one of them."""

    def __init__(self, *faults: str, remedy: str, in_options: bool) -> None:
        super().__init__(*faults, remedy=remedy)
        self.in_options = in_options


@dataclass(slots=True)
class Faults:
    """Everything that is wrong with the input, each message with its location."""

    messages: list[str] = field(default_factory=list)

    def add(self, location: str, text: str) -> None:
        self.messages.append(f"{location}: {text}")

    def check(self, *, remedy: str = "") -> None:
        """Raise all faults at once as InputError, if there are any."""
        if self.messages:
            raise InputError(*self.messages, remedy=remedy)


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


def read_numbers(name: str, texts: Iterable[str]) -> Option:
    """A list of numbers from the command line; what is no number stays a text."""
    return Option(name=name, value=[_number(text) for text in texts])


class Document:
    """The file at `path`: `data` is made of dictionaries, lists, texts and numbers.

    `faults` are those of YAML itself, each with its line; a mapping with a fault that leaves nothing to read
    becomes Broken.
    """

    def __init__(self, path: Path, root: Node) -> None:
        self.path = path
        self.faults: list[tuple[int, str]] = []
        self._root = root
        self._options: dict[Location, str] = {}
        self._converted: dict[int, object] = {}
        self.data = self._convert(root, ())

    def override(self, section: str, given: Mapping[str, Option]) -> None:
        """Let options of the command line override keys of a section, if that is a mapping."""
        if not isinstance(self.data, dict) or not isinstance(self.data.get(section), dict):
            return
        values = {name: option.value for name, option in given.items()}
        self.data = {**self.data, section: {**self.data[section], **values}}
        self._options |= {(section, name): option.name for name, option in given.items()}

    def line(self, location: Location) -> int | None:
        """The line of the value at this location, or of what lacks it; None for an option."""
        if location[:2] in self._options:
            return None
        node, line = self._root, 1
        for step in location:
            inner = next((entry for entry in _entries(node) if entry[0] == step), None)
            if inner is None:
                break
            _, node, line = inner
        return line

    def where(self, location: Location) -> str:
        """The file and line of the value, or the name of the option."""
        line = self.line(location)
        return self._options[location[:2]] if line is None else f"{self.path}:{line}"

    def _convert(self, node: Node, location: Location) -> object:
        """An alias is converted once; one that contains itself has no value."""
        if id(node) not in self._converted:
            self._converted[id(node)] = NoValue()
            self._converted[id(node)] = self._fresh(node, location)
        return self._converted[id(node)]

    def _fresh(self, node: Node, location: Location) -> object:
        match node:
            case MappingNode():
                return self._mapping(node, location)
            case SequenceNode():
                return [self._convert(item, (*location, index)) for index, item in enumerate(node.value)]
        return _scalar(node)

    def _mapping(self, node: MappingNode, location: Location) -> object:
        mapping: dict[str, object] = {}
        for name, value in node.value:
            line = name.start_mark.line + 1
            if name.tag == TAG + "merge":
                self.faults.append((line, f"{title(location)}: {MERGING}"))
                return Broken()
            if name.tag != TAG + "str":
                self.faults.append((line, f"{title(location)}: a key must be text"))
            elif name.value in mapping:
                self.faults.append((line, f"{title(location)}: the key {name.value!r} appears twice"))
            else:
                mapping[name.value] = self._convert(value, (*location, name.value))
        return mapping


def title(location: Location) -> str:
    """The name of the mapping at this location, for messages."""
    match location:
        case ():
            return "file"
        case ("hosts", name, *inner):
            return ": ".join((f"host {name!r}", *map(str, inner)))
    return ": ".join(map(str, location))


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
        location = f"{path}:{mark.line + 1 if mark else 1}"
        raise InputError(f"{location}: not YAML: {error.problem}", remedy=FIELDS) from error
    except (YAMLError, ValueError, RecursionError) as error:
        cause = str(error).splitlines()[0]
        raise InputError(f"{path}: not YAML: {cause}", remedy=FIELDS) from error


def _entries(node: Node) -> Iterator[tuple[str | int, Node, int]]:
    """The parts of a value: key or index, value, line."""
    match node:
        case MappingNode():
            for name, value in node.value:
                yield (name.value if name.tag == TAG + "str" else "", value, name.start_mark.line + 1)
        case SequenceNode():
            for index, item in enumerate(node.value):
                yield index, item, item.start_mark.line + 1


def _scalar(node: Node) -> object:
    """The value of a scalar. A number or a truth value must be written plainly, without quotes."""
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
    """A decimal number, also as "1e-2"; "2e1" is whole. A text that is none stays what it is."""
    if INTEGER.fullmatch(text):
        return int(text)
    number = float(text) if NUMBER.fullmatch(text) else math.nan
    if not math.isfinite(number):
        return text
    return int(number) if "." not in text and number.is_integer() else number
