# SPDX-License-Identifier: MIT
"""Plans a campaign from one that was run: blocks for a half-width, and how long they take.

A pilot of few blocks knows its own spread badly, and the campaign's own spread will be another: beside the
plan stands the one that is enough in four of five cases, by the F distribution of the ratio of variances.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import numpy as np
from scipy import stats as scipy_stats

from kmlbench import stats
from kmlbench.comparisons import Comparison
from kmlbench.errors import InputError
from kmlbench.frames import Measure
from kmlbench.stats import Absent
from kmlbench.store import StoredCampaign
from kmlbench.tables import Source

ASSURANCE = 0.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What one measure needs. `likely` and `assured` are blocks; None: more than stats.MOST_BLOCKS."""

    measure: Measure
    now: float
    pilot_blocks: int
    likely: int | None
    assured: int | None


def plan(source: Source, measure: Measure, comparison: Comparison, *, half_width: float) -> Plan | Absent:
    """The blocks that narrow a ratio's interval to `half_width` (relative), or why nobody knows."""
    ratio = source.ratio(measure, comparison)
    if isinstance(ratio, Absent):
        return ratio
    deviation = stats.log_deviation(ratio)
    if deviation is None or ratio.low is None or ratio.high is None:
        return Absent(reason=ratio.unbounded)
    spreads = (
        deviation,
        deviation * np.sqrt(scipy_stats.f.ppf(ASSURANCE, stats.PLANNED - 1, ratio.blocks - 1)),
    )
    likely, assured = (
        _even(stats.blocks_for(math.log1p(half_width), deviation=spread)) for spread in spreads
    )
    now = math.sqrt(ratio.high / ratio.low) - 1
    return Plan(measure=measure, now=now, pilot_blocks=ratio.blocks, likely=likely, assured=assured)


def block_s(stored: StoredCampaign) -> float:
    """What a block took, boots included, in seconds of the controller's clock.

    Raises InputError when no block ended.
    """
    ended = {outcome.trial: outcome for outcome in stored.outcomes}
    unfinished = {trial.block for trial in stored.campaign.plan if trial not in ended}
    last: dict[int, float] = {}
    for outcome in stored.outcomes:
        moment = _moment(stored.directory, outcome.started_utc) + outcome.elapsed_s
        last[outcome.trial.block] = max(moment, last.get(outcome.trial.block, moment))
    whole = [moment for block, moment in last.items() if block not in unfinished]
    if not whole:
        raise InputError(
            f"{stored.directory}: no block of this campaign ended: it is no pilot",
            remedy="name a campaign with at least two whole blocks",
        )
    return (max(whole) - _moment(stored.directory, stored.campaign.started_utc)) / len(whole)


def _moment(directory: Path, utc: str) -> float:
    try:
        return datetime.fromisoformat(utc).timestamp()
    except ValueError as error:
        raise InputError(
            f'{directory}: "{utc}" is no time', remedy="restore campaign.json and outcomes.jsonl from a copy"
        ) from error


def _even(blocks: int | None) -> int | None:
    """An even number of blocks is balanced."""
    return None if blocks is None else blocks + blocks % 2
