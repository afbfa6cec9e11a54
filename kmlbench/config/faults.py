# SPDX-License-Identifier: MIT
"""What is wrong with a value of hosts.yaml, in words; and which dataclass says what it may be."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import StrEnum
from typing import get_args, get_type_hints

from pydantic_core import ErrorDetails

from kmlbench.config.yamlfile import Place, suggestion
from kmlbench.hosts.spec import PLAIN_WORDS, HostSpec

# Of a value that is of another type, by pydantic's name for the fault.
WANTED = {
    "string_pattern_mismatch": "must be a text",
    "string_type": "must be a text",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
}


def parts(spec: type) -> dict[str, type]:
    """The fields that are dataclasses themselves."""
    return {
        name: part
        for name, hint in get_type_hints(spec).items()
        for part in (hint, *get_args(hint))
        if isinstance(part, type) and is_dataclass(part)
    }


def keys(spec: type) -> tuple[str, ...]:
    """The keys that a mapping may have in the file."""
    names = tuple(field.name for field in fields(spec))
    return ("kind", *(name for name in names if name != "name")) if issubclass(spec, HostSpec) else names


def field_at(spec: type, place: Place) -> tuple[type, str]:
    """The field that the value at this place belongs to: its dataclass, and its name."""
    *outer, last = map(str, place)
    for step in outer:
        if step not in parts(spec):
            return spec, step
        spec = parts(spec)[step]
    return spec, last


def relations(spec: type, data: Mapping[str, object], bad: Collection[Place]) -> Iterator[tuple[Place, str]]:
    """What is wrong between the keys of a mapping; the values at the places in `bad` have faults already."""
    either = getattr(spec, "either", ())
    if either and sum(name in data for name in either) != 1:
        yield either[:1], getattr(spec, "neither", "")
    if issubclass(spec, HostSpec):
        given = {key: value for key, value in data.items() if (key,) not in bad}
        yield from (((key,), text) for key, text in spec.conflicts(given))
    for key, part in parts(spec).items():
        if isinstance(inner := data.get(key), dict):
            below = [place[1:] for place in bad if place[:1] == (key,)]
            yield from (((key, *place), text) for place, text in relations(part, inner, below))


def words(spec: type, key: str, error: ErrorDetails) -> str:
    """What is wrong with the value of a key."""
    value, hint = error["input"], get_type_hints(spec)[key]
    metadata = next(field.metadata for field in fields(spec) if field.name == key)
    match error["type"]:
        case "greater_than_equal" | "less_than_equal" if "ge" in metadata:
            minimum, maximum = metadata["ge"], metadata["le"]
            decimals = "g" if float in (hint, *get_args(hint)) else ""
            return f"{value} is not between {minimum:{decimals}} and {maximum:{decimals}}"
        case "enum":
            return unknown_word(value, _members(hint))
        case "string_pattern_mismatch" if value:
            return f"must be {metadata.get('wanted', PLAIN_WORDS)}"
    return WANTED.get(error["type"], error["msg"])


def _members(hint: object) -> list[str]:
    """The words of the closed set in a type."""
    sets = (part for part in (hint, *get_args(hint)) if isinstance(part, type) and issubclass(part, StrEnum))
    return [str(member) for each in sets for member in each]


def unknown_word(value: object, known: Collection[str]) -> str:
    """What is wrong with a value that is none of the known words."""
    if not isinstance(value, str) or not value:
        return "must be a text"
    return f"unknown: {value!r}{suggestion(value, known)}"
