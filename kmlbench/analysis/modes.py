# SPDX-License-Identifier: MIT
"""How far the windows of a cell vary, within trials and between them, and which are in another mode.

A window is in another mode when it is further than OFF from the median of its kind of work in its cell, and
further than MADS median absolute deviations. Of normal windows that vary by less than 0.4 % none is; of those
that vary more one in a million (MADS are 6.7 standard deviations). tests/analysis/test_modes.py simulates it.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median, stdev

from kmlbench.instrument.naming import OTHER
from kmlbench.model import Variant
from kmlbench.results.profiles import WINDOW_TABLE
from kmlbench.results.reader import StoredCampaign
from kmlbench.workloads.registry import known_adapter

OFF = 0.02

MADS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Instructions of server and client for a unit of work, in one window of a trial."""

    trial: str
    work: str
    instructions: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """The windows of a workload in a cell. Spreads are relative standard deviations; None of a single one.

    `within` is that of windows in their trials, `between` that of trials, each of which is a boot and a start
    of the server. `off` counts the windows in another mode, `effect` is their median distance, relative.
    """

    workload: str
    cell: Variant
    windows: int
    within: float | None
    between: float | None
    off: int
    effect: float


def spreads(stored: StoredCampaign) -> tuple[Spread, ...]:
    """The spread of every workload and cell that was recorded. Raises InputError on damage."""
    cells: dict[tuple[str, Variant], list[Window]] = {}
    for outcome in stored.completed:
        trial = outcome.trial
        adapter = known_adapter(trial.workload)
        table = WINDOW_TABLE.read(stored.directory, trial, adapter) if adapter else None
        if table is not None:
            cells.setdefault((trial.workload, trial.variant), []).extend(_windows(table.to_pylist()))
    cell_spreads = (_spread(workload, cell, windows) for (workload, cell), windows in cells.items())
    return tuple(sorted(cell_spreads, key=lambda spread: spread.workload))


def distances(values: Sequence[float]) -> list[float]:
    """How far each value is from their median, relative, where it is in another mode; else 0."""
    middle = median(values)
    if middle == 0:
        return [0.0] * len(values)
    relative = [value / middle - 1 for value in values]
    limit = max(OFF, MADS * median(map(abs, relative)))
    return [distance if abs(distance) > limit else 0.0 for distance in relative]


def _windows(rows: Sequence[Mapping[str, object]]) -> list[Window]:
    sums: defaultdict[tuple[str, object, str], float] = defaultdict(float)
    for row in rows:
        if row["process"] != OTHER:
            sums[str(row["trial"]), row["window"], str(row["work"])] += float(str(row["instructions"]))
    return [Window(trial=trial, work=work, instructions=value) for (trial, _, work), value in sums.items()]


def _spread(workload: str, cell: Variant, windows: Sequence[Window]) -> Spread:
    off = [
        distance
        for group in _grouped(windows, lambda window: window.work)
        for distance in distances([window.instructions for window in group])
        if distance
    ]
    return Spread(
        workload=workload,
        cell=cell,
        windows=len(windows),
        within=_within(windows),
        between=_between(windows),
        off=len(off),
        effect=median(off) if off else 0.0,
    )


def _within(windows: Sequence[Window]) -> float | None:
    """Pooled over the kinds of work of each trial that have several windows."""
    squares, freedom = 0.0, 0
    for group in _grouped(windows, lambda window: (window.trial, window.work)):
        mean = fmean(window.instructions for window in group)
        squares += sum((window.instructions / mean - 1) ** 2 for window in group)
        freedom += len(group) - 1
    return math.sqrt(squares / freedom) if freedom else None


def _between(windows: Sequence[Window]) -> float | None:
    """Of the rounds of the trials."""
    rounds = [
        sum(
            fmean(window.instructions for window in group)
            for group in _grouped(trial, lambda window: window.work)
        )
        for trial in _grouped(windows, lambda window: window.trial)
    ]
    return stdev(rounds) / fmean(rounds) if len(rounds) > 1 else None


def _grouped(windows: Iterable[Window], key: Callable[[Window], Hashable]) -> Iterable[Sequence[Window]]:
    groups: defaultdict[Hashable, list[Window]] = defaultdict(list)
    for window in windows:
        groups[key(window)].append(window)
    return groups.values()
