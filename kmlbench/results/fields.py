# SPDX-License-Identifier: MIT
"""JSON objects with fields of known types. Every reader raises ValueError that names the field."""

from __future__ import annotations

import json
import math
import re
import reprlib
import zlib
from collections.abc import Mapping, Sequence

Record = Mapping[str, object]

WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")

MOST = 2**31 - 1

LEAST_SIZE, MOST_SIZE = 1e-30, 1e30

_SEAL = re.compile(r', "crc32": "([0-9a-f]{8})"\}$')


def dump(record: Record) -> str:
    """One line of ASCII JSON, without the newline. Refuses NaN."""
    return json.dumps(record, allow_nan=False)


def seal(record: Record) -> str:
    """The same with a last field crc32, the CRC-32 of the line without it. `record` is not empty."""
    line = dump(record)
    return f'{line[:-1]}, "crc32": "{zlib.crc32(line.encode()):08x}"}}'


def load(text: str) -> Record:
    """The object in `text`.

    Raises ValueError for anything that is not one JSON object, and for one that is not as it was sealed.
    """
    _require_seal(text.rstrip("\n"))
    record = _decoded(text)
    if not isinstance(record, dict):
        raise ValueError(f"expected an object, found {type(record).__name__}")
    return record


def load_list(text: str) -> Sequence[object]:
    """The list in `text`. Raises ValueError for anything that is not one JSON list."""
    found = _decoded(text)
    if not isinstance(found, list):
        raise ValueError(f"expected a list, found {type(found).__name__}")
    return found


def _decoded(text: str) -> object:
    try:
        return _DECODER.decode(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _require_seal(line: str) -> None:
    found = _SEAL.search(line, max(0, len(line) - 24))
    if found is None:
        return
    sealed = line[: found.start()].encode(errors="surrogatepass") + b"}"
    if zlib.crc32(sealed) != int(found[1], 16):
        raise ValueError("it is not what was written: its checksum differs")


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not a number")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def _field(record: Record, name: str) -> object:
    if name not in record:
        raise ValueError(f'field "{name}" is missing')
    return record[name]


def _wrong(name: str, wanted: str, found: object) -> ValueError:
    return ValueError(f'field "{name}" is {reprlib.repr(found)}, not {wanted}')


def text(record: Record, name: str) -> str:
    """A text."""
    value = _field(record, name)
    if not isinstance(value, str):
        raise _wrong(name, "a text", value)
    return value


def word(record: Record, name: str) -> str:
    """A text that may be part of a file's name: letters, digits, "_", "." and "-"."""
    value = text(record, name)
    if not WORD.fullmatch(value):
        raise _wrong(name, "a word of letters, digits, '_', '.' and '-'", value)
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


def natural(record: Record, name: str) -> int:
    """A count: an integer from 0 to MOST."""
    value = integer(record, name)
    if not 0 <= value <= MOST:
        raise _wrong(name, f"a count from 0 to {MOST}", value)
    return value


def number(record: Record, name: str) -> float:
    """A finite number, as a float."""
    value = _field(record, name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong(name, "a number", value)
    if (isinstance(value, int) and value.bit_length() > 1000) or not math.isfinite(value):
        raise _wrong(name, "a finite number", value)
    return float(value)


def measured(record: Record, name: str) -> float:
    """A number that a measurement can give: zero, or from LEAST_SIZE to MOST_SIZE with either sign.

    What lies outside is damage, and its square or quotient may be no number at all.
    """
    value = number(record, name)
    if value and not LEAST_SIZE <= abs(value) <= MOST_SIZE:
        raise _wrong(name, f"zero or {LEAST_SIZE:g} to {MOST_SIZE:g} in size", value)
    return value


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


def words(record: Record, name: str) -> tuple[str, ...]:
    """A list of texts."""
    value = _field(record, name)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise _wrong(name, "a list of texts", value)
    return tuple(value)
