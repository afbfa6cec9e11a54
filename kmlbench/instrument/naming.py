# SPDX-License-Identifier: MIT
"""Names for the tasks and addresses of a recording, by what the guest told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

from kmlbench.instrument.maps import MappedFile, mapping_at
from kmlbench.instrument.recording import HIGHER_HALF, Block, BlockCounts, FormatError, Window, joined
from kmlbench.instrument.symbols import Symbols

OTHER = "other"


@dataclass(frozen=True, slots=True)
class Guest:
    """What only the guest could tell, fetched while the recorded processes lived.

    `maps` has each process's by a name of the reader's choice. `files` finds the functions of a mapped file,
    by offset in the file; without it there are only the files' names.
    """

    kernel: Symbols | None = None
    maps: Mapping[str, Sequence[MappedFile]] = field(default_factory=dict)
    files: Callable[[str], Symbols | None] | None = None


class Naming:
    """Names for tasks and addresses, by what the guest told."""

    def __init__(self, guest: Guest) -> None:
        self._guest = guest
        self.function = cache(self._function)
        self._files = cache(self._file_symbols)
        self._owner = cache(self._owner_of)

    def processes(self, windows: Iterable[Window], *, strangers: str = OTHER) -> dict[int, str]:
        """Which process each task belonged to: the one whose maps have most of its user instructions.

        What ran in the kernel alone (a kernel thread, the idle task) is "other", and so is what ran before
        any switch was seen; what ran at addresses of no map is one of the `strangers`. Pass windows of one
        recording during which task_structs were not reused: those of a section.
        """
        votes: dict[int, Counter[str]] = {}
        for task, block, count in _sums(list(windows)):
            of_task = votes.setdefault(task, Counter())
            if not block.kernel:
                of_task[self._owner(block.address) or strangers] += count * len(block.lengths)
        return {
            task: counter.most_common(1)[0][0] if task and counter else OTHER
            for task, counter in votes.items()
        }

    def _owner_of(self, address: int) -> str:
        """The process at whose maps an address is; empty if it is at none."""
        owners = [name for name, maps in self._guest.maps.items() if mapping_at(maps, address)]
        if len(owners) > 1:
            raise FormatError(
                f"the maps of {' and '.join(owners)} both have {address:#x}: they cannot be told apart"
            )
        return owners[0] if owners else ""

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
        return None if self._guest.files is None else self._guest.files(path)

    def split(self, process: str, block: Block) -> Counter[tuple[str, str]]:
        """Instructions of one execution by (object, function): a block may run from one into the next."""
        *_, last = block.addresses()
        first = self.function(process, block.address)
        if first == self.function(process, last):
            return Counter({first: len(block.lengths)})
        return Counter(self.function(process, address) for address in block.addresses())


def _sums(windows: Sequence[Window]) -> Iterator[tuple[int, Block, int]]:
    """Each task with each block that it executed, and how often in all of these windows of a recording."""
    parts: dict[int, list[BlockCounts]] = {}
    for window in windows:
        for task, executions in window.executions.items():
            parts.setdefault(task, []).append(executions)
    for task, of_task in parts.items():
        summed = joined(of_task).summed()
        for place, count in zip(summed.places.tolist(), summed.counts.tolist(), strict=True):
            yield task, windows[0].blocks[place], count
