# SPDX-License-Identifier: MIT
"""The report's first sentence: what the campaign says about its main question, and its limits."""

from __future__ import annotations

from dataclasses import dataclass, replace

from kmlbench.analysis import pilot
from kmlbench.analysis.measurements import Source
from kmlbench.analysis.platforms import Meaning, meaning
from kmlbench.analysis.primary import primary_ratio
from kmlbench.model import Measure, Process
from kmlbench.plan.comparisons import PLACEBO, PRIMARY
from kmlbench.stats import format, intervals
from kmlbench.stats.intervals import MARGIN, Absent, Interval, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """`sentence` answers, `verdict` says what kind of answer that is, `figures` is the ratio behind it,
    `limit` is the caveat that must be shown with it.
    """

    sentence: str
    verdict: str
    figures: str
    limit: str


def answer(source: Source, platform: str) -> Answer:
    """The answer to: what do the KML kernel and /trusted change in the CPU of the main workload?"""
    primary = primary_ratio(source)
    measure, ratio, workload = primary.measure, primary.ratio, primary.measure.workload
    context = meaning(platform)
    match ratio:
        case Absent():
            sentence = f"No answer: {source.primary} cannot be compared for {workload}: {ratio.reason}."
            return Answer(sentence=sentence, verdict="no answer", figures="", limit=context.warning)
        case Interval() if source.control:
            figures = f"{_figures(ratio, context, platform)} {_sight(ratio)} {false_alarms(source)}"
            return Answer(
                sentence=_control(ratio, workload, source),
                verdict=_alarm(ratio),
                figures=figures,
                limit=context.warning,
            )
        case Interval():
            sentence = _sentence(ratio, measure, context) if context.claim else _no_claim(workload)
            return Answer(
                sentence=sentence,
                verdict=_verdict(ratio) if context.claim else "no claim",
                figures=_figures(ratio, context, platform),
                limit=context.warning,
            )


def false_alarms(source: Source) -> str:
    """How many measures differ between two cells that should be equal; empty if none has an interval."""
    comparison, where = (
        (source.primary, "the arms")
        if source.control
        else (PLACEBO, f"{PLACEBO.control} and {PLACEBO.treated}, where none should")
    )
    ratios = [source.ratio(measure, comparison) for measure in {measure for measure, _ in source.values}]
    bounded = [ratio for ratio in ratios if isinstance(ratio, Interval) and not ratio.unbounded]
    differing = sum(intervals.verdict(one, margin=MARGIN) is Verdict.DIFFERENCE for one in bounded)
    if not bounded:
        return ""
    return (
        f"Of {len(bounded)} measures that vary, {differing} {'differs' if differing == 1 else 'differ'} "
        f"between {where}; "
        f"by chance about {(1 - source.confidence) * len(bounded):.1f} would."
    )


def _sentence(ratio: Interval, measure: Measure, context: Meaning) -> str:
    measured = "server and client" if measure.process is Process.TOGETHER else "the client"
    subject = f"{measure.workload}: {measured} from {PRIMARY.treated}"
    against = f"than from {PRIMARY.control}"
    match intervals.verdict(ratio, margin=MARGIN):
        case Verdict.DIFFERENCE:
            size = format.percent(ratio.estimate).lstrip("+−")
            direction = context.less if ratio.estimate < 1 else context.more
            return f"{subject} took {size} % {direction} {against}."
        case Verdict.NO_DIFFERENCE:
            return f"{subject} and from {PRIMARY.control}: {_margin()} in {context.quantity}."
        case Verdict.UNDECIDED:
            asked = f"whether {PRIMARY} differs in {context.quantity}"
            return f"{measure.workload}: undecided {asked}. {_missing(ratio)}"


def _control(ratio: Interval, workload: str, source: Source) -> str:
    cell = replace(source.primary.control, arm="")
    subject = f"A/A control, {workload} of {cell} against itself"
    if ratio.unbounded:
        return f"{subject}: undecided. {_missing(ratio)}"
    if intervals.verdict(ratio, margin=MARGIN) is Verdict.DIFFERENCE:
        return (
            f"{subject}: a false alarm, the arms differ. By chance one control in "
            "twenty has one; if the next one has, too, the benchmark is at fault."
        )
    return f"{subject}: no false alarm."


def _alarm(ratio: Interval) -> str:
    if ratio.unbounded:
        return "undecided"
    return (
        "a false alarm" if intervals.verdict(ratio, margin=MARGIN) is Verdict.DIFFERENCE else "no false alarm"
    )


def _sight(ratio: Interval) -> str:
    effect = intervals.smallest_effect(ratio)
    width = ratio.half_width
    if effect is None or width is None:
        return ""
    return (
        f"With {ratio.blocks} blocks this machine cannot tell an effect within "
        f"{format.half_width_text(width)} from none; the smallest that it detects in four of five campaigns "
        f"is {format.half_width_text(effect)}."
    )


def _verdict(ratio: Interval) -> str:
    match intervals.verdict(ratio, margin=MARGIN):
        case Verdict.DIFFERENCE:
            return "a difference"
        case Verdict.NO_DIFFERENCE:
            return _margin()
        case Verdict.UNDECIDED:
            return "undecided"


def _margin() -> str:
    return f"no difference larger than {MARGIN * 100:g} %"


def _missing(ratio: Interval) -> str:
    # An interval this narrow excludes zero or the margin, unless an end is within 0.0025 % of zero.
    half_width = MARGIN / 2
    found = pilot.plan(ratio, half_width=half_width)
    if isinstance(found, Absent):
        if ratio.blocks < 2:
            return "One block gives no interval; it takes at least two."
        return f"All {ratio.blocks} blocks gave the same ratio, so its variance is unknown."
    assured = f", {pilot.blocks_text(found.assured)} with 80 % probability" if found.likely else ""
    likely = f"{pilot.blocks_text(found.likely)} blocks like these"
    return f"An interval of ±{half_width * 100:g} % would decide: {likely}{assured}."


def _no_claim(workload: str) -> str:
    return f"{workload} ran in all cells shown below. No claim about speed: emulated time is noise."


def _figures(ratio: Interval, context: Meaning, platform: str) -> str:
    places = 4
    change = format.change(ratio)
    bounds = "no interval"
    if ratio.low is not None and ratio.high is not None:
        bounds = f"[{format.plain(ratio.low, places)}, {format.plain(ratio.high, places)}]"
    return (
        f"Ratio of {context.quantity} {format.plain(ratio.estimate, places)} {bounds}"
        f" (change {change.text} {change.aside}), {ratio.confidence:.0%} confidence, blocks: {ratio.blocks},"
        f" platform: {platform}."
    )
