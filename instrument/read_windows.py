#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Read what the plugin wrote: windows of instructions, by process, side, function and costly instruction.

README.md has the format. Without options the sums of each window are printed by task and side; with the
facts that only the guest knows (where its kernel and its programs were) also by process and function.
"""

from __future__ import annotations

import argparse
import gzip
import re
import struct
import sys
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import BinaryIO, NoReturn

FORMAT = "kmlbench-windows 1"
KINDS = {1: "warm-up", 2: "measured", 3: "statement"}
CAUSES = frozenset({"mark", "next", "exit"})
HIGHER_HALF = 1 << 63
OTHER = "other"
_HEXADECIMAL = frozenset("0123456789abcdef")


class FormatError(ValueError):
    """The input is not what it should be. Says which file or stream, and the line."""


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """A translated block: where it began, and the length of each of its instructions in bytes.

    Each definition is a block of its own, as in the recording. `census` counts its costly instructions by
    their name. `code` is None unless the plugin had code=on.
    """

    address: int
    lengths: tuple[int, ...]
    census: Mapping[str, int]
    code: bytes | None = None

    @property
    def kernel(self) -> bool:
        return self.address >= HIGHER_HALF

    def addresses(self) -> Iterator[int]:
        address = self.address
        for length in self.lengths:
            yield address
            address += length


@dataclass(slots=True)
class Window:
    """What ran between two marks. `executions` is by task, then by block.

    A task is the address of its task_struct; 0 is what ran before the first switch that was seen.
    """

    section: int
    ordinal: int
    kind: int
    number: int
    cpu: int
    task: int
    executions: dict[int, Counter[Block]] = field(default_factory=dict)
    total: int = 0
    switches: int = 0
    cause: str | None = None

    @property
    def complete(self) -> bool:
        """Whether a mark ended it, and not the end of the guest or of the file."""
        return self.cause in {"mark", "next"}

    def parts(self) -> int:
        """The instructions, summed block by block."""
        return sum(
            count * len(block.lengths)
            for blocks in self.executions.values()
            for block, count in blocks.items()
        )


@dataclass(slots=True)
class Recording:
    """All windows of one QEMU. `ended`: QEMU ended in order. `torn`: the file ends within a line."""

    api: int
    cpus: int
    costly: tuple[str, ...]
    windows: list[Window] = field(default_factory=list)
    ended: bool = False
    torn: bool = False


class _Reader:
    def __init__(self, lines: Iterable[bytes], name: str) -> None:
        self._lines = iter(lines)
        self._name = name
        self._line = 0
        self._torn = False
        self._section = 0
        self._blocks: dict[int, Block] = {}
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
        self._blocks = {}

    def _read_begin(self, words: list[str]) -> None:
        if self._window is not None:
            self._fail("a window begins within a window")
        self._expect(words, 5)
        ordinal, kind, number, cpu = self._decimals(words[:4], 4)
        self._window = Window(self._section, ordinal, kind, number, cpu, self._hexadecimal(words[4]))

    def _read_block(self, words: list[str]) -> None:
        if len(words) not in {4, 5}:
            self._fail("a block has four or five words")
        number, address = self._decimal(words[0]), self._hexadecimal(words[1])
        if number in self._blocks:
            self._fail(f"block {number} was defined before")
        lengths = tuple(self._hexadecimal(digit) for digit in words[2])
        if 0 in lengths:
            self._fail("an instruction without length")
        code = self._code(words[4], sum(lengths)) if len(words) == 5 else None
        self._blocks[number] = Block(address, lengths, self._census(words[3]), code)

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
        counts = self._window.executions.setdefault(self._hexadecimal(words[0]), Counter())
        for number, count in zip(words[1::2], words[2::2], strict=True):
            block = self._blocks.get(self._decimal(number))
            if block is None:
                self._fail(f"block {number} is not defined")
            counts[block] += self._decimal(count)

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
        if (parts := window.parts()) != window.total:
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

    def _decimal(self, word: str) -> int:
        # int() would also take signs, underscores and blanks.
        if not word.isdigit() or len(word) > 20:
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


@dataclass(frozen=True, slots=True)
class Symbols:
    """Functions by address: each reaches to the next one, the last to `end`."""

    starts: Sequence[int]
    names: Sequence[str]
    end: int

    def at(self, address: int) -> str | None:
        position = bisect_right(self.starts, address) - 1
        return self.names[position] if position >= 0 and address < self.end else None


_MARK_OF_TEXT = re.compile(r"^_s?text$|_text_(?:start|end)$")


def kernel_symbols(system_map: str, *, text: int, name: str = "System.map") -> Symbols:
    """Symbols of a running kernel. `text` is its `_text` in /proc/kallsyms: KASLR has moved all alike."""
    found: dict[int, str] = {}
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
        if words[1] in "TtWw" and (address not in found or _MARK_OF_TEXT.search(found[address])):
            found[address] = words[2]
    if anchors.keys() != {"_text", "_end"}:
        raise FormatError(f"{name}: no _text or no _end")
    offset = text - anchors["_text"]
    # The per-CPU symbols below _text are offsets, not addresses.
    starts = sorted(address for address in found if address >= anchors["_text"])
    return Symbols(
        [start + offset for start in starts], [found[start] for start in starts], anchors["_end"] + offset
    )


@dataclass(frozen=True, slots=True)
class MappedFile:
    """A line of /proc/PID/maps."""

    start: int
    end: int
    offset: int
    path: str


def parse_maps(text: str, *, name: str = "maps") -> tuple[MappedFile, ...]:
    """The executable mappings of /proc/PID/maps, in order."""
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split(maxsplit=5)
        try:
            start, end = (int(word, 16) for word in words[0].split("-"))
            permissions, offset = words[1], int(words[2], 16)
        except (ValueError, IndexError):
            raise FormatError(f"{name}, line {number}: not a line of /proc/PID/maps") from None
        if "x" in permissions:
            found.append(MappedFile(start, end, offset, words[5] if len(words) == 6 else "[anonymous]"))
    return tuple(found)


def mapping_at(maps: Sequence[MappedFile], address: int) -> MappedFile | None:
    """The mapping that an address is in."""
    position = bisect_right(maps, address, key=lambda mapping: mapping.start) - 1
    return maps[position] if position >= 0 and address < maps[position].end else None


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
    found: dict[int, str] = {}
    if table is not None:
        names = sections[table[6]][4]
        for at in range(table[4], table[4] + table[5], _SYMBOL.size):
            label, info, _, place, value, _ = _SYMBOL.unpack_from(data, at)
            if info & 15 in {_FUNCTION, _INDIRECT} and place:
                start = names + label
                for address, offset, size in loads:
                    if address <= value < address + size:
                        found[value - address + offset] = data[start : data.index(b"\0", start)].decode()
    starts = sorted(found)
    return Symbols(starts, [found[start] for start in starts], len(data))


@dataclass(frozen=True, slots=True)
class Guest:
    """What only the guest could tell, fetched while the recorded processes lived.

    `maps` has each process's by a name of the reader's choice. `root` holds the guest's files, to name the
    functions of its programs; without it there are only the files' names.
    """

    kernel: Symbols | None = None
    maps: Mapping[str, Sequence[MappedFile]] = field(default_factory=dict)
    root: Path | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """Instructions of one window. `process` is one of Guest.maps or OTHER, `object` the kernel or a file."""

    process: str
    side: str
    object: str
    function: str
    instructions: int


class Naming:
    """Names for tasks and addresses, by what the guest told."""

    def __init__(self, guest: Guest) -> None:
        self._guest = guest
        self.function = cache(self._function)
        self._files = cache(self._file_symbols)

    def processes(self, windows: Iterable[Window]) -> dict[int, str]:
        """Which process each task belonged to: the one whose maps have most of its user instructions.

        What ran in the kernel alone (a kernel thread, the idle task) is "other", and so is what ran before
        any switch was seen. Pass windows during which task_structs were not reused: those of a section.
        """
        votes: dict[int, Counter[str]] = {}
        for window in windows:
            for task, blocks in window.executions.items():
                of_task = votes.setdefault(task, Counter())
                for block, count in blocks.items():
                    if not block.kernel:
                        of_task[self._owner(block.address)] += count * len(block.lengths)
        return {
            task: counter.most_common(1)[0][0] if task and counter else OTHER
            for task, counter in votes.items()
        }

    def _owner(self, address: int) -> str:
        owners = [name for name, maps in self._guest.maps.items() if mapping_at(maps, address)]
        if len(owners) > 1:
            raise FormatError(
                f"the maps of {' and '.join(owners)} both have {address:#x}: they cannot be told apart"
            )
        return owners[0] if owners else OTHER

    def _function(self, process: str, address: int) -> tuple[str, str]:
        """(object, function) of an address as the process sees it."""
        if address >= HIGHER_HALF:
            kernel = self._guest.kernel
            return "kernel", (kernel.at(address) if kernel else None) or "[unknown]"
        mapping = mapping_at(self._guest.maps.get(process, ()), address)
        if mapping is None:
            return "[unknown]", "[unknown]"
        symbols = self._files(mapping.path)
        name = symbols.at(address - mapping.start + mapping.offset) if symbols else None
        return mapping.path, name or "[unknown]"

    def _file_symbols(self, path: str) -> Symbols | None:
        root = self._guest.root
        if root is None or not path.startswith("/") or not (file := root / path[1:]).is_file():
            return None
        return elf_symbols(file.read_bytes(), name=str(file))

    def split(self, process: str, block: Block) -> Counter[tuple[str, str]]:
        """Instructions of one execution by (object, function): a block may run from one into the next."""
        *_, last = block.addresses()
        first = self.function(process, block.address)
        if first == self.function(process, last):
            return Counter({first: len(block.lengths)})
        return Counter(self.function(process, address) for address in block.addresses())


def profile(window: Window, naming: Naming, processes: Mapping[int, str]) -> list[Row]:
    """A window by process, side, object and function. The rows add up to its total."""
    sums: Counter[tuple[str, str, str, str]] = Counter()
    for task, blocks in window.executions.items():
        process = processes.get(task, OTHER)
        for block, count in blocks.items():
            side = "kernel" if block.kernel else "user"
            for (item, function), insns in naming.split(process, block).items():
                sums[process, side, item, function] += count * insns
    return [Row(*key, instructions) for key, instructions in sums.items()]


def census(window: Window, processes: Mapping[int, str]) -> Counter[tuple[str, str, str]]:
    """Executions of costly instructions by process, side and name."""
    sums: Counter[tuple[str, str, str]] = Counter()
    for task, blocks in window.executions.items():
        for block, count in blocks.items():
            for name, times in block.census.items():
                sums[processes.get(task, OTHER), "kernel" if block.kernel else "user", name] += count * times
    return sums


def _title(window: Window) -> str:
    kind = KINDS.get(window.kind, f"kind {window.kind}")
    note = "" if window.complete else " (INCOMPLETE)"
    return f"section {window.section}, window {window.ordinal}: {kind} {window.number}{note}"


def _print_window(window: Window, rows: Sequence[Row], options: argparse.Namespace) -> None:
    units = options.units
    print(f"{_title(window)}: {window.total / units:,.3f} instructions, {window.switches} switches")
    sums: Counter[tuple[str, str]] = Counter()
    for row in rows:
        sums[row.process, row.side] += row.instructions
    for (process, side), instructions in sorted(sums.items()):
        print(f"  {process:12} {side:6} {instructions / units:16,.3f}")
    for row in sorted(rows, key=lambda row: -row.instructions)[: options.functions]:
        print(f"    {row.instructions / units:14,.3f}  {row.process}/{row.side} {row.object}:{row.function}")


def _print_census(counts: Mapping[tuple[str, str, str], int], units: float) -> None:
    for (process, side, name), count in sorted(counts.items()):
        print(f"    {count / units:14,.3f}  {process}/{side} {name}")


def _guest(options: argparse.Namespace) -> Guest:
    maps = {}
    for item in options.maps:
        name, equals, path = item.partition("=")
        if not equals:
            raise FormatError(f"--maps wants NAME=FILE, not {item!r}")
        maps[name] = parse_maps(Path(path).read_text(), name=path)
    kernel = None
    if options.system_map is not None and options.text is not None:
        text = Path(options.system_map).read_text()
        kernel = kernel_symbols(text, text=options.text, name=options.system_map)
    return Guest(kernel=kernel, maps=maps, root=options.root)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description="Print windows of instructions that the plugin wrote.")
    parser.add_argument("file", type=Path, help="the plugin's output, also as FILE.gz")
    parser.add_argument("--system-map", help="the kernel's System.map")
    parser.add_argument("--text", type=lambda word: int(word, 16), help="_text in the guest's /proc/kallsyms")
    parser.add_argument(
        "--maps", action="append", default=[], metavar="NAME=FILE", help="a copy of /proc/PID/maps"
    )
    parser.add_argument("--root", type=Path, help="a directory with the guest's files")
    parser.add_argument("--units", type=float, default=1.0, help="units of work in a window, to divide by")
    parser.add_argument("--functions", type=int, default=0, metavar="N", help="the N largest functions")
    parser.add_argument("--census", action="store_true", help="the costly instructions")
    parser.add_argument("--kind", type=int, help="windows of that kind only")
    return parser


def print_recording(recording: Recording, options: argparse.Namespace) -> None:
    naming = Naming(_guest(options))
    processes = {
        section: naming.processes(window for window in recording.windows if window.section == section)
        for section in {window.section for window in recording.windows}
    }
    for window in recording.windows:
        if options.kind in {None, window.kind}:
            of_section = processes[window.section]
            _print_window(window, profile(window, naming, of_section), options)
            if options.census:
                _print_census(census(window, of_section), options.units)
    if not recording.ended:
        print("QEMU did not end in order" + (", the file ends within a line" if recording.torn else ""))


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        print_recording(read_file(options.file), options)
    except (OSError, FormatError) as error:
        print(f"read_windows: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
