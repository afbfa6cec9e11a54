# SPDX-License-Identifier: MIT
"""Which worker of a cluster runs which block. Pure: no input, no output.

A block and the next, its reverse (plan.schedule), go to one worker where that costs no time: a drift of that
machine cancels over the two.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import InitVar, dataclass, field

# A block that loses so many workers may be what ends them.
MOST_LOSSES = 3


@dataclass(slots=True)
class Dispatcher:
    """Hands out `blocks`, each to one worker at a time, until it has ended or was lost MOST_LOSSES times."""

    blocks: InitVar[Iterable[int]]
    running: dict[str, int] = field(default_factory=dict)
    given_up: list[int] = field(default_factory=list)
    _waiting: list[int] = field(default_factory=list)
    _owners: dict[int, str] = field(default_factory=dict)
    _losses: Counter[int] = field(default_factory=Counter)

    def __post_init__(self, blocks: Iterable[int]) -> None:
        self._waiting = sorted(blocks)

    @property
    def is_done(self) -> bool:
        """Whether nothing waits and nothing runs."""
        return not self._waiting and not self.running

    def assign(self, worker: str) -> int | None:
        """The next block of a worker that is free; None if none waits."""
        if not self._waiting:
            return None
        block = min(self._waiting, key=lambda waiting: (self._rank(waiting, worker), waiting))
        self._waiting.remove(block)
        self.running[worker] = block
        self._owners[block // 2] = worker
        return block

    def finish(self, worker: str) -> None:
        """The block of this worker has ended."""
        del self.running[worker]

    def lose(self, worker: str) -> None:
        """This worker will not end its block, nor begin another."""
        block = self.running.pop(worker)
        self._owners = {pair: owner for pair, owner in self._owners.items() if owner != worker}
        self._losses[block] += 1
        if self._losses[block] < MOST_LOSSES:
            self._waiting.append(block)
        else:
            self.given_up.append(block)

    def stop(self) -> bool:
        """Hand out no more blocks; whether any waited."""
        waited = bool(self._waiting)
        self._waiting.clear()
        return waited

    def _rank(self, block: int, worker: str) -> int:
        """The reverse of this worker's last block first, that of another worker last."""
        owner = self._owners.get(block // 2)
        return 0 if owner == worker else 1 if owner is None else 2
