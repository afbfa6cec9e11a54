# SPDX-License-Identifier: MIT
"""What a field of hosts.yaml may be: the parser reads by it, and the JSON schema is made of it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Generic, TypeVar

from kmlbench.config.yamlfile import Choice, Fields, Value

Number = TypeVar("Number", int, float)

Schema = dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A field by name, with a sentence for the reader. A default, or not `required`: it may be left out."""

    key: str
    about: str
    required: bool = True

    def schema(self) -> Schema:
        """The field as JSON schema, draft 2020-12."""
        return {"description": self.about}


@dataclass(frozen=True, slots=True, kw_only=True)
class Integer(Rule):
    """A whole number in a closed range."""

    minimum: int
    maximum: int
    default: int | None = None

    def read(self, fields: Fields) -> int:
        """The number, the default, or a fault and a placeholder."""
        if self.default is not None and not fields.has(self.key):
            return self.default
        return fields.integer(self.key, minimum=self.minimum, maximum=self.maximum)

    def read_if_there(self, fields: Fields) -> int | None:
        """The number, or None where the field is left out."""
        return self.read(fields) if fields.has(self.key) else None

    def schema(self) -> Schema:
        return _range(self, "integer", self.minimum, self.maximum, self.default)


@dataclass(frozen=True, slots=True, kw_only=True)
class Real(Rule):
    """A number in a closed range."""

    minimum: float
    maximum: float

    def read(self, fields: Fields) -> float:
        """The number, or a fault and a placeholder."""
        return fields.number(self.key, minimum=self.minimum, maximum=self.maximum)

    def read_if_there(self, fields: Fields) -> float | None:
        """The number, or None where the field is left out."""
        return self.read(fields) if fields.has(self.key) else None

    def schema(self) -> Schema:
        return _range(self, "number", self.minimum, self.maximum, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Text(Rule):
    """A text that matches a whole regular expression (the dialect that Python and ECMA-262 share)."""

    pattern: str = r"[^\x00-\x1f\x7f]+"
    wanted: str = "a text without control characters"

    def read(self, fields: Fields) -> str:
        """The text, or a fault and an empty one."""
        text = fields.text(self.key)
        if text and not re.fullmatch(self.pattern, text):
            fields.fault(self.key, f"must be {self.wanted}")
            return ""
        return text

    def read_if_there(self, fields: Fields) -> str:
        """The text; empty where the field is left out."""
        return self.read(fields) if fields.has(self.key) else ""

    def schema(self) -> Schema:
        return {**Rule.schema(self), "type": "string", "pattern": f"^(?:{self.pattern})$"}


@dataclass(frozen=True, slots=True, kw_only=True)
class File(Text):
    """A file that the user names: `~` is the home directory, a relative path starts beside hosts.yaml."""

    def path(self, fields: Fields, directory: Path) -> Path:
        """The path, or a fault and a placeholder."""
        return _file(self.read(fields), directory)

    def path_if_there(self, fields: Fields, directory: Path) -> Path | None:
        """The path, or None where the field is left out."""
        return self.path(fields, directory) if fields.has(self.key) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class OneOf(Rule, Generic[Choice]):
    """A member of a closed set."""

    kind: type[Choice]

    def read(self, fields: Fields) -> Choice:
        """The member, or a fault and the first one."""
        return fields.choice(self.key, self.kind)

    def read_if_there(self, fields: Fields) -> Choice | None:
        """The member, or None where the field is left out."""
        return self.read(fields) if fields.has(self.key) else None

    def schema(self) -> Schema:
        return {**Rule.schema(self), "enum": members(self.kind)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag(Rule):
    """`true` or `false`; false where the field is left out."""

    required: bool = False

    def read(self, fields: Fields) -> bool:
        """The answer; a fault gives false."""
        return fields.has(self.key) and fields.flag(self.key)

    def schema(self) -> Schema:
        return {**Rule.schema(self), "type": "boolean", "default": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Part(Rule):
    """A field that is a list, or a mapping with rules of its own. `form` is its schema without the words."""

    form: Mapping[str, object]

    def read(self, fields: Fields) -> Value | None:
        """The field as it stands; None, and a fault, where one that is required is left out."""
        return fields.value(self.key) if self.required or fields.has(self.key) else None

    def schema(self) -> Schema:
        return {**Rule.schema(self), **self.form}


def mapping(rules: Sequence[Rule], *, also: Mapping[str, object] | None = None) -> Schema:
    """The schema of a mapping that has these fields and no others; `also` holds further conditions."""
    return {
        "type": "object",
        "properties": {rule.key: rule.schema() for rule in rules},
        "required": [rule.key for rule in rules if _must(rule)],
        "additionalProperties": False,
        **(also or {}),
    }


def members(kind: type[StrEnum]) -> list[str]:
    """The words of a closed set."""
    return [str(member) for member in kind]


def _must(rule: Rule) -> bool:
    return rule.required and getattr(rule, "default", None) is None


def _range(rule: Rule, kind: str, minimum: Number, maximum: Number, default: Number | None) -> Schema:
    given = {} if default is None else {"default": default}
    return {**Rule.schema(rule), "type": kind, "minimum": minimum, "maximum": maximum, **given}


def _file(text: str, directory: Path) -> Path:
    path = Path(text)
    home = Path.home() if path.parts[:1] == ("~",) else None
    return home.joinpath(*path.parts[1:]) if home else directory / path
