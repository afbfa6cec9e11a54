# SPDX-License-Identifier: MIT
"""The order of a campaign, from a seed alone. Pure: no input, no output.

A block boots each kernel once. Within a block the kernels, the prefixes and the workloads are in random
order, with the same order of workloads in every cell, so that a workload has the same predecessor in all
cells that are compared. The workloads that need a server are adjacent, so that one server start serves them
(docs/decisions/0002 says why). The next block is the reverse (ABBA): a drift that is linear over the two
cancels. An even number of blocks is balanced; an odd number leaves one block unmatched.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from kmlbench.model import (
    Boot,
    Trial,
    TrialGroup,
    Variant,
)
from kmlbench.plan.comparisons import ARMS

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """Durations of the parts of a campaign, in seconds of the controller's clock.

    A trial takes `trial_s` at scale 1, and `served_s` besides, at any scale, where it has a server.
    """

    boot_s: float
    start_s: float
    served_s: float
    trial_s: float

    def of_trial(self, *, served: bool, scale: float) -> float:
        """How long a trial takes."""
        return self.served_s * served + self.trial_s * scale


def make_schedule(
    variants: Sequence[Variant], workloads: Mapping[str, bool], *, blocks: int, seed: int
) -> tuple[Trial, ...]:
    """The trials of a campaign, in order. `workloads` maps each workload to whether it needs a server.

    The same arguments give the same plan on every machine.
    """
    cells = itertools.chain.from_iterable(_blocks(variants, workloads, blocks=blocks, seed=seed))
    trials: list[Trial] = []
    boot = -1
    for position, (block, variant, workload) in enumerate(cells):
        same = trials and (trials[-1].block, trials[-1].variant.kernel) == (block, variant.kernel)
        boot += 0 if same else 1
        trials.append(Trial(block=block, boot=boot, position=position, variant=variant, workload=workload))
    return tuple(trials)


def distribute(plan: Sequence[Trial], *, pairs: int) -> tuple[Trial, ...]:
    """The plan over several pairs of hosts. A block and its reverse stay on one pair: each is balanced.

    Pairs work in parallel; the trials of one pair keep their order.
    """
    return tuple(replace(trial, pair=trial.block // 2 % pairs) for trial in plan)


def make_control(
    variant: Variant, workloads: Mapping[str, bool], *, blocks: int, seed: int
) -> tuple[Trial, ...]:
    """The trials of an A/A control: each block boots one cell twice, with the same order of workloads."""
    cells = (
        (block, twin, workload)
        for drawn in _blocks((variant,), workloads, blocks=blocks, seed=seed)
        for twin in range(len(ARMS))
        for block, _, workload in drawn
    )
    return tuple(
        Trial(
            block=block, boot=len(ARMS) * block + twin, position=position, variant=variant, workload=workload
        )
        for position, (block, twin, workload) in enumerate(cells)
    )


Cell = tuple[int, Variant, str]


def _blocks(
    variants: Sequence[Variant], workloads: Mapping[str, bool], *, blocks: int, seed: int
) -> Iterable[list[Cell]]:
    rng = random.Random(seed)
    order: list[tuple[Variant, str]] = []
    for block in range(blocks):
        order = order[::-1] if block % 2 else _draw(variants, workloads, rng)
        yield [(block, variant, workload) for variant, workload in order]


def _draw(
    variants: Sequence[Variant], workloads: Mapping[str, bool], rng: random.Random
) -> list[tuple[Variant, str]]:
    kernels = _shuffled(dict.fromkeys(variant.kernel for variant in variants), rng)
    prefixes = _shuffled(dict.fromkeys(variant.prefix for variant in variants), rng)
    halves = _shuffled((False, True), rng)
    drawn = [name for half in halves for name in _shuffled(workloads, rng) if workloads[name] is half]
    grid = itertools.product(kernels, prefixes, drawn)
    cells = ((Variant(kernel=kernel, prefix=prefix), workload) for kernel, prefix, workload in grid)
    return [(variant, workload) for variant, workload in cells if variant in variants]


def _shuffled(items: Iterable[T], rng: random.Random) -> list[T]:
    drawn = list(items)
    rng.shuffle(drawn)
    return drawn


def boots(plan: Sequence[Trial], workloads: Mapping[str, bool]) -> tuple[Boot, ...]:
    """The plan as boots and, inside them, groups. `workloads` as for `make_schedule`."""
    grouped = itertools.groupby(plan, key=lambda trial: trial.boot)
    listed = [tuple(trials) for _, trials in grouped]
    kinds = [(trials[0].block, trials[0].variant.kernel) for trials in listed]
    twins = [kinds[:index].count(kind) for index, kind in enumerate(kinds)]
    return tuple(_boot(trials, twin, workloads) for trials, twin in zip(listed, twins, strict=True))


def remaining(boots: Sequence[Boot], done: Collection[Trial]) -> tuple[Boot, ...]:
    """The boots without these trials; boots with none left are dropped."""
    left = (replace(boot, groups=tuple(_left(boot.groups, done))) for boot in boots)
    return tuple(boot for boot in left if boot.groups)


def _left(groups: Iterable[TrialGroup], done: Collection[Trial]) -> Iterable[TrialGroup]:
    for group in groups:
        if trials := tuple(trial for trial in group.trials if trial not in done):
            yield replace(group, trials=trials)


def _boot(trials: tuple[Trial, ...], twin: int, workloads: Mapping[str, bool]) -> Boot:
    grouped = itertools.groupby(trials, key=lambda trial: (trial.variant.prefix, workloads[trial.workload]))
    first = trials[0]
    return Boot(
        index=first.boot,
        block=first.block,
        pair=first.pair,
        twin=twin,
        kernel=first.variant.kernel,
        groups=tuple(
            TrialGroup(prefix=prefix, served=served, trials=tuple(members))
            for (prefix, served), members in grouped
        ),
    )


def estimate_duration(
    plan: Sequence[Trial], workloads: Mapping[str, bool], *, scale: float, costs: Costs
) -> float:
    """How long the plan takes, in seconds of the controller's clock. `workloads` as for `make_schedule`."""
    listed = boots(plan, workloads)
    starts = sum(group.served for boot in listed for group in boot.groups)
    trials_s = sum(costs.of_trial(served=workloads[trial.workload], scale=scale) for trial in plan)
    return len(listed) * costs.boot_s + starts * costs.start_s + trials_s


# Measured on two cores without KVM, under the instruction clock; used until this campaign has its own.
COSTS = Costs(boot_s=15.0, start_s=16.0, served_s=11.0, trial_s=10.0)
