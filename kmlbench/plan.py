# SPDX-License-Identifier: MIT
"""The order of a campaign, from a seed alone. Pure: no input, no output.

A block boots each kernel once. Inside a block the kernels, the prefixes and the workloads stand in a
random order, the same workload order in every cell, so that a workload has the same predecessor in each
of the cells that it is compared between. The next block is the reverse of it (ABBA): a drift that is
linear over the two cancels. An even number of blocks is balanced, an odd one has one block unmatched.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from kmlbench.model import Kernel, Prefix, Trial, Variant

T = TypeVar("T")

VARIANTS = tuple(
    Variant(kernel=kernel, prefix=prefix) for kernel, prefix in itertools.product(Kernel, Prefix)
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Consecutive trials of one boot with one prefix: they can share one server start."""

    prefix: Prefix
    trials: tuple[Trial, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Boot:
    """Everything that happens between a power-on and a power-off."""

    index: int
    block: int
    kernel: Kernel
    groups: tuple[Group, ...]

    @property
    def trials(self) -> tuple[Trial, ...]:
        """The boot's trials, in order."""
        return tuple(trial for group in self.groups for trial in group.trials)


@dataclass(frozen=True, slots=True, kw_only=True)
class Costs:
    """What the parts of a campaign take, in seconds of the controller's clock.

    The defaults were measured on two cores without KVM, with guests that count instructions.
    """

    boot_s: float = 20.0
    group_s: float = 15.0
    trial_s: float = 12.0


def make(
    variants: Sequence[Variant], workloads: Sequence[str], *, blocks: int, seed: int
) -> tuple[Trial, ...]:
    """The trials of a campaign, in order. The same arguments give the same plan on every machine."""
    cells = itertools.chain.from_iterable(_blocks(variants, workloads, blocks=blocks, seed=seed))
    trials: list[Trial] = []
    boot = -1
    for position, (block, variant, workload) in enumerate(cells):
        same = trials and (trials[-1].block, trials[-1].variant.kernel) == (block, variant.kernel)
        boot += 0 if same else 1
        trials.append(Trial(block=block, boot=boot, position=position, variant=variant, workload=workload))
    return tuple(trials)


Cell = tuple[int, Variant, str]


def _blocks(
    variants: Sequence[Variant], workloads: Sequence[str], *, blocks: int, seed: int
) -> Iterable[list[Cell]]:
    rng = random.Random(seed)
    order: list[tuple[Variant, str]] = []
    for block in range(blocks):
        order = order[::-1] if block % 2 else _draw(variants, workloads, rng)
        yield [(block, variant, workload) for variant, workload in order]


def _draw(
    variants: Sequence[Variant], workloads: Sequence[str], rng: random.Random
) -> list[tuple[Variant, str]]:
    kernels = _shuffled(dict.fromkeys(variant.kernel for variant in variants), rng)
    prefixes = _shuffled(dict.fromkeys(variant.prefix for variant in variants), rng)
    drawn = _shuffled(workloads, rng)
    grid = itertools.product(kernels, prefixes, drawn)
    cells = ((Variant(kernel=kernel, prefix=prefix), workload) for kernel, prefix, workload in grid)
    return [(variant, workload) for variant, workload in cells if variant in variants]


def _shuffled(items: Iterable[T], rng: random.Random) -> list[T]:
    drawn = list(items)
    rng.shuffle(drawn)
    return drawn


def boots(plan: Sequence[Trial]) -> tuple[Boot, ...]:
    """The plan as boots and, inside them, groups of trials that share a server start."""
    grouped = itertools.groupby(plan, key=lambda trial: trial.boot)
    return tuple(_boot(tuple(trials)) for _, trials in grouped)


def _boot(trials: tuple[Trial, ...]) -> Boot:
    by_prefix = itertools.groupby(trials, key=lambda trial: trial.variant.prefix)
    first = trials[0]
    return Boot(
        index=first.boot,
        block=first.block,
        kernel=first.variant.kernel,
        groups=tuple(Group(prefix=prefix, trials=tuple(members)) for prefix, members in by_prefix),
    )


def estimate(
    plan: Sequence[Trial], *, costs: Costs = Costs(), trial_s: Mapping[str, float] | None = None
) -> float:
    """How long the plan will take, in seconds. `trial_s` knows the workloads that have been seen before."""
    known = trial_s or {}
    listed = boots(plan)
    groups = sum(len(boot.groups) for boot in listed)
    trials = sum(known.get(trial.workload, costs.trial_s) for trial in plan)
    return len(listed) * costs.boot_s + groups * costs.group_s + trials
