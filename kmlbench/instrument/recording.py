# SPDX-License-Identifier: MIT
"""A recording of the instrument: windows, and how often each block of code ran in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.int64]

HIGHER_HALF = 1 << 63

# The side of an address.
USER, KERNEL = "user", "kernel"


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

    @property
    def side(self) -> str:
        return KERNEL if self.kernel else USER

    def addresses(self) -> Iterator[int]:
        address = self.address
        for length in self.lengths:
            yield address
            address += length


@dataclass(frozen=True, slots=True)
class BlockCounts:
    """How often one task executed blocks.

    `places` are theirs in Window.blocks, and one may be there repeatedly.
    """

    places: Numbers
    counts: Numbers

    def summed(self) -> BlockCounts:
        """The same, with each place once."""
        places, index = np.unique(self.places, return_inverse=True)
        counts = np.zeros(len(places), dtype=np.int64)
        np.add.at(counts, index, self.counts)
        return BlockCounts(places, counts)

    def negated(self) -> BlockCounts:
        return BlockCounts(self.places, -self.counts)


def joined(parts: Sequence[BlockCounts]) -> BlockCounts:
    """One after the other."""
    places = np.concatenate([each.places for each in parts])
    return BlockCounts(places, np.concatenate([each.counts for each in parts]))


@dataclass(slots=True)
class Window:
    """What ran between two marks. `executions` is by task, of `blocks`, which are those of the recording.

    A task is the address of its task_struct; 0 is what ran before the first switch that was seen.
    """

    section: int
    ordinal: int
    kind: int
    number: int
    cpu: int
    task: int
    blocks: Sequence[Block] = ()
    executions: dict[int, BlockCounts] = field(default_factory=dict)
    total: int = 0
    switches: int = 0
    cause: str | None = None

    @property
    def complete(self) -> bool:
        """Whether a mark ended it, and not the end of the guest or of the file."""
        return self.cause in {"mark", "next"}

    def add(self, task: int, executions: BlockCounts) -> None:
        before = self.executions.get(task)
        self.executions[task] = executions if before is None else joined((before, executions))

    def less(self, shorter: Window) -> Window:
        """What ran here and not in the other, task by task; what ran more often there is below zero."""
        difference = replace(
            self,
            executions=dict(self.executions),
            total=self.total - shorter.total,
            switches=self.switches - shorter.switches,
        )
        for task, executions in shorter.executions.items():
            difference.add(task, executions.negated())
        return difference

    def executed(self) -> Iterator[tuple[int, Block, int]]:
        """Each task with a block and how often it executed it."""
        for task, executions in self.executions.items():
            for place, count in zip(executions.places.tolist(), executions.counts.tolist(), strict=True):
                yield task, self.blocks[place], count

    def parts(self, sizes: Numbers | None = None) -> int:
        """The instructions, summed block by block. `sizes` are those of the blocks, where they are known."""
        sizes = sizes_of(self.blocks) if sizes is None else sizes
        return sum(int(sizes[each.places] @ each.counts) for each in self.executions.values())


def sizes_of(blocks: Sequence[Block]) -> Numbers:
    """The number of instructions of each block."""
    return np.fromiter((len(block.lengths) for block in blocks), dtype=np.int64, count=len(blocks))


def in_kernel_of(blocks: Sequence[Block]) -> npt.NDArray[np.bool_]:
    """Whether each block is the kernel's."""
    return np.fromiter((block.kernel for block in blocks), dtype=bool, count=len(blocks))


@dataclass(slots=True)
class Recording:
    """All windows of one QEMU, and the blocks that ran in them.

    `ended`: QEMU ended in order. `torn`: the file ends within a line.
    """

    api: int
    cpus: int
    costly: tuple[str, ...]
    blocks: list[Block] = field(default_factory=list)
    windows: list[Window] = field(default_factory=list)
    ended: bool = False
    torn: bool = False
