# SPDX-License-Identifier: MIT
"""The state of a campaign as text, for a terminal and for lines."""

from __future__ import annotations

from kmlbench.analysis.live import CampaignState, Pair
from kmlbench.analysis.primary import PrimaryRatio
from kmlbench.progress import Planned, Stage, StageBegun, TrialBegun
from kmlbench.stats import format
from kmlbench.stats.intervals import Interval

STAGES = {
    Stage.BOOT: "booting",
    Stage.INSPECT: "inspecting the host",
    Stage.SERVER: "starting the server",
    Stage.CLOSE: "shutting down",
}


def planned_line(event: Planned) -> str:
    """A sentence about the plan."""
    trials = event.trials
    pairs = len({trial.pair for trial in trials})
    number = len({trial.boot for trial in trials})
    where = f" on {pairs} pairs of hosts" if pairs > 1 else ""
    left = event.estimate_s / 60
    return f"{len(trials)} trials in {number} boots{where}, about {left:.0f} minutes; seed {event.seed}"


def counts(state: CampaignState) -> str:
    """12 of 60 trials, 1 failed."""
    failed = f", {state.failed} failed" if state.failed else ""
    return f"{state.done} of {state.planned} trials{failed}"


def time_left(seconds: float, state: CampaignState) -> str:
    """The time left; "at most" if a rule may end the campaign earlier."""
    return f"{'at most' if state.may_end_early else 'about'} {clock(seconds)} left"


def pair(number: int, found: Pair, state: CampaignState, now: float) -> str:
    """What a pair of hosts is doing, since when, and the time left for its share of the plan."""
    name = f"pair {number + 1}: " if len(state.pairs) > 1 else ""
    own = f"; {time_left(found.left_s(now), state)}" if len(state.pairs) > 1 else ""
    match found.doing:
        case None:
            return f"{name}between trials{own}" if found.left_s(now) else f"{name}done"
        case StageBegun(boot=boot, stage=stage, prefix=prefix):
            block, kernel = boot.block, boot.kernel
            doing = f"{STAGES[stage]}{f' from {prefix}' if prefix else ''}"
        case TrialBegun(trial=trial):
            block, kernel = trial.block, trial.variant.kernel
            doing = f"{trial.workload} from {trial.variant.prefix}"
    since = clock(now - found.since)
    should = f" of about {clock(found.step_s)}" if found.step_s else ""
    return f"{name}block {block + 1} of {state.blocks}, {kernel}: {doing}, {since}{should}{own}"


def standing_line(found: PrimaryRatio, state: CampaignState) -> str:
    """The running ratio, which is not a verdict before the end, or why there is none."""
    of = f"{found.comparison}, {found.measure.workload} {found.measure.metric}"
    change = format.change(found.ratio)
    aside = f" {change.aside}" if change.aside else ""
    if not isinstance(found.ratio, Interval):
        return f"so far no ratio of {of}: {change.aside}"
    blocks = f"{found.ratio.confidence:.0%}, {found.ratio.blocks} of {state.blocks} blocks"
    return f"so far, no verdict: {of} {change.text}{aside} ({blocks})"


def clock(seconds: float) -> str:
    """A duration as minutes and seconds, and hours where there are any."""
    whole = max(0, int(seconds))
    hours, minutes = divmod(whole // 60, 60)
    return f"{hours}:{minutes:02d}:{whole % 60:02d}" if hours else f"{minutes}:{whole % 60:02d}"
