# SPDX-License-Identifier: MIT
"""Windows in another mode are found, and normal ones hardly ever taken for such."""

from __future__ import annotations

import numpy as np
import pytest

from kmlbench.analysis import modes


def test_windows_of_a_second_mode_are_found_with_their_distance() -> None:
    values = [80_750.0 + step for step in range(-20, 20)] + [94_000.0, 94_200.0]
    result = modes.distances(values)
    assert [round(distance, 2) for distance in result if distance] == [0.16, 0.17]
    assert result.index(next(filter(None, result))) == 40


@pytest.mark.parametrize("spread", [0.0005, 0.003, 0.02])
@pytest.mark.parametrize("count", [10, 40, 120])
def test_false_alarms_are_rarer_than_one_in_a_hundred_cells(spread: float, count: int) -> None:
    random = np.random.default_rng(15)
    cells = 1 + spread * random.standard_normal((2000, count))
    alarms = sum(any(modes.distances(cell.tolist())) for cell in cells)
    assert alarms <= 20


def test_equal_windows_and_windows_of_nothing_are_in_one_mode() -> None:
    assert not any(modes.distances([5.0] * 10))
    assert not any(modes.distances([0.0] * 10))
    # Nothing varies, and one window is far away.
    assert any(modes.distances([5.0] * 10 + [5.2]))
