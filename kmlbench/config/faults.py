# SPDX-License-Identifier: MIT
"""What is wrong with a value of hosts.yaml, in words, and which field has the rule that it breaks."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import StrEnum
from typing import TypeVar, get_args, get_type_hints

from pydantic import ConfigDict, TypeAdapter, with_config
from pydantic_core import ErrorDetails

from kmlbench.config.yamlfile import suggestion
from kmlbench.hosts.spec import HostSpec
from kmlbench.rules import PLAIN_WORDS, Location

Spec = TypeVar("Spec")

# The message for a value of the wrong type, by pydantic's name of the fault.
WANTED = {
    "string_pattern_mismatch": "must be text",
    "string_type": "must be text",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "bool_type": "must be true or false",
}


def parts(spec: type) -> dict[str, type]:
    """The fields whose types are dataclasses themselves."""
    return {
        name: part
        for name, hint in get_type_hints(spec).items()
        for part in (hint, *get_args(hint))
        if isinstance(part, type) and is_dataclass(part)
    }


def adapter(spec: type[Spec]) -> TypeAdapter[Spec]:
    """pydantic's validator of a dataclass; keys without a field are faults."""
    for part in (spec, *parts(spec).values()):
        with_config(ConfigDict(extra="forbid"))(part)
    return TypeAdapter(spec)


def keys(spec: type) -> tuple[str, ...]:
    """The keys that a mapping may have in the file."""
    names = tuple(field.name for field in fields(spec))
    return ("kind", *(name for name in names if name != "name")) if issubclass(spec, HostSpec) else names


def field_at(spec: type, location: Location) -> tuple[type, str]:
    """The field that the value at this location belongs to: its dataclass, and its name."""
    *outer, last = map(str, location)
    for step in outer:
        if step not in parts(spec):
            return spec, step
        spec = parts(spec)[step]
    return spec, last


def relations(
    spec: type, data: Mapping[str, object], faulty: Collection[Location]
) -> Iterator[tuple[Location, str]]:
    """Which keys of a mapping do not go together; the values at `faulty` locations have faults already."""
    either = getattr(spec, "either", ())
    if either and sum(name in data for name in either) != 1:
        yield either[:1], getattr(spec, "neither", "")
    if issubclass(spec, HostSpec):
        given = {key: value for key, value in data.items() if (key,) not in faulty}
        yield from (((key,), text) for key, text in spec.conflicts(given))
    for key, part in parts(spec).items():
        if isinstance(inner := data.get(key), dict):
            below = [location[1:] for location in faulty if location[:1] == (key,)]
            yield from (((key, *location), text) for location, text in relations(part, inner, below))


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
        case "value_error":
            return str(error["ctx"]["error"])
    return WANTED.get(error["type"], error["msg"])


def _members(hint: object) -> list[str]:
    """The words of the closed set in a type."""
    enums = (part for part in (hint, *get_args(hint)) if isinstance(part, type) and issubclass(part, StrEnum))
    return [str(member) for members in enums for member in members]


def unknown_word(value: object, known: Collection[str]) -> str:
    """What is wrong with a value that is none of the known words."""
    if isinstance(value, float) and str(value) in known:
        return f'must be text, in quotes: "{value}"'
    if not isinstance(value, str) or not value:
        return "must be text"
    return f"unknown: {value!r}{suggestion(value, known)}"
