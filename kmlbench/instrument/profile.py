# SPDX-License-Identifier: MIT
"""Windows by process, side, object and function, and the census of costly instructions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from kmlbench.instrument.naming import OTHER, Naming
from kmlbench.instrument.recording import Window


@dataclass(frozen=True, slots=True)
class Row:
    """Instructions of one window. `process` is one of Guest.maps or OTHER, `object` the kernel or a file."""

    process: str
    side: str
    object: str
    function: str
    instructions: int


def profile(window: Window, naming: Naming, processes: Mapping[int, str]) -> list[Row]:
    """A window by process, side, object and function. The rows add up to its total."""
    sums: Counter[tuple[str, str, str, str]] = Counter()
    for task, block, count in window.executed():
        process = processes.get(task, OTHER)
        for (item, function), insns in naming.split(process, block).items():
            sums[process, block.side, item, function] += count * insns
    return [Row(*key, instructions) for key, instructions in sums.items()]


def census(window: Window, processes: Mapping[int, str]) -> Counter[tuple[str, str, str]]:
    """Executions of costly instructions by process, side and name."""
    sums: Counter[tuple[str, str, str]] = Counter()
    for task, block, count in window.executed():
        for name, times in block.census.items():
            sums[processes.get(task, OTHER), block.side, name] += count * times
    return sums
