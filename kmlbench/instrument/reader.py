# SPDX-License-Identifier: MIT
"""Parses recordings; instrument/README.md has the format."""

from __future__ import annotations

import gzip
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, NoReturn

import numpy as np

from kmlbench.instrument.recording import Block, BlockCounts, FormatError, Recording, Window

FORMAT = "kmlbench-windows 1"

CAUSES = frozenset({"mark", "next", "exit", "sleep"})

# Of the longest decimal number, which 64 bits with a sign hold.
DIGITS = 18

_HEXADECIMAL = frozenset("0123456789abcdef")

_LENGTHS = {digit: int(digit, 16) for digit in "123456789abcdef"}


class _Reader:
    def __init__(self, lines: Iterable[bytes], name: str) -> None:
        self._lines = iter(lines)
        self._name = name
        self._line = 0
        self._torn = False
        self._section = 0
        # Where each block of this section is in the recording's.
        self._places: dict[int, int] = {}
        # The number of instructions of each of the recording's blocks.
        self._sizes = array("q")
        self._window: Window | None = None
        self._records: dict[str, Callable[[list[str]], None]] = {
            "section": self._read_section,
            "begin": self._read_begin,
            "b": self._read_block,
            "c": self._read_counts,
            "end": self._read_end,
            "lost": self._read_lost,
            "exit": self._read_exit,
        }
        self._recording = self._read_head()

    def read(self) -> Recording:
        while (words := self._next()) is not None:
            if self._recording.ended:
                self._fail("something follows the end")
            record = self._records.get(words[0])
            if record is None:
                self._fail(f"no such record: {words[0][:20]!r}")
            record(words[1:])
        if self._window is not None:
            self._recording.windows.append(self._window)
        self._recording.torn = self._torn
        return self._recording

    def _read_head(self) -> Recording:
        words = self._next()
        if words is None or " ".join(words) != FORMAT:
            self._fail(f"not {FORMAT!r}")
        api, cpus = (self._decimal(word) for word in self._head("qemu", 2))
        costly = tuple(self._head("costly", None))
        return Recording(api=api, cpus=cpus, costly=costly)

    def _head(self, word: str, count: int | None) -> list[str]:
        words = self._next()
        if words is None or words[0] != word or (count is not None and len(words) != count + 1):
            self._fail(f"{word!r} is missing or of the wrong length")
        return words[1:]

    def _read_section(self, words: list[str]) -> None:
        (self._section,) = self._decimals(words, 1)
        if self._window is not None:
            self._fail("a section begins within a window")
        self._places = {}

    def _read_begin(self, words: list[str]) -> None:
        if self._window is not None:
            self._fail("a window begins within a window")
        self._expect(words, 5)
        ordinal, kind, number, cpu = self._decimals(words[:4], 4)
        task = self._hexadecimal(words[4])
        self._window = Window(self._section, ordinal, kind, number, cpu, task, self._recording.blocks)

    def _read_block(self, words: list[str]) -> None:
        if len(words) not in {4, 5}:
            self._fail("a block has four or five words")
        number, address = self._decimal(words[0]), self._hexadecimal(words[1])
        if number in self._places:
            self._fail(f"block {number} was defined before")
        lengths = self._lengths(words[2])
        code = self._code(words[4], sum(lengths)) if len(words) == 5 else None
        block = Block(address, lengths, self._census(words[3]), code)
        self._places[number] = len(self._recording.blocks)
        self._recording.blocks.append(block)
        self._sizes.append(len(lengths))

    def _lengths(self, word: str) -> tuple[int, ...]:
        try:
            return tuple(map(_LENGTHS.__getitem__, word))
        except KeyError as error:
            digit = error.args[0]
            self._fail("an instruction without length" if digit == "0" else f"not a length: {digit!r}")

    def _census(self, word: str) -> Mapping[str, int]:
        if word == "-":
            return {}
        pairs = [self._decimals(pair.split(":"), 2) for pair in word.split(",")]
        if not all(1 <= number <= len(self._recording.costly) for number, _ in pairs):
            self._fail("no such class of costly instructions")
        return {self._recording.costly[number - 1]: count for number, count in pairs}

    def _code(self, word: str, length: int) -> bytes:
        if len(word) != 2 * length or not set(word) <= _HEXADECIMAL:
            self._fail("the code is not as long as its instructions, or not hexadecimal")
        return bytes.fromhex(word)

    def _read_counts(self, words: list[str]) -> None:
        if self._window is None:
            self._fail("counts outside of a window")
        if len(words) % 2 != 1:
            self._fail("counts are pairs after a task")
        task = self._hexadecimal(words[0])
        numbers = self._many_decimals(words[1:])
        try:
            places = [self._places[number] for number in numbers[::2]]
        except KeyError as error:
            self._fail(f"block {error.args[0]} is not defined")
        counts = np.array(numbers[1::2], dtype=np.int64)
        self._window.add(task, BlockCounts(np.array(places, dtype=np.int64), counts))

    def _read_end(self, words: list[str]) -> None:
        window = self._window
        if window is None:
            self._fail("the end of no window")
        self._expect(words, 4)
        ordinal, window.total, window.switches = self._decimals(words[:3], 3)
        if ordinal != window.ordinal:
            self._fail(f"window {window.ordinal} has the end of {ordinal}")
        if words[3] not in CAUSES:
            self._fail(f"no such cause: {words[3][:20]!r}")
        window.cause = words[3]
        if (parts := window.parts(np.frombuffer(self._sizes, dtype=np.int64))) != window.total:
            self._fail(f"window {ordinal}: the parts are {parts} instructions, the total is {window.total}")
        self._recording.windows.append(window)
        self._window = None

    def _read_lost(self, words: list[str]) -> None:
        self._expect(words, 0)
        if self._window is not None:
            self._fail("the plugin lost instructions within a window")

    def _read_exit(self, words: list[str]) -> None:
        self._expect(words, 0)
        self._recording.ended = True

    def _next(self) -> list[str] | None:
        line = next(self._lines, None)
        if line is None:
            return None
        self._line += 1
        if not line.endswith(b"\n"):
            self._torn = True
            return None
        try:
            words = line[:-1].decode("ascii").split(" ")
        except UnicodeDecodeError:
            self._fail("not ASCII")
        if "" in words:
            self._fail("an empty word")
        return words

    def _expect(self, words: Sequence[str], count: int) -> None:
        if len(words) != count:
            self._fail(f"{len(words)} words instead of {count}")

    def _decimals(self, words: Sequence[str], count: int) -> list[int]:
        self._expect(words, count)
        return [self._decimal(word) for word in words]

    def _many_decimals(self, words: Sequence[str]) -> list[int]:
        """The same as one by one, in a third of the time."""
        if "".join(words).isdigit() and max(map(len, words)) <= DIGITS:
            return [*map(int, words)]
        return [self._decimal(word) for word in words]

    def _decimal(self, word: str) -> int:
        # int() would also take signs, underscores and blanks.
        if not word.isdigit() or len(word) > DIGITS:
            self._fail(f"not a decimal number: {word[:20]!r}")
        return int(word)

    def _hexadecimal(self, word: str) -> int:
        if not 1 <= len(word) <= 16 or not set(word) <= _HEXADECIMAL:
            self._fail(f"not a hexadecimal number: {word[:20]!r}")
        return int(word, 16)

    def _fail(self, what: str) -> NoReturn:
        raise FormatError(f"{self._name}, line {self._line}: {what}")


def read(lines: Iterable[bytes], *, name: str = "the recording") -> Recording:
    """Parse a recording. It may end anywhere after its head, as QEMU may be killed at any time.

    Raises FormatError for everything else, also when the parts of a window are not its total.
    """
    return _Reader(lines, name).read()


def read_file(path: Path) -> Recording:
    """Parse a file, compressed by gzip or not."""
    with _open(path) as stream:
        try:
            return read(stream, name=str(path))
        except (gzip.BadGzipFile, EOFError) as error:
            raise FormatError(f"{path}: {error}") from error


def _open(path: Path) -> BinaryIO | gzip.GzipFile:
    return gzip.open(path) if path.suffix == ".gz" else path.open("rb")
