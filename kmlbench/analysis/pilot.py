# SPDX-License-Identifier: MIT
"""Plans a campaign from one that was run: blocks for a half-width, and how long they take.

A pilot of few blocks gives a poor estimate of the spread, and the campaign's spread will differ: each plan
has a number of blocks that is likely enough, and one that is enough in four of five cases, by the F
distribution of the ratio of variances.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
import scipy

from kmlbench.errors import InputError
from kmlbench.model import Completed
from kmlbench.results.reader import StoredCampaign
from kmlbench.stats import intervals
from kmlbench.stats.intervals import Absent, Estimate

ASSURANCE = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one ratio needs. `likely` and `assured` are blocks; None: more than intervals.MOST_BLOCKS."""

    now: float
    pilot_blocks: int
    likely: int | None
    assured: int | None


def plan(ratio: Estimate, *, half_width: float) -> Plan | Absent:
    """The blocks that narrow a ratio's interval to `half_width` (relative), or why that is unknown."""
    if isinstance(ratio, Absent):
        return ratio
    deviation = intervals.log_deviation(ratio)
    if deviation is None or ratio.half_width is None:
        return Absent(reason=ratio.unbounded)
    spreads = (
        deviation,
        deviation * np.sqrt(scipy.special.fdtri(intervals.PLANNED - 1, ratio.blocks - 1, ASSURANCE)),
    )
    likely, assured = (
        _even(intervals.blocks_for(math.log1p(half_width), deviation=spread, confidence=ratio.confidence))
        for spread in spreads
    )
    return Plan(now=ratio.half_width, pilot_blocks=ratio.blocks, likely=likely, assured=assured)


def blocks_text(blocks: int | None) -> str:
    """A number of blocks in words."""
    return f"more than {intervals.MOST_BLOCKS}" if blocks is None else str(blocks)


def block_s(stored: StoredCampaign) -> float | None:
    """What a block takes, boots included, in seconds; None where the record does not say.

    Trials have their own durations. What a boot takes beside them is measured by the wall clock, which may
    jump, so it is the median of the boots. Raises InputError when no block ended.
    """
    planned = stored.campaign.plan
    ended = {outcome.trial for outcome in stored.outcomes}
    if {trial.block for trial in planned} <= {trial.block for trial in planned if trial not in ended}:
        raise InputError(
            f"{stored.directory}: no block of this campaign ended, so it cannot be a pilot",
            remedy="name a campaign with at least two complete blocks",
        )
    block = [trial for trial in planned if trial.block == planned[0].block]
    trials_s, beside_s = _trials_s(stored), _beside_s(stored)
    if not beside_s or any(trial.workload not in trials_s for trial in block):
        return None
    boots = len({trial.boot for trial in block})
    taken = boots * statistics.median(beside_s) + sum(trials_s[trial.workload] for trial in block)
    return taken / len({trial.pair for trial in planned})


def _trials_s(stored: StoredCampaign) -> Mapping[str, float]:
    """The mean duration of a trial, by workload."""
    taken: dict[str, list[float]] = defaultdict(list)
    for outcome in stored.completed:
        taken[outcome.trial.workload].append(outcome.elapsed_s)
    return {workload: statistics.mean(times) for workload, times in taken.items()}


def _beside_s(stored: StoredCampaign) -> list[float]:
    """What boots took beside their trials, each from the end of the boot before it."""
    spans = (
        _end(stored.directory, boot)
        - _end(stored.directory, before)
        - sum(outcome.elapsed_s for outcome in boot)
        for before, boot in _successive(stored)
    )
    # Negative: the clock was set back meanwhile.
    return [span for span in spans if span >= 0]


def _successive(stored: StoredCampaign) -> Iterator[tuple[Sequence[Completed], Sequence[Completed]]]:
    """Boots with the one before on their pair of hosts: both whole, and no resumption in or between them."""
    outcomes = {outcome.trial: outcome for outcome in stored.completed}
    before: dict[int, Sequence[Completed]] = {}
    for _, group in itertools.groupby(stored.campaign.plan, key=lambda trial: trial.boot):
        trials = tuple(group)
        boot = [outcomes[trial] for trial in trials if trial in outcomes]
        whole = boot if len(boot) == len(trials) else ()
        # On a cluster the next block may run elsewhere, at the same time.
        place = trials[0].block if "cluster" in stored.campaign.options else trials[0].pair
        last = before.get(place, ())
        if whole and last and len({outcome.resumption for outcome in (*last, *whole)}) == 1:
            yield last, whole
        before[place] = whole


def _end(directory: Path, boot: Sequence[Completed]) -> float:
    return _moment(directory, boot[-1].started_utc) + boot[-1].elapsed_s


def _moment(directory: Path, utc: str) -> float:
    try:
        return datetime.fromisoformat(utc).timestamp()
    except ValueError as error:
        raise InputError(
            f'{directory}: "{utc}" is not a time',
            remedy="restore campaign.json and outcomes.jsonl from a copy",
        ) from error


def _even(blocks: int | None) -> int | None:
    """An even number of blocks is balanced."""
    return None if blocks is None else blocks + blocks % 2
