# SPDX-License-Identifier: MIT
"""The order of a campaign."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kmlbench import plan
from kmlbench.model import Kernel, Prefix, Trial, Variant

WORKLOADS = ("getpid", "oltp_point_select", "wisconsin")


def made(*, blocks: int = 4, seed: int = 7) -> tuple[Trial, ...]:
    return plan.make(plan.VARIANTS, WORKLOADS, blocks=blocks, seed=seed)


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
    listed = plan.boots(made())
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
        listed = [boot for boot in plan.boots(made(seed=seed)) if boot.index in boot_pair]
        orders = {tuple(t.workload for t in group.trials) for boot in listed for group in boot.groups}
        assert len(orders) == 1


def test_the_trials_of_a_prefix_are_contiguous_so_that_they_can_share_a_server() -> None:
    for boot in plan.boots(made()):
        assert [group.prefix for group in boot.groups] in (list(Prefix), list(Prefix)[::-1])
        assert all(len(group.trials) == len(WORKLOADS) for group in boot.groups)
        assert boot.trials == tuple(t for t in made() if t.boot == boot.index)


def test_the_seed_decides_the_order() -> None:
    assert made(seed=1) == made(seed=1)
    assert len({tuple(cells(made(seed=seed))) for seed in range(20)}) > 10


def test_the_order_of_a_seed_never_changes() -> None:
    """A recorded seed must give the recorded plan in every later version and Python."""
    first = [trial.id for trial in plan.make(plan.VARIANTS, ("getpid", "wisconsin"), blocks=1, seed=1)]
    assert first == GOLDEN


def test_a_plan_of_fewer_variants() -> None:
    only = tuple(variant for variant in plan.VARIANTS if variant.kernel is Kernel.STOCK)
    trials = plan.make(only, WORKLOADS, blocks=2, seed=3)
    assert {trial.variant for trial in trials} == set(only)
    assert [boot.index for boot in plan.boots(trials)] == [0, 1]


def test_the_estimate_adds_boots_groups_and_trials() -> None:
    trials = made(blocks=1)
    costs = plan.Costs(boot_s=10, group_s=5, trial_s=2)
    assert plan.estimate(trials, costs=costs) == pytest.approx(2 * 10 + 4 * 5 + 12 * 2)
    seen = {"wisconsin": 30.0}
    assert plan.estimate(trials, costs=costs, trial_s=seen) == pytest.approx(40 + 8 * 2 + 4 * 30)


GOLDEN = [
    "0000-kml-trusted-getpid",
    "0001-kml-trusted-wisconsin",
    "0002-kml-usr-getpid",
    "0003-kml-usr-wisconsin",
    "0004-stock-trusted-getpid",
    "0005-stock-trusted-wisconsin",
    "0006-stock-usr-getpid",
    "0007-stock-usr-wisconsin",
]
