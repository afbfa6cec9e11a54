# SPDX-License-Identifier: MIT
"""What becomes of the kernel's part of a workload, and in which of its subsystems: a clause of a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from kmlbench.analysis.measurements import Source
from kmlbench.analysis.primary import COUNTED, KERNEL_PART
from kmlbench.analysis.whereabouts import Part, Whereabouts, whereabouts
from kmlbench.instrument.subsystems import USER_CODE
from kmlbench.model import Measure
from kmlbench.results.reader import StoredCampaign
from kmlbench.stats import format, intervals
from kmlbench.stats.intervals import MARGIN, Interval, Verdict

# Subsystems that are one way into the kernel and another in its place: only their sum says what calls gain.
WAYS = ("entry and exit", "kernel mode")

IN_WAYS = "the ways into and out of system calls"

# In one subsystem, or in two together, is most of a change.
MOST = 0.75


def campaign_whereabouts(stored: StoredCampaign, source: Source) -> tuple[Whereabouts, ...]:
    """Where the instructions of each workload went in the main comparison; a control has none."""
    return () if source.control else whereabouts(stored, source.primary)


def kernel_clause(source: Source, measure: Measure, shown: Sequence[Whereabouts]) -> str:
    """Such as "; the kernel's part is 3.74 % less, most of it in …"; empty unless it is decided.

    `measure` is the whole that it is a part of.
    """
    ratio = source.ratio(replace(measure, metric=KERNEL_PART), source.primary)
    if measure.metric != COUNTED or not isinstance(ratio, Interval):
        return ""
    match intervals.verdict(ratio, margin=MARGIN):
        case Verdict.UNDECIDED:
            return ""
        case Verdict.NO_DIFFERENCE:
            return f"; in the kernel's part no difference larger than {MARGIN * 100:g} %"
        case Verdict.EXACT if ratio.unchanged:
            return "; the kernel's part is exactly the same"
    where = next((_where(entry) for entry in shown if entry.workload == measure.workload), "")
    return f"; the kernel's part is {_size(ratio)} {'less' if ratio.estimate < 1 else 'more'}{where}"


def _size(ratio: Interval) -> str:
    size = format.change(ratio).text
    return size.replace("+", "").replace("−", "")


def _where(shown: Whereabouts) -> str:
    """The subsystem, or the two, that most of the kernel's change is in."""
    kernel = [part for part in shown.subsystems if part.name != USER_CODE]
    whole = sum(part.change for part in kernel)
    sign = 1 if whole > 0 else -1
    parts = sorted(_ways_in_one(kernel), key=lambda part: -sign * part.change)
    for count in (1, 2):
        most = parts[:count]
        if sign * sum(part.change for part in most) > MOST * abs(whole):
            return f", most of it in {' and '.join(part.name for part in most)}"
    return ""


def _ways_in_one(kernel: Sequence[Part]) -> list[Part]:
    ways = [part for part in kernel if part.name in WAYS]
    others = [replace(part, name=f"“{part.name}”") for part in kernel if part.name not in WAYS]
    together = Part(
        name=IN_WAYS,
        control=sum(part.control for part in ways),
        treated=sum(part.treated for part in ways),
    )
    return [together, *others]
