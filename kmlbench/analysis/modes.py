# SPDX-License-Identifier: MIT
"""How far the windows of a workload vary, what of it is their blocks, boots and starts, and other modes.

Windows at the same place of two trials did the same work, of which there is more in some places than in
others. So a window is compared with the level of its place, and of its kind of work in its cell, by a
median polish (Tukey, Exploratory Data Analysis, 1977, chapter 11). It is in another mode when it is further
than OFF from what these say, and further than MADS median absolute deviations of the windows of its work. Of
normal windows that vary by less than 0.4 % none is; of those that vary more one in a million (MADS are 6.7
standard deviations). tests/analysis/test_modes.py simulates it.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, median
from typing import TypeVar

import numpy as np

from kmlbench.instrument.naming import OTHER
from kmlbench.model import Trial, Variant
from kmlbench.plan.comparisons import Comparison, cell_of, primary
from kmlbench.results.profiles import WINDOW_TABLE
from kmlbench.results.reader import StoredCampaign
from kmlbench.stats import format
from kmlbench.stats.intervals import Estimate, Interval, ratio_interval
from kmlbench.stats.variances import Components, components
from kmlbench.workloads.registry import known_adapter

OFF = 0.02

MADS = 10.0

# A median polish has converged long before.
_ROUNDS = 5

Group = TypeVar("Group", bound=Hashable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Instructions of server and client for a unit of work, in one window of a trial.

    `repetition` counts the windows of this work in the trial, from 0: with `work` it is the window's place.
    """

    trial: Trial
    cell: Variant
    work: str
    repetition: int
    instructions: float


@dataclass(frozen=True, slots=True, kw_only=True)
class CellModes:
    """The windows of a workload in a cell.

    `within` is the relative standard deviation of windows in their trials, None without repetition; `off`
    counts those in another mode, and `distance` is their median distance from the others, relative.
    """

    cell: Variant
    windows: int
    within: float | None
    off: int
    distance: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """How a workload varies. `varies` has relative standard deviations of a trial's round.

    `change` compares the campaign's main two cells as they were. For `settled`, windows in another mode
    are as their place and their cell have it, and trials that are mostly in another mode are left out.
    """

    workload: str
    cells: tuple[CellModes, ...]
    varies: Components
    comparison: Comparison
    change: Estimate
    settled: Estimate

    @property
    def off(self) -> int:
        """The windows in another mode, in all cells."""
        return sum(cell.off for cell in self.cells)


def spreads(stored: StoredCampaign) -> tuple[Spread, ...]:
    """The spread of every workload that was recorded, by name. Raises InputError on damage."""
    workloads: defaultdict[str, list[Window]] = defaultdict(list)
    for outcome in stored.completed:
        trial = outcome.trial
        adapter = known_adapter(trial.workload, stored.own)
        table = WINDOW_TABLE.read(stored.directory, trial, adapter) if adapter else None
        if table is not None:
            cell = cell_of(trial, control=stored.campaign.control)
            workloads[trial.workload].extend(_windows(trial, cell, table.to_pylist()))
    comparison = primary(stored.campaign.plan, control=stored.campaign.control)
    return tuple(spread(name, windows, comparison) for name, windows in sorted(workloads.items()) if windows)


def warnings(spreads: Sequence[Spread]) -> list[str]:
    """A sentence for each workload with windows in another mode."""
    return [_warning(spread) for spread in spreads if spread.off]


def _residuals(windows: Sequence[Window]) -> list[float]:
    """How far each is from the levels of its place and of its work in its cell, as a difference of logs."""
    logs = np.log([window.instructions for window in windows])
    left = logs.copy()
    for _ in range(_ROUNDS):
        for level in (_place, _work_in_cell):
            for places in _places(windows, level).values():
                left[places] -= np.median(left[places])
    return [float(value) for value in left]


def _in_another_mode(windows: Sequence[Window], left: Sequence[float]) -> list[bool]:
    """Whether each is too far away for its kind of work. Levels that were fitted make distances smaller."""
    off = [False] * len(windows)
    for places in _places(windows, lambda window: window.work).values():
        own = [windows[place] for place in places]
        freedom = max(1, len(own) - len(_places(own, _place)) - len(_places(own, _cell)))
        typical = median(abs(left[place]) for place in places)
        limit = max(OFF, MADS * len(own) / freedom * typical)
        for place in places:
            off[place] = abs(left[place]) > limit
    return off


def _windows(trial: Trial, cell: Variant, rows: Sequence[Mapping[str, object]]) -> list[Window]:
    sums: defaultdict[tuple[object, str], float] = defaultdict(float)
    for row in rows:
        if row["process"] != OTHER:
            sums[row["window"], str(row["work"])] += float(str(row["instructions"]))
    seen: Counter[str] = Counter()
    windows = []
    for (_, work), value in sums.items():
        if not value:
            continue
        windows.append(Window(trial=trial, cell=cell, work=work, repetition=seen[work], instructions=value))
        seen[work] += 1
    return windows


