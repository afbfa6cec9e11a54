# SPDX-License-Identifier: MIT
"""Ends a campaign when its interval is narrow enough, by a rule that is fixed before the first block.

The rule looks only at the width, never at the effect, after every second block (so that the order of
trials is balanced) from the sixth on, until the plan ends. Repeated looks find the moment at which the
spread happens to look small; the intervals of such a campaign, at looks and in its report, are
therefore taken at 97 %: then at most 5 % miss, whatever the spread (docs/decisions/0012).
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping

import numpy as np

from kmlbench.model import Completed, Outcome, PlannedCampaign, Process, Stopping, Variant, completed
from kmlbench.plan.comparisons import cell_of, primary
from kmlbench.stats import bootstrap
from kmlbench.stats.intervals import CONFIDENCE, log_ratios

FIRST, EVERY, LOOK_CONFIDENCE = 6, 2, 0.97

METRIC = "cpu_total"


def stopping_rule(half_width: float, *, workload: str, served: bool) -> Stopping:
    """The rule for the CPU of `workload`; `half_width` is relative (0.005)."""
    return Stopping(
        half_width=half_width,
        confidence=LOOK_CONFIDENCE,
        first=FIRST,
        every=EVERY,
        workload=workload,
        metric=METRIC,
        process=Process.whole(served=served),
    )


def confidence(campaign: PlannedCampaign) -> float:
    """The confidence level at which at most 5 % of a campaign's intervals miss the true value."""
    return CONFIDENCE if campaign.stopping is None else max(campaign.stopping.confidence, CONFIDENCE)


def ended_after(campaign: PlannedCampaign, outcomes: Collection[Outcome]) -> int | None:
    """After how many blocks the rule ended the campaign. None: it has no rule, or the rule has not."""
    stopping = campaign.stopping
    if stopping is None or not campaign.plan:
        return None
    ended = {outcome.trial for outcome in outcomes}
    planned = 1 + max(trial.block for trial in campaign.plan)
    whole = min((trial.block for trial in campaign.plan if trial not in ended), default=planned)
    logs = _log_ratios(campaign, stopping, outcomes)
    looks = range(stopping.first, min(whole, planned - 1) + 1, stopping.every)
    return next((blocks for blocks in looks if _narrow(stopping, logs, blocks)), None)


def stopping_sentence(campaign: PlannedCampaign, outcomes: Collection[Outcome]) -> str:
    """The rule in words, and its outcome; empty if there is none."""
    stopping = campaign.stopping
    if stopping is None:
        return ""
    ended = ended_after(campaign, outcomes)
    came = "it did not, or not yet" if ended is None else f"it did after {ended} blocks"
    comparison = primary(campaign.plan, control=campaign.control)
    return (
        f"fixed before the first block: to end when the interval of {stopping.workload} {stopping.metric} "
        f"({stopping.process}), {comparison}, is at most ±{stopping.half_width * 100:g} % wide, looked at "
        f"after {stopping.first} blocks and every {stopping.every} more; {came}. All intervals are taken at "
        f"{stopping.confidence * 100:g} % to correct for the looks: at most 5 % miss"
    )


def _narrow(stopping: Stopping, by_block: Mapping[int, float], blocks: int) -> bool:
    """Whether the interval over the first `blocks` blocks is as narrow as the rule requires.

    Blocks without both cells do not count, and equal blocks have no width.
    """
    logs = np.array([log for block, log in by_block.items() if block < blocks])
    if len(logs) < stopping.first or np.ptp(logs) <= bootstrap.FLAT:
        return False
    half_width = bootstrap.half_width(logs.std(ddof=1), len(logs), stopping.confidence)
    return float(half_width) <= math.log1p(stopping.half_width)


def _log_ratios(
    campaign: PlannedCampaign, stopping: Stopping, outcomes: Iterable[Outcome]
) -> dict[int, float]:
    """The logs of the primary ratio, by block."""
    comparison = primary(campaign.plan, control=campaign.control)
    cells: dict[Variant, dict[int, list[float]]] = {comparison.treated: {}, comparison.control: {}}
    for outcome in completed(outcomes):
        cell = cell_of(outcome.trial, control=campaign.control)
        if cell in cells:
            cells[cell].setdefault(outcome.trial.block, []).extend(_values(stopping, outcome))
    return log_ratios(*({block: some for block, some in cell.items() if some} for cell in cells.values()))


def _values(stopping: Stopping, outcome: Completed) -> list[float]:
    wanted = (stopping.workload, stopping.metric, stopping.process)
    return [
        sample.value
        for sample in outcome.samples
        if (outcome.trial.workload, sample.metric, sample.process) == wanted and sample.value > 0
    ]
