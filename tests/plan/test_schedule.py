# SPDX-License-Identifier: MIT
"""The order of a campaign."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kmlbench.model import Kernel, Prefix, Trial, Variant
from kmlbench.plan import schedule
from kmlbench.plan.comparisons import CELLS

WORKLOADS = {"getpid": False, "oltp_point_select": True, "oltp_read_write": True, "wisconsin": True}


def made(*, blocks: int = 4, seed: int = 7) -> tuple[Trial, ...]:
    return schedule.make_schedule(CELLS, WORKLOADS, blocks=blocks, seed=seed)


def cells(trials: tuple[Trial, ...]) -> list[tuple[Variant, str]]:
    return [(trial.variant, trial.workload) for trial in trials]


def of_block(trials: tuple[Trial, ...], block: int) -> tuple[Trial, ...]:
    return tuple(trial for trial in trials if trial.block == block)


def test_every_cell_meets_every_workload_once_in_each_block() -> None:
    counted = Counter((trial.block, trial.variant, trial.workload) for trial in made())
    assert len(counted) == 4 * 4 * len(WORKLOADS)
    assert set(counted.values()) == {1}


def test_positions_and_boots_count_from_zero_without_holes() -> None:
    trials = made()
    assert [trial.position for trial in trials] == list(range(len(trials)))
    assert sorted({trial.boot for trial in trials}) == list(range(8))


def test_a_block_boots_each_kernel_once_even_when_its_neighbour_ends_with_the_same() -> None:
    listed = schedule.boots(made(), WORKLOADS)
    assert [boot.block for boot in listed] == [0, 0, 1, 1, 2, 2, 3, 3]
    for block in range(4):
        assert {boot.kernel for boot in listed if boot.block == block} == set(Kernel)
    assert listed[1].kernel is listed[2].kernel


@given(st.integers(min_value=0, max_value=2**32 - 1))
def test_every_second_block_is_the_reverse_of_the_one_before(seed: int) -> None:
    trials = made(seed=seed)
    assert cells(of_block(trials, 1)) == cells(of_block(trials, 0))[::-1]
    assert cells(of_block(trials, 3)) == cells(of_block(trials, 2))[::-1]


@given(st.integers(min_value=0, max_value=2**32 - 1))
def test_a_linear_drift_cancels_between_the_cells_of_a_workload(seed: int) -> None:
    trials = made(seed=seed)
    totals: Counter[tuple[str, Variant]] = Counter()
    for trial in trials:
        totals[trial.workload, trial.variant] += trial.position
    assert len(set(totals.values())) == 1


@given(st.integers(min_value=0, max_value=2**32 - 1))
def test_a_workload_has_the_same_predecessors_in_all_cells_of_a_block(seed: int) -> None:
    for boot_pair in ((0, 1), (2, 3)):
        listed = [boot for boot in schedule.boots(made(seed=seed), WORKLOADS) if boot.index in boot_pair]
        cells = [
            [t for t in boot.trials if t.variant.prefix is prefix] for boot in listed for prefix in Prefix
        ]
        assert len({tuple(trial.workload for trial in cell) for cell in cells}) == 1


@given(st.integers(min_value=0, max_value=2**32 - 1))
def test_the_trials_of_a_prefix_that_need_a_server_are_contiguous(seed: int) -> None:
    trials = made(seed=seed)
    for boot in schedule.boots(trials, WORKLOADS):
        assert sorted((group.prefix, group.served) for group in boot.groups) == [
            ("/trusted", False),
            ("/trusted", True),
            ("/usr", False),
            ("/usr", True),
        ]
        assert all(len(group.trials) == (3 if group.served else 1) for group in boot.groups)
        assert boot.trials == tuple(trial for trial in trials if trial.boot == boot.index)


@given(st.integers(min_value=1, max_value=5), st.integers(min_value=1, max_value=5))
def test_a_pair_of_hosts_runs_whole_blocks_and_their_reverses(pairs: int, couples: int) -> None:
    trials = schedule.distribute(made(blocks=2 * pairs * couples), pairs=pairs)
    assert [replace(trial, pair=0) for trial in trials] == list(made(blocks=2 * pairs * couples))
    blocks = {trial.block: trial.pair for trial in trials}
    assert all((trial.pair == blocks[trial.block]) for trial in trials)
    for pair in range(pairs):
        mine = [block for block, other in blocks.items() if other == pair]
        assert len(mine) == 2 * couples
        assert all(first + 1 == second for first, second in zip(mine[::2], mine[1::2], strict=True))
    assert {boot.index: boot.pair for boot in schedule.boots(trials, WORKLOADS)} == {
        trial.boot: trial.pair for trial in trials
    }


def test_the_seed_decides_the_order() -> None:
    assert made(seed=1) == made(seed=1)
    assert len({tuple(cells(made(seed=seed))) for seed in range(20)}) > 10


def test_the_order_of_a_seed_never_changes() -> None:
    """A recorded seed must give the recorded plan in every later version and Python."""
    first = [trial.id for trial in schedule.make_schedule(CELLS, WORKLOADS, blocks=1, seed=5)]
    assert first == GOLDEN


def test_a_plan_of_fewer_variants() -> None:
    only = tuple(variant for variant in CELLS if variant.kernel is Kernel.STOCK)
    trials = schedule.make_schedule(only, WORKLOADS, blocks=2, seed=3)
    assert {trial.variant for trial in trials} == set(only)
    assert [boot.index for boot in schedule.boots(trials, WORKLOADS)] == [0, 1]


def test_the_estimate_adds_boots_server_starts_and_trials() -> None:
    costs = schedule.Costs(boot_s=100, start_s=10, served_s=3, trial_s=1)
    seconds = schedule.estimate_duration(made(blocks=1), WORKLOADS, scale=0.5, costs=costs)
    assert seconds == pytest.approx(2 * 100 + 4 * 10 + 12 * 3 + 16 * 0.5)


GOLDEN = [
    "0000-stock-usr-oltp_point_select",
    "0001-stock-usr-oltp_read_write",
    "0002-stock-usr-wisconsin",
    "0003-stock-usr-getpid",
    "0004-stock-trusted-oltp_point_select",
    "0005-stock-trusted-oltp_read_write",
    "0006-stock-trusted-wisconsin",
    "0007-stock-trusted-getpid",
    "0008-kml-usr-oltp_point_select",
    "0009-kml-usr-oltp_read_write",
    "0010-kml-usr-wisconsin",
    "0011-kml-usr-getpid",
    "0012-kml-trusted-oltp_point_select",
    "0013-kml-trusted-oltp_read_write",
    "0014-kml-trusted-wisconsin",
    "0015-kml-trusted-getpid",
]