def spread(workload: str, windows: Sequence[Window], comparison: Comparison) -> Spread:
    """The spread of the windows of one workload; `comparison` is the campaign's main one."""
    left = _residuals(windows)
    off = _in_another_mode(windows, left)
    by_cell = _places(windows, _cell)
    return Spread(
        workload=workload,
        cells=tuple(
            _modes(
                cell,
                [windows[place] for place in by_cell[cell]],
                [left[place] for place in by_cell[cell]],
                [left[place] for place in by_cell[cell] if off[place]],
            )
            for cell in sorted(by_cell, key=str, reverse=True)
        ),
        varies=_components(windows, left),
        comparison=comparison,
        change=_change(windows, comparison),
        settled=_change(_settled(windows, left, off), comparison),
    )


def _settled(windows: Sequence[Window], left: Sequence[float], off: Sequence[bool]) -> Sequence[Window]:
    kept = [
        replace(window, instructions=window.instructions * math.exp(-distance)) if away else window
        for window, distance, away in zip(windows, left, off, strict=True)
    ]
    return [
        kept[place]
        for places in _places(windows, lambda window: window.trial).values()
        if sum(off[place] for place in places) <= len(places) / 2
        for place in places
    ]


def _modes(
    cell: Variant, windows: Sequence[Window], left: Sequence[float], off: Sequence[float]
) -> CellModes:
    return CellModes(
        cell=cell,
        windows=len(windows),
        within=_within(windows, left),
        off=len(off),
        distance=math.expm1(median(off)) if off else 0.0,
    )


def _within(windows: Sequence[Window], left: Sequence[float]) -> float | None:
    """Pooled over the kinds of work of each trial that have several windows."""
    squares, freedom = 0.0, 0
    for places in _places(windows, lambda window: (window.trial, window.work)).values():
        own = [left[place] for place in places]
        squares += sum((value - fmean(own)) ** 2 for value in own)
        freedom += len(own) - 1
    return math.sqrt(squares / freedom) if freedom else None


def _components(windows: Sequence[Window], left: Sequence[float]) -> Components:
    """Of the blocks that have every cell: only in these can cells be told from boots."""
    cells = sorted({window.cell for window in windows}, key=str)
    boots = len({(cell.kernel, cell.arm) for cell in cells})
    blocks: defaultdict[int, dict[Variant, float]] = defaultdict(dict)
    for trial, value in _rounds(windows).items():
        blocks[trial.block][_cell_of(trial, windows)] = math.log(value)
    whole = [[block[cell] for cell in cells] for block in blocks.values() if len(block) == len(cells)]
    if not whole or len(cells) % boots:
        return Components(blocks=None, boots=None, starts=None)
    shaped = np.array(whole).reshape(len(whole), boots, len(cells) // boots)
    return components(shaped, windows=_of_windows(windows, left))


def _cell_of(trial: Trial, windows: Sequence[Window]) -> Variant:
    return next(window.cell for window in windows if window.trial == trial)


def _of_windows(windows: Sequence[Window], left: Sequence[float]) -> float:
    """The variance of a trial's round, relative, that its windows account for: of the first trial."""
    within = _within(windows, left) or 0.0
    sizes: defaultdict[str, list[float]] = defaultdict(list)
    for window in windows:
        if window.trial == windows[0].trial:
            sizes[window.work].append(window.instructions)
    parts = [fmean(size) for size in sizes.values()]
    squares = sum(fmean(size) ** 2 / len(size) for size in sizes.values())
    return within**2 * squares / sum(parts) ** 2


def _rounds(windows: Sequence[Window]) -> dict[Trial, float]:
    """The instructions of a round of each trial, as the metric `instructions` has them.

    A trial that has no window of some work has no round.
    """
    means: defaultdict[Trial, dict[str, float]] = defaultdict(dict)
    for (trial, work), places in _places(windows, lambda window: (window.trial, window.work)).items():
        means[trial][work] = fmean(windows[place].instructions for place in places)
    works = {window.work for window in windows}
    return {trial: sum(of.values()) for trial, of in means.items() if of.keys() == works}


def _change(windows: Sequence[Window], comparison: Comparison) -> Estimate:
    """The ratio of rounds in the two cells, block by block."""
    by_cell: defaultdict[Variant, defaultdict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for trial, value in _rounds(windows).items():
        by_cell[_cell_of(trial, windows)][trial.block].append(value)
    return ratio_interval(by_cell[comparison.treated], by_cell[comparison.control])


def _warning(spread: Spread) -> str:
    cells = ", ".join(f"{cell.cell}: {cell.off} of {cell.windows}" for cell in spread.cells if cell.off)
    settled = (
        f"without them {spread.comparison} is {_percent(spread.settled)}, with them {_percent(spread.change)}"
    )
    return f"{spread.workload} ran in more than one mode (windows in another one: {cells}); {settled}."


def _percent(ratio: Estimate) -> str:
    return format.change(ratio).text if isinstance(ratio, Interval) else f"unknown ({ratio.reason})"


def _place(window: Window) -> tuple[str, int]:
    return window.work, window.repetition


def _cell(window: Window) -> Variant:
    return window.cell


def _work_in_cell(window: Window) -> tuple[Variant, str]:
    return window.cell, window.work


def _places(windows: Iterable[Window], of: Callable[[Window], Group]) -> dict[Group, list[int]]:
    """The positions of the windows of each group."""
    groups: defaultdict[Group, list[int]] = defaultdict(list)
    for place, window in enumerate(windows):
        groups[of(window)].append(place)
    return dict(groups)
