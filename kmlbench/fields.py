# SPDX-License-Identifier: MIT
"""JSON objects with fields of known types. Every reader raises ValueError that names the field."""

from __future__ import annotations

import json
from collections.abc import Mapping

Record = Mapping[str, object]


def dump(record: Record) -> str:
    """One line of ASCII JSON, without the newline. Refuses NaN."""
    return json.dumps(record, allow_nan=False)


def load(text: str) -> Record:
    """The object in `text`. Raises ValueError for anything that is not one JSON object."""
    record = json.loads(text, parse_constant=_refuse_constant)
    if not isinstance(record, dict):
        raise ValueError(f"expected an object, found {type(record).__name__}")
    return record


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not a number")


def _field(record: Record, name: str) -> object:
    if name not in record:
        raise ValueError(f'field "{name}" is missing')
    return record[name]


def _wrong(name: str, wanted: str, found: object) -> ValueError:
    return ValueError(f'field "{name}" is {found!r}, not {wanted}')


def text(record: Record, name: str) -> str:
    """A text."""
    value = _field(record, name)
    if not isinstance(value, str):
        raise _wrong(name, "a text", value)
    return value


def flag(record: Record, name: str) -> bool:
    """True or false."""
    value = _field(record, name)
    if not isinstance(value, bool):
        raise _wrong(name, "true or false", value)
    return value


def optional_flag(record: Record, name: str) -> bool | None:
    """True, false, or None where the record has null."""
    return None if _field(record, name) is None else flag(record, name)


def integer(record: Record, name: str) -> int:
    """An integer; true and false are none."""
    value = _field(record, name)
    if isinstance(value, bool) or not isinstance(value, int):
        raise _wrong(name, "an integer", value)
    return value


def number(record: Record, name: str) -> float:
    """A number, as a float."""
    value = _field(record, name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong(name, "a number", value)
    return float(value)


def mapping(record: Record, name: str) -> Record:
    """An object."""
    value = _field(record, name)
    if not isinstance(value, dict):
        raise _wrong(name, "an object", value)
    return value


def mappings(record: Record, name: str) -> tuple[Record, ...]:
    """A list of objects."""
    value = _field(record, name)
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise _wrong(name, "a list of objects", value)
    return tuple(value)


def texts(record: Record, name: str) -> Mapping[str, str]:
    """An object whose values are all texts."""
    value = mapping(record, name)
    if not all(isinstance(item, str) for item in value.values()):
        raise _wrong(name, "an object of texts", value)
    return {key: str(item) for key, item in value.items()}
