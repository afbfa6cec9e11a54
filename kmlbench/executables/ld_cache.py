# SPDX-License-Identifier: MIT
"""/etc/ld.so.cache: where ldconfig found the libraries of this machine. Format: glibc's dl-cache.h."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path

PATH = Path("/etc/ld.so.cache")

_MAGIC = b"glibc-ld.so.cache1.1"

# A cache of before glibc 2.32 has the old format first, and then, aligned, this one.
_OLD_MAGIC, _OLD_HEADER, _OLD_ENTRY, _ALIGNMENT = b"ld.so-1.7.0", 16, 12, 8

_HEADER = struct.Struct("<20s2I5I")

_ENTRY = struct.Struct("<iIIIQ")

# A library of glibc 2 (3) for x86-64 (0x300).
_X86_64 = 0x303


def read_cache(path: Path = PATH) -> Mapping[str, str]:
    """The path of each library by its name; empty where there is no cache, or none that can be read.

    Of a library with versions for newer processors it is the one that every processor can run.
    """
    try:
        data = path.read_bytes()
        return _libraries(data[_start(data) :])
    except (OSError, struct.error, ValueError):
        return {}


def _start(data: bytes) -> int:
    if not data.startswith(_OLD_MAGIC):
        return 0
    (count,) = struct.unpack_from("<I", data, _OLD_HEADER - 4)
    end = _OLD_HEADER + count * _OLD_ENTRY
    return int(end + -end % _ALIGNMENT)


def _libraries(data: bytes) -> Mapping[str, str]:
    magic, count, *_ = _HEADER.unpack_from(data)
    if magic != _MAGIC:
        raise ValueError("another format")
    libraries: dict[str, str] = {}
    for number in range(count):
        flags, name, value, _, special = _ENTRY.unpack_from(data, _HEADER.size + number * _ENTRY.size)
        if flags == _X86_64 and not special:
            libraries.setdefault(_text(data, name), _text(data, value))
    return libraries


def _text(data: bytes, start: int) -> str:
    return data[start : data.index(b"\0", start)].decode(errors="surrogateescape")
