# SPDX-License-Identifier: MIT
"""Windows in another mode are found, normal ones hardly ever; what varies is told apart."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from kmlbench.analysis import modes
from kmlbench.analysis.modes import Spread, Window
from kmlbench.model import Kernel, Prefix, Trial, Variant
from kmlbench.plan.comparisons import PRIMARY
from kmlbench.stats.intervals import Interval

CELLS = tuple(Variant(kernel=kernel, prefix=prefix) for kernel, prefix in product(Kernel, Prefix))

# Windows at different places do different work.
PLACES = tuple(4_000_000.0 + 50_000.0 * number for number in range(10))

Factor = Callable[[Variant, int, int], float]


def windows(factor: Factor, *, blocks: int = 4) -> Iterator[Window]:
    """Ten windows in each cell and block, each by `factor` of the cell, the block and the place."""
    for block, (position, cell) in product(range(blocks), enumerate(CELLS)):
        boot = 2 * block + position // 2
        trial = Trial(block=block, boot=boot, position=position + 4 * block, variant=cell, workload="w")
        for place, size in enumerate(PLACES):
            instructions = size * factor(cell, block, place)
            yield Window(trial=trial, cell=cell, work="event", repetition=place, instructions=instructions)


def spread(factor: Factor, *, blocks: int = 4) -> Spread:
    return modes.spread("w", tuple(windows(factor, blocks=blocks)), PRIMARY)


def noisy(seed: int, deviation: float) -> Callable[[], float]:
    random = np.random.default_rng(seed)
    return lambda: 1 + deviation * random.standard_normal()


def test_windows_that_do_more_work_than_others_are_in_no_other_mode() -> None:
    noise = noisy(1, 0.0003)
    result = spread(lambda *_: noise())
    assert result.off == 0
    assert not modes.warnings([result])
    assert all(cell.within == pytest.approx(0.0003, rel=0.4) for cell in result.cells)


def test_a_second_mode_is_counted_by_cell_and_the_change_shown_without_it() -> None:
    noise = noisy(2, 0.0003)

    def factor(cell: Variant, block: int, place: int) -> float:
        stuck = cell == PRIMARY.treated and block == 2 and place > 3
        return noise() * (0.99 if cell == PRIMARY.treated else 1.0) * (1.07 if stuck else 1.0)

    result = spread(factor)
    treated = next(cell for cell in result.cells if cell.cell == PRIMARY.treated)
    assert (result.off, treated.off, treated.windows) == (6, 6, 40)
    assert treated.distance == pytest.approx(0.07, abs=0.001)
    assert isinstance(result.change, Interval)
    assert isinstance(result.settled, Interval)
    assert result.change.estimate == pytest.approx(0.99 * 1.0103, abs=0.001)
    assert result.settled.estimate == pytest.approx(0.99, abs=0.001)
    (warning,) = modes.warnings([result])
    assert "kml:/trusted: 6 of 40" in warning
    assert "without them kml:/trusted against stock:/usr is −0.99 %, with them +0.05 %" in warning


def test_a_trial_that_was_in_another_mode_from_its_begin_to_its_end_is_found() -> None:
    noise = noisy(3, 0.0005)
    result = spread(lambda cell, block, _: noise() * (1.07 if (cell, block) == (CELLS[3], 1) else 1.0))
    assert result.off == 10
    assert isinstance(result.settled, Interval)
    assert result.settled.blocks == 3


def test_work_that_a_cell_does_for_less_than_other_work_is_no_mode() -> None:
    noise = noisy(6, 0.0003)
    direct = {"getpid": 0.5, "read": 0.9}
    loops = [
        replace(
            window, work=work, instructions=window.instructions * (less if window.cell == CELLS[3] else 1)
        )
        for work, less in direct.items()
        for window in windows(lambda *_: noise())
    ]
    assert modes.spread("syscalls", loops, PRIMARY).off == 0


@pytest.mark.parametrize("deviation", [0.0005, 0.003, 0.02])
@pytest.mark.parametrize("blocks", [2, 3])
def test_false_alarms_are_rarer_than_one_workload_in_a_hundred(deviation: float, blocks: int) -> None:
    noise = noisy(15, deviation)
    alarms = sum(bool(spread(lambda *_: noise(), blocks=blocks).off) for _ in range(200))
    assert alarms <= 2


def test_equal_windows_are_in_one_mode_and_one_beside_them_is_not() -> None:
    assert spread(lambda *_: 1.0).off == 0
    assert spread(lambda *at: 1.04 if at == (CELLS[1], 0, 5) else 1.0).off == 1


def test_what_varies_between_boots_is_told_from_what_varies_between_starts() -> None:
    boots, starts = noisy(4, 0.004), noisy(5, 0.001)
    of_boot = {(kernel, block): boots() for kernel in Kernel for block in range(200)}
    of_start = {(cell, block): starts() for cell in CELLS for block in range(200)}
    result = spread(lambda cell, block, _: of_boot[cell.kernel, block] * of_start[cell, block], blocks=200)
    assert result.varies.boots == pytest.approx(0.004, rel=0.15)
    assert result.varies.starts == pytest.approx(0.001, rel=0.15)
    assert result.varies.blocks is not None
    assert math.isfinite(result.varies.blocks)
