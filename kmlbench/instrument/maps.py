# SPDX-License-Identifier: MIT
"""What a process had mapped, by /proc/PID/maps."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from kmlbench.instrument.recording import FormatError


@dataclass(frozen=True, slots=True)
class MappedFile:
    """A line of /proc/PID/maps."""

    start: int
    end: int
    offset: int
    path: str


def parse_maps(text: str, *, name: str = "maps") -> tuple[MappedFile, ...]:
    """The executable mappings of /proc/PID/maps, in order."""
    mappings = []
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split(maxsplit=5)
        try:
            start, end = (int(word, 16) for word in words[0].split("-"))
            permissions, offset = words[1], int(words[2], 16)
        except (ValueError, IndexError):
            raise FormatError(f"{name}, line {number}: not a line of /proc/PID/maps") from None
        if "x" in permissions:
            mappings.append(MappedFile(start, end, offset, words[5] if len(words) == 6 else "[anonymous]"))
    return tuple(mappings)


def mapping_at(maps: Sequence[MappedFile], address: int) -> MappedFile | None:
    """The mapping that an address is in."""
    position = bisect_right(maps, address, key=lambda mapping: mapping.start) - 1
    return maps[position] if position >= 0 and address < maps[position].end else None
