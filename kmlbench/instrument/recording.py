# SPDX-License-Identifier: MIT
"""A recording of the instrument: windows, and how often each block of code ran in them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

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

    def less(self, shorter: Window) -> Window:
        """What ran here and not in the other, task by task; what ran more often there is below zero."""
        executions = {task: Counter(blocks) for task, blocks in self.executions.items()}
        for task, blocks in shorter.executions.items():
            executions.setdefault(task, Counter()).subtract(blocks)
        return replace(
            self,
            executions=executions,
            total=self.total - shorter.total,
            switches=self.switches - shorter.switches,
        )

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
