# SPDX-License-Identifier: MIT
"""The report's first sentence: what the campaign says about its main question, and its limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from kmlbench.analysis import pilot
from kmlbench.analysis.measurements import Source
from kmlbench.analysis.platforms import Meaning, meaning
from kmlbench.analysis.primary import primary_ratio
from kmlbench.analysis.whereabouts import Whereabouts
from kmlbench.model import Measure, Process
from kmlbench.plan.comparisons import PLACEBO, PRIMARY
from kmlbench.report.reason import kernel_clause
from kmlbench.stats import format, intervals
from kmlbench.stats.intervals import MARGIN, Absent, Interval, Verdict

ALARM, NO_ALARM, UNDECIDED = "a false alarm", "no false alarm", "undecided"

# The verdicts that something differs.
DECIDED = DIFFERENCE, EXACT = ("a difference", "exact")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """`sentence` answers, `verdict` says what kind of answer that is, `figures` is the ratio behind it,
    `limit` is the caveat that must be shown with it.
    """

    sentence: str
    verdict: str
    figures: str
    limit: str


def answer(
    source: Source, platform: str, *, workload: str | None = None, shown: Sequence[Whereabouts] = ()
) -> Answer:
    """The answer to: what do the KML kernel and /trusted change in a workload, by default the main one?

    `shown` says where instructions went, and so why.
    """
    primary = primary_ratio(source, workload)
    measure, ratio = primary.measure, primary.ratio
    context = meaning(platform)
    match ratio:
        case Absent():
            sentence = (
                f"No answer: {source.primary} cannot be compared for {measure.workload}: {ratio.reason}."
            )
            return Answer(sentence=sentence, verdict="no answer", figures="", limit=context.warning)
        case Interval() if source.control:
            figures = f"{_figures(ratio, context, platform)} {_sight(ratio)} {false_alarms(source)}"
            return Answer(
                sentence=_control(ratio, measure.workload, source),
                verdict=_alarm(ratio),
                figures=figures,
                limit=context.warning,
            )
        case Interval() if not context.claim:
            sentence, verdict = _no_claim(measure.workload), "no claim"
        case Interval():
            clause = kernel_clause(source, measure, shown)
            sentence, verdict = _sentence(ratio, measure, context, clause), _verdict(ratio)
    return Answer(
        sentence=sentence, verdict=verdict, figures=_figures(ratio, context, platform), limit=context.warning
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
    exact = [ratio for ratio in ratios if isinstance(ratio, Interval) and ratio.exact]
    sentences = [
        *([_by_chance(bounded, where, 1 - source.confidence)] if bounded else []),
        *([_without_variation(exact)] if exact else []),
    ]
    return " ".join(sentences)


def _by_chance(bounded: Sequence[Interval], where: str, share: float) -> str:
    differing = sum(intervals.verdict(ratio, margin=MARGIN) is Verdict.DIFFERENCE for ratio in bounded)
    return (
        f"Of {len(bounded)} measures that vary, {differing} {'differs' if differing == 1 else 'differ'} "
        f"between {where}; by chance about {share * len(bounded):.1f} would."
    )


def _without_variation(exact: Sequence[Interval]) -> str:
    """Of these no share differs by chance: each that does is worth a look."""
    differing = sum(not ratio.unchanged for ratio in exact)
    verb = "differs" if differing < 2 else "differ"
    return f"Of {len(exact)} that did not vary at all, {differing or 'none'} {verb}."


def _sentence(ratio: Interval, measure: Measure, context: Meaning, clause: str) -> str:
    measured = "server and client" if measure.process is Process.TOGETHER else "the client"
    subject = f"{measure.workload}: {measured} from {PRIMARY.treated}"
    both = f"{subject} and from {PRIMARY.control}"
    direction = context.less if ratio.estimate < 1 else context.more
    against = f"{direction} than from {PRIMARY.control}"
    match intervals.verdict(ratio, margin=MARGIN):
        case Verdict.DIFFERENCE:
            return f"{subject} took {format.percent(ratio.estimate).lstrip('+−')} % {against}{clause}."
        case Verdict.NO_DIFFERENCE:
            return f"{both}: {_margin()} in {context.quantity}{clause}."
        case Verdict.EXACT if ratio.unchanged:
            return f"{both}: exactly the same in {context.quantity}, {ratio.unbounded}{clause}."
        case Verdict.EXACT:
            size = format.exact_percent(ratio).lstrip("+−")
            return f"{subject} took exactly {size} % {against}, {ratio.unbounded}{clause}."
        case Verdict.UNDECIDED:
            asked = f"whether {PRIMARY} differs in {context.quantity}"
            return f"{measure.workload}: undecided {asked}{clause}. {_missing(ratio)}"


def _control(ratio: Interval, workload: str, source: Source) -> str:
    cell = replace(source.primary.control, arm="")
    subject = f"A/A control, {workload} of {cell} against itself"
    alarm = _alarm(ratio)
    if alarm == UNDECIDED:
        return f"{subject}: undecided. {_missing(ratio)}"
    if ratio.exact:
        return f"{subject}: {alarm}, {ratio.unbounded}."
    if alarm == ALARM:
        return (
            f"{subject}: a false alarm, the arms differ. By chance one control in "
            "twenty has one; if the next one has, too, the benchmark is at fault."
        )
    return f"{subject}: no false alarm."


def _alarm(ratio: Interval) -> str:
    match intervals.verdict(ratio, margin=MARGIN):
        case Verdict.EXACT:
            return NO_ALARM if ratio.unchanged else ALARM
        case Verdict.DIFFERENCE:
            return ALARM
        case _:
            return UNDECIDED if ratio.unbounded else NO_ALARM


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
            return DIFFERENCE
        case Verdict.NO_DIFFERENCE:
            return _margin()
        case Verdict.EXACT:
            return EXACT
        case Verdict.UNDECIDED:
            return UNDECIDED


def _margin() -> str:
    return f"no difference larger than {MARGIN * 100:g} %"


def _missing(ratio: Interval) -> str:
    # An interval this narrow excludes zero or the margin, unless an end is within 0.0025 % of zero.
    half_width = MARGIN / 2
    plan = pilot.plan(ratio, half_width=half_width)
    if isinstance(plan, Absent):
        if ratio.blocks < 2:
            return "One block gives no interval; it takes at least two."
        return (
            f"All {ratio.blocks} blocks gave the same ratio, so its variance is unknown; an exact one takes "
            f"{intervals.EXACT_BLOCKS}."
        )
    assured = f", {pilot.blocks_text(plan.assured)} with 80 % probability" if plan.likely else ""
    likely = f"{pilot.blocks_text(plan.likely)} blocks like these"
    return f"An interval of ±{half_width * 100:g} % would decide: {likely}{assured}."


def _no_claim(workload: str) -> str:
    return f"{workload} ran in all cells shown below. No claim about speed: emulated time is noise."


def _figures(ratio: Interval, context: Meaning, platform: str) -> str:
    places = 4
    change = format.change(ratio)
    bounds = f", {ratio.unbounded}" if ratio.exact else " no interval"
    if ratio.low is not None and ratio.high is not None:
        bounds = f" [{format.plain(ratio.low, places)}, {format.plain(ratio.high, places)}]"
    changed = change.text if ratio.exact else f"{change.text} {change.aside}"
    return (
        f"Ratio of {context.quantity} {format.plain(ratio.estimate, places)}{bounds}"
        f" (change {changed}), {ratio.confidence:.0%} confidence, blocks: {ratio.blocks},"
        f" platform: {platform}."
    )
