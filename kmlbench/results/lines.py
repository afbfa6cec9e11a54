# SPDX-License-Identifier: MIT
"""Lines of JSON with known fields, sealed with a checksum.

msgspec reads and checks them. What it rejects is read again by the standard library, which names the fault or
accepts a lone surrogate: Python represents undecodable bytes that way, and hosts print such bytes.
"""

from __future__ import annotations

import json
import re
import reprlib
import zlib
from collections.abc import Mapping
from typing import Annotated, Any, NoReturn, TypeVar

import msgspec
from msgspec import Meta

# Used in the names of files. msgspec searches for a pattern anywhere, hence the anchors.
WORD = r"\A[A-Za-z0-9][A-Za-z0-9_.-]{0,99}\Z"
Word = Annotated[str, Meta(pattern=WORD)]

Count = Annotated[int, Meta(ge=0, le=2**31 - 1)]

# JSON can have numbers that are too large for a float, and the standard library reads them as infinite.
Finite = Annotated[float, Meta(ge=-1e300, le=1e300)]

T = TypeVar("T")

_SEAL = re.compile(r', "crc32": "([0-9a-f]{8})"\}$')

_MISSING = re.compile(r"Object missing required field `(.*)`")

# Any value of a mapping.
_EACH = "[...]"

_NO_SUCH_VALUE = re.compile(r"Invalid (enum )?value .*", re.DOTALL)

_WORDS = {
    f"`str` matching regex {WORD!r}": "a word of letters, digits, '_', '.' and '-'",
    "`bool | null`": "true, false or null",
    "`array`": "a list",
    "`bool`": "true or false",
    "`float`": "a number",
    "`int`": "an integer",
    "`null`": "null",
    "`object`": "an object",
    "`str`": "a string",
    "Expected ": "expected ",
    "Number out": "number out",
    "Integer value out": "integer value out",
    "Object contains": "it contains",
}


def encode(record: msgspec.Struct | Mapping[str, object]) -> str:
    """One line of ASCII JSON, without the newline. Raises ValueError for NaN and infinity."""
    return json.dumps(msgspec.to_builtins(record), allow_nan=False)


def seal(record: msgspec.Struct | Mapping[str, object]) -> str:
    """As `encode`, with a last field crc32, the CRC-32 of the line without it. `record` is not empty."""
    line = encode(record)
    return f'{line[:-1]}, "crc32": "{zlib.crc32(line.encode()):08x}"}}'


def decode(text: str, decoder: msgspec.json.Decoder[T]) -> T:
    """The record in `text`. Raises ValueError that names the field, or if the checksum does not match."""
    _require_seal(text.rstrip("\n"))
    try:
        return decoder.decode(text)
    except (ValueError, RecursionError):
        parsed = _parsed(text)
    converted: T = convert(parsed, decoder.type)
    return converted


def convert(value: object, kind: Any, *, location: str = "") -> Any:
    """`value`, found at `location`, as the type `kind`. Raises ValueError that names the field."""
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise ValueError(_explained(str(error), value, location)) from error


def _require_seal(line: str) -> None:
    match = _SEAL.search(line, max(0, len(line) - 24))
    if match is None:
        return
    sealed = line[: match.start()].encode(errors="surrogatepass") + b"}"
    if zlib.crc32(sealed) != int(match[1], 16):
        raise ValueError("it was modified after it was written: its checksum differs")


def _parsed(text: str) -> object:
    try:
        return _DECODER.decode(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def _explained(message: str, record: object, above: str) -> str:
    """msgspec's message in plain words, with the field and its value; `above` is the location of `record`."""
    fault, _, rest = message.partition(" - at `$")
    inner = rest.removesuffix("`")
    location = (above + inner).removeprefix(".")
    if missing := _MISSING.fullmatch(fault):
        return f'field "{f"{location}." if location else ""}{missing[1]}" is missing'
    fault = _NO_SUCH_VALUE.sub("unknown", fault)
    for theirs, ours in _WORDS.items():
        fault = fault.replace(theirs, ours)
    if not location:
        return fault
    each = " as each value" if location.endswith(_EACH) else ""
    expected = fault.partition(", got ")[0]
    name = location.removesuffix(_EACH)
    return f'field "{name}" is {reprlib.repr(_at(record, inner))}: {expected}{each}'


def _at(record: object, location: str) -> object:
    """The value at a location such as ".samples[2].value"; _EACH is skipped."""
    value = record
    for name, index in re.findall(r"([^.\[\]]+)|\[(\d+)\]", location):
        match value:
            case dict():
                value = value[name]
            case list():
                value = value[int(index)]
    return value
