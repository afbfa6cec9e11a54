# SPDX-License-Identifier: MIT
"""Functions by address: of a running kernel, and of the files that a process maps."""

from __future__ import annotations

import re
import struct
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kmlbench.instrument.recording import FormatError


@dataclass(frozen=True, slots=True)
class Symbols:
    """Functions by address: each reaches to the next one, the last to `end`."""

    starts: Sequence[int]
    names: Sequence[str]
    end: int

    def at(self, address: int) -> str | None:
        position = bisect_right(self.starts, address) - 1
        return self.names[position] if position >= 0 and address < self.end else None


# Code between functions that have a name: functions of a stripped file that it does not export.
NAMELESS = "[unknown]"

_MARK_OF_TEXT = re.compile(r"^_s?text$|_text_(?:start|end)$")


def kernel_symbols(system_map: str, *, text: int, name: str = "System.map") -> Symbols:
    """Symbols of a running kernel. `text` is its `_text` in /proc/kallsyms: KASLR has moved all alike."""
    functions: dict[int, str] = {}
    anchors: dict[str, int] = {}
    for number, line in enumerate(system_map.splitlines(), start=1):
        words = line.split()
        if len(words) != 3:
            raise FormatError(f"{name}, line {number}: not an address, a type and a name")
        try:
            address = int(words[0], 16)
        except ValueError:
            raise FormatError(f"{name}, line {number}: not an address: {words[0][:20]!r}") from None
        if words[2] in {"_text", "_end"}:
            anchors[words[2]] = address
        # The first function of a part of the text shares its address with the mark of that part.
        if words[1] in "TtWw" and (address not in functions or _MARK_OF_TEXT.search(functions[address])):
            functions[address] = words[2]
    if anchors.keys() != {"_text", "_end"}:
        raise FormatError(f"{name}: no _text or no _end")
    offset = text - anchors["_text"]
    # The per-CPU symbols below _text are offsets, not addresses.
    starts = sorted(address for address in functions if address >= anchors["_text"])
    return Symbols(
        [start + offset for start in starts], [functions[start] for start in starts], anchors["_end"] + offset
    )


_SECTION = struct.Struct("<IIQQQQIIQQ")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_LOAD, _SYMTAB, _DYNSYM, _FUNCTION, _INDIRECT = 1, 2, 11, 2, 10


def elf_symbols(data: bytes, *, name: str = "ELF file") -> Symbols:
    """Functions of a 64-bit ELF file by offset in the file, which is what maps speak of.

    A stripped file has its dynamic symbols only.
    """
    try:
        return _elf_symbols(data)
    except (struct.error, IndexError, ValueError, OverflowError) as error:
        raise FormatError(f"{name}: not a sound ELF file of 64 bits: {error}") from error


def symbols_below(root: Path, path: str) -> Symbols | None:
    """Functions of a guest's file, whose files are below `root`; None where it has none."""
    if not path.startswith("/") or not (file := root / path[1:]).is_file():
        return None
    return elf_symbols(file.read_bytes(), name=str(file))


def _elf_symbols(data: bytes) -> Symbols:
    if data[:6] != b"\x7fELF\x02\x01":
        raise ValueError("another magic number")
    segments_at, sections_at = struct.unpack_from("<QQ", data, 32)
    segment_size, segment_count, section_size, section_count = struct.unpack_from("<HHHH", data, 54)
    segments = [_SEGMENT.unpack_from(data, segments_at + i * segment_size) for i in range(segment_count)]
    loads = [(at, offset, size) for kind, _, offset, at, _, size, _, _ in segments if kind == _LOAD]
    sections = [_SECTION.unpack_from(data, sections_at + i * section_size) for i in range(section_count)]
    tables = {section[1]: section for section in sections if section[1] in {_SYMTAB, _DYNSYM}}
    table = tables.get(_SYMTAB) or tables.get(_DYNSYM)
    functions: dict[int, str] = {}
    ends: set[int] = set()
    if table is not None:
        names = sections[table[6]][4]
        for at in range(table[4], table[4] + table[5], _SYMBOL.size):
            label, info, _, place, value, length = _SYMBOL.unpack_from(data, at)
            if info & 15 in {_FUNCTION, _INDIRECT} and place:
                start = names + label
                for address, offset, size in loads:
                    if address <= value < address + size:
                        at_offset = value - address + offset
                        functions[at_offset] = data[start : data.index(b"\0", start)].decode()
                        ends.add(at_offset + length)
    for end in ends - functions.keys():
        functions[end] = NAMELESS
    starts = sorted(functions)
    return Symbols(starts, [functions[start] for start in starts], len(data))


def functions_text(symbols: Symbols) -> str:
    """The functions of a file as text, to be stored: the end, then an offset and a name a line."""
    lines = (f"{start:x} {name}\n" for start, name in zip(symbols.starts, symbols.names, strict=True))
    return f"{symbols.end:x}\n{''.join(lines)}"


def read_functions(text: str, *, name: str) -> Symbols:
    """What `functions_text` wrote. Raises FormatError."""
    end, *lines = text.splitlines() or [""]
    try:
        pairs = [(int(start, 16), function) for start, function in (line.split(" ", 1) for line in lines)]
        return Symbols([start for start, _ in pairs], [function for _, function in pairs], int(end, 16))
    except ValueError as error:
        raise FormatError(f"{name}: not a file of functions: {error}") from error
