# SPDX-License-Identifier: MIT
"""Lines of JSON with known fields, sealed with a checksum.

msgspec reads and checks them. What it cannot read is read again by the standard library, which says what is
wrong with it, or finds half of a surrogate pair: Python keeps bytes that are no text as such, and hosts
print some.
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

# In the name of a file. msgspec searches a pattern.
WORD = r"\A[A-Za-z0-9][A-Za-z0-9_.-]{0,99}\Z"
Word = Annotated[str, Meta(pattern=WORD)]

Count = Annotated[int, Meta(ge=0, le=2**31 - 1)]

# JSON has numbers that no float holds, and the standard library reads them as infinite.
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
    "`str`": "a text",
    "Expected ": "expected ",
    "Number out": "number out",
    "Integer value out": "integer value out",
    "Object contains": "it contains",
}


def encode(record: msgspec.Struct | Mapping[str, object]) -> str:
    """One line of ASCII JSON, without the newline. Raises ValueError for NaN and infinity."""
    return json.dumps(msgspec.to_builtins(record), allow_nan=False)


def seal(record: msgspec.Struct | Mapping[str, object]) -> str:
    """The same with a last field crc32, the CRC-32 of the line without it. `record` is not empty."""
    line = encode(record)
    return f'{line[:-1]}, "crc32": "{zlib.crc32(line.encode()):08x}"}}'


def decode(text: str, decoder: msgspec.json.Decoder[T]) -> T:
    """What is in `text`. Raises ValueError that names the field, also where it is not as it was sealed."""
    _require_seal(text.rstrip("\n"))
    try:
        return decoder.decode(text)
    except (ValueError, RecursionError):
        found = _parsed(text)
    converted: T = convert(found, decoder.type)
    return converted


def convert(found: object, kind: Any, *, place: str = "") -> Any:
    """`found`, which stands at `place`, as the type `kind`. Raises ValueError that names the field."""
    try:
        return msgspec.convert(found, kind)
    except msgspec.ValidationError as error:
        raise ValueError(_explained(str(error), found, place)) from error


def _require_seal(line: str) -> None:
    found = _SEAL.search(line, max(0, len(line) - 24))
    if found is None:
        return
    sealed = line[: found.start()].encode(errors="surrogatepass") + b"}"
    if zlib.crc32(sealed) != int(found[1], 16):
        raise ValueError("it is not what was written: its checksum differs")


def _parsed(text: str) -> object:
    try:
        return _DECODER.decode(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number")


_DECODER = json.JSONDecoder(parse_constant=_refuse_constant)


def _explained(message: str, record: object, above: str) -> str:
    """What msgspec says, in words, with the value that it is about and the place of `record`."""
    fault, _, rest = message.partition(" - at `$")
    inner = rest.removesuffix("`")
    place = (above + inner).removeprefix(".")
    if missing := _MISSING.fullmatch(fault):
        return f'field "{f"{place}." if place else ""}{missing[1]}" is missing'
    fault = _NO_SUCH_VALUE.sub("unknown", fault)
    for theirs, ours in _WORDS.items():
        fault = fault.replace(theirs, ours)
    if not place:
        return fault
    each = " as each value" if place.endswith(_EACH) else ""
    expected = fault.partition(", got ")[0]
    return f'field "{place.removesuffix(_EACH)}" is {reprlib.repr(_at(record, inner))}: {expected}{each}'


def _at(record: object, place: str) -> object:
    """The value at a place such as ".samples[2].value"; _EACH is passed over."""
    found = record
    for name, index in re.findall(r"([^.\[\]]+)|\[(\d+)\]", place):
        match found:
            case dict():
                found = found[name]
            case list():
                found = found[int(index)]
    return found
