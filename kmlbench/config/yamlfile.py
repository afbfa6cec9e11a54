# SPDX-License-Identifier: MIT
"""Reads a YAML file field by field, and keeps every fault with its place instead of stopping at the first.

After a fault a reader returns a placeholder, so that the reading can go on; `Faults.check` sees to it
that nobody ever meets a placeholder.
"""

from __future__ import annotations

import difflib
import math
import re
import warnings
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from kmlbench.errors import InputError

Choice = TypeVar("Choice", bound=StrEnum)

TAG = "tag:yaml.org,2002:"

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")

MERGING = "merging (<<) is not supported; write the fields out"

MISSING = "name one with --hosts, or copy the hosts.yaml of the repository"

FIELDS = (
    "docs/hosts.md has every field; `kmlbench host schema` prints the schema by which an editor checks them"
)


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
class Value:
    """One value and where it stands: a line of the file, or (`line` None) an option of the command line."""

    node: Node
    source: str
    line: int | None

    @property
    def place(self) -> str:
        return self.source if self.line is None else f"{self.source}:{self.line}"

    def inner(self, node: Node) -> Value:
        """A part of this value, at its own line."""
        line = None if self.line is None else node.start_mark.line + 1
        return Value(node=node, source=self.source, line=line)

    @property
    def text(self) -> str | None:
        """The scalar as written, or None for a list, a mapping or nothing at all."""
        if isinstance(self.node, ScalarNode) and self.node.tag != TAG + "null":
            return str(self.node.value)
        return None

    @property
    def plain(self) -> str:
        """The scalar as written without quotes; empty for everything else."""
        return (self.text or "") if getattr(self.node, "style", None) is None else ""


def option(name: str, text: str) -> Value:
    """A value from the command line."""
    return Value(node=ScalarNode(TAG + "str", text), source=name, line=None)


def options(name: str, texts: Iterable[str]) -> Value:
    """A list of values from the command line."""
    nodes = [ScalarNode(TAG + "str", text) for text in texts]
    return Value(node=SequenceNode(TAG + "seq", nodes), source=name, line=None)


def parse(path: Path) -> Value:
    """The document in the file at `path`. Raises InputError when it cannot be read or is not YAML."""
    try:
        with warnings.catch_warnings(action="ignore"):
            node = YAML(typ="safe", pure=True).compose(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}", remedy=MISSING) from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not UTF-8 text (byte {error.start})", remedy=FIELDS) from error
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{path}:{mark.line + 1 if mark else 1}"
        raise InputError(f"{place}: not YAML: {error.problem}", remedy=FIELDS) from error
    except (YAMLError, ValueError, RecursionError) as error:
        told = str(error).splitlines()[0]
        raise InputError(f"{path}: not YAML: {told}", remedy=FIELDS) from error
    return Value(node=node or ScalarNode(TAG + "null", ""), source=str(path), line=1)


class Fields:
    """The fields of one mapping. `finish` reports the fields that nobody asked for.

    Of what is no mapping, or merges another one into itself, this is the only fault: the others would follow
    from it.
    """

    def __init__(self, value: Value, faults: Faults, what: str) -> None:
        self.place = value.place
        self._faults = faults
        self._what = what
        self._values: dict[str, Value] = {}
        self._asked: set[str] = set()
        if isinstance(value.node, MappingNode):
            self._index(value)
        else:
            self._only(value.place, f"{what} must be a mapping of names to values")

    def _only(self, place: str, text: str) -> None:
        self._faults.add(place, text)
        self._faults = Faults()

    def _index(self, value: Value) -> None:
        for key, entry in value.node.value:
            name, inner = value.inner(key), value.inner(entry)
            if key.tag == TAG + "merge":
                self._only(name.place, f"{self._what}: {MERGING}")
            elif name.text is None or key.tag != TAG + "str":
                self._faults.add(name.place, f"{self._what}: a key must be a word")
            elif name.text in self._values:
                self._faults.add(name.place, f"{self._what}: the key {name.text!r} is there twice")
            else:
                self._values[name.text] = Value(node=entry, source=inner.source, line=name.line)

    def __iter__(self) -> Iterator[tuple[str, Value]]:
        self._asked.update(self._values)
        return iter(self._values.items())

    def override(self, values: Mapping[str, Value]) -> None:
        """Let options of the command line stand for fields of the file."""
        self._values.update(values)

    def fault(self, key: str, text: str) -> None:
        """Report `text` at the place of the field `key`."""
        self._faults.add(self.where(key), text)

    def where(self, key: str) -> str:
        """The place of the field `key`, and its name."""
        place = self._values[key].place if key in self._values else self.place
        return f"{place}: {self._what}: {key}"

    def has(self, key: str) -> bool:
        """Whether the field is there; asking counts as knowing it."""
        self._asked.add(key)
        return key in self._values

    def value(self, key: str) -> Value | None:
        """The field itself; a fault when it is missing."""
        if self.has(key):
            return self._values[key]
        self._faults.add(self.place, f"{self._what}: the key {key!r} is missing")
        return None

    def integer(self, key: str, *, minimum: int, maximum: int) -> int:
        """A whole number in the closed range."""
        value = self.value(key)
        if value is not None:
            if not re.fullmatch(r"-?[0-9]{1,20}", value.plain, re.ASCII):
                self.fault(key, "must be a whole number")
            elif not minimum <= int(value.plain) <= maximum:
                self.fault(key, f"{value.plain} is not between {minimum} and {maximum}")
            else:
                return int(value.plain)
        return minimum

    def number(self, key: str, *, minimum: float, maximum: float) -> float:
        """A number in the closed range; never NaN or infinite."""
        value = self.value(key)
        if value is not None:
            number = float(value.plain) if re.fullmatch(r"-?[0-9]*\.?[0-9]+", value.plain) else math.nan
            if math.isnan(number):
                self.fault(key, "must be a number")
            elif not minimum <= number <= maximum:
                self.fault(key, f"{value.plain} is not between {minimum:g} and {maximum:g}")
            else:
                return number
        return minimum

    def text(self, key: str) -> str:
        """A text that is not empty."""
        value = self.value(key)
        text = value.text if value is not None and value.node.tag == TAG + "str" else None
        if value is not None and not text:
            self.fault(key, "must be a text")
        return text or ""

    def flag(self, key: str) -> bool:
        """The word true or false without quotes, as YAML 1.2 has them."""
        value = self.value(key)
        word = value.plain if value is not None and value.node.tag == TAG + "bool" else ""
        if value is not None and word not in {"true", "false"}:
            self.fault(key, "must be true or false")
        return word == "true"

    def choice(self, key: str, kind: type[Choice]) -> Choice:
        """A member of a closed set."""
        known = [str(member) for member in kind]
        return kind(self.name(key, known) or known[0])

    def name(self, key: str, known: Collection[str]) -> str:
        """One of the known names; empty after a fault."""
        text = self.text(key)
        if text and text not in known:
            self.fault(key, f"unknown: {text!r}{suggestion(text, known)}")
            return ""
        return text

    def one_or_more(self, key: str, known: Collection[str]) -> tuple[str, ...]:
        """A known name, or a list of them as `names` reads it; a fault gives the empty name or tuple."""
        listed = self.has(key) and isinstance(self._values[key].node, SequenceNode)
        return self.names(key, known) if listed else (self.name(key, known),)

    def names(self, key: str, known: Collection[str]) -> tuple[str, ...]:
        """A list of known names, none twice and at least one."""
        value = self.value(key)
        if value is None:
            return ()
        if not isinstance(value.node, SequenceNode) or not value.node.value:
            self.fault(key, "must be a list of at least one name")
            return ()
        items = [value.inner(node) for node in value.node.value]
        return tuple(self._listed(key, item, items[:index], known) for index, item in enumerate(items))

    def _listed(self, key: str, item: Value, before: list[Value], known: Collection[str]) -> str:
        text = item.text or ""
        if not text:
            self._faults.add(item.place, f"{self._what}: {key}: every entry must be a name")
        elif text in [other.text for other in before]:
            self._faults.add(item.place, f"{self._what}: {key}: {text!r} is there twice")
        elif text not in known:
            self._faults.add(item.place, f"{self._what}: {key}: unknown: {text!r}{suggestion(text, known)}")
        return text

    def finish(self) -> None:
        """Report the fields that nobody asked for."""
        for key in self._values:
            if key not in self._asked:
                self.fault(key, f"unknown key{suggestion(key, self._asked)}")
