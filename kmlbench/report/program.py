# SPDX-License-Identifier: MIT
"""A campaign of one program as text: does it work in kernel mode, what changes, what that means."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from kmlbench.analysis import measurements
from kmlbench.analysis.conduct import Channel, Conduct, Difference, conducts, differences, unsteady
from kmlbench.analysis.direct_calls import FIRST, REASONS, DirectCalls, direct_calls
from kmlbench.analysis.measurements import Source
from kmlbench.analysis.primary import COUNTED, primary_ratio
from kmlbench.analysis.whereabouts import Part, Whereabouts
from kmlbench.model import Measure, Variant
from kmlbench.plan.comparisons import PRIMARY
from kmlbench.report import answer, reason
from kmlbench.results.reader import StoredCampaign
from kmlbench.stats import format
from kmlbench.stats.intervals import Absent, Interval
from kmlbench.workloads.program import ProgramWorkload

FUNCTIONS = 5

# Metrics of the instrument with their headings.
COUNTED_PARTS = {
    COUNTED: "in all",
    "instructions_user": "at user addresses",
    "instructions_kernel": "in the kernel",
}

SUCCESS = "exit status 0"

OTHER_WORK = "So its runs did not do the same there, and what follows compares different work."

# So many direct calls, for each place that was turned into one, pay that back.
ENOUGH_EACH = 100


def program_lines(stored: StoredCampaign, adapter: ProgramWorkload) -> Iterator[str]:
    """The lines of the page. Raises InputError or TrialError where the record is damaged."""
    found = conducts(stored, adapter)
    odd = differences(found)
    yield from _works(found, odd, adapter)
    treated, control = (_of(found, cell) for cell in (PRIMARY.treated, PRIMARY.control))
    if not treated.runs or not control.runs:
        return
    if any(each.cell == treated.cell for each in odd):
        yield OTHER_WORK
    source = measurements.source(stored)
    shown = reason.campaign_whereabouts(stored, source)
    calls = direct_calls(stored, adapter.name)
    yield from _direct(calls)
    yield from _changes(source, adapter)
    yield from _functions(next((each for each in shown if each.workload == adapter.name), None))
    yield from _meaning(source, stored.campaign.platform, adapter, shown, calls)


def _of(found: Sequence[Conduct], cell: Variant) -> Conduct:
    return next(each for each in found if each.cell == cell)


def _works(found: Sequence[Conduct], odd: Sequence[Difference], adapter: ProgramWorkload) -> Iterator[str]:
    control = _of(found, PRIMARY.control)
    usual = " or ".join(control.endings)
    if not control.runs:
        yield f"No answer: {adapter.name} could not be measured from {control.cell}."
        yield from (f"  {cause}" for cause in control.failures)
        return
    if odd:
        yield f"Differs: from {control.cell} it ends with {usual}."
        yield from (f"  {each.cell}: {each.text}" for each in odd)
    else:
        steady = [channel for channel in Channel if channel not in unsteady(found)]
        log = f"the kernel's log ({len(control.log) or 'no'} lines)"
        alike = ", ".join((usual, *steady, log))
        yield f"{'Works: the' if usual == SUCCESS else 'The'} same in all four cells: {alike}."
        if usual != SUCCESS:
            yield "It does not end with success in user mode either."
    yield from (
        f"Its {channel} varies from run to run by itself, and is not compared." for channel in unsteady(found)
    )
    yield f"Runs: {', '.join(f'{each.cell} {each.runs}' for each in found)}."


def _direct(calls: Sequence[DirectCalls]) -> Iterator[str]:
    for each in calls:
        yield ""
        yield f"System calls of the {each.process} from /trusted: {each.share:.1%} direct, of {each.calls:,}."
        reasons = sorted(each.others.items(), key=lambda item: -item[1])
        yield from (f"  {count:>12,} {REASONS[name]}" for name, count in reasons)


def _changes(source: Source, adapter: ProgramWorkload) -> Iterator[str]:
    measure = primary_ratio(source, adapter.name).measure
    parts = COUNTED_PARTS if measure.metric == COUNTED else {measure.metric: "CPU time in all"}
    heading = "Instructions of a run" if measure.metric == COUNTED else "Of a trial"
    yield ""
    yield f"{heading}, {source.primary}:"
    for metric, title in parts.items():
        part = replace(measure, metric=metric)
        change = format.change(source.ratio(part, source.primary))
        yield f"  {title:<18} {_mean(source, part):>16}  {change.text} {change.aside}"


def _mean(source: Source, measure: Measure) -> str:
    match source.mean(measure, source.primary.control):
        case Interval() as mean:
            return format.plain(mean.estimate, format.decimals(mean.estimate))
        case Absent():
            return "–"


def _functions(shown: Whereabouts | None) -> Iterator[str]:
    if shown is None or not shown.functions:
        return
    yield ""
    yield "From where, the functions that changed most:"
    yield from (f"  {_signed(part):>12} {part.name}" for part in shown.functions[:FUNCTIONS] if part.change)


def _signed(part: Part) -> str:
    text = format.plain(part.change, 0)
    return text if part.change < 0 else f"+{text}"


def _meaning(
    source: Source,
    platform: str,
    adapter: ProgramWorkload,
    shown: Sequence[Whereabouts],
    calls: Sequence[DirectCalls],
) -> Iterator[str]:
    said = answer.answer(source, platform, workload=adapter.name, shown=shown)
    ratio = primary_ratio(source, adapter.name).ratio
    yield ""
    yield said.sentence
    if isinstance(ratio, Interval) and ratio.estimate > 1:
        yield from _few_each(calls)
    yield said.limit


def _few_each(calls: Sequence[DirectCalls]) -> Iterator[str]:
    """That the first calls of a run may cost what is gained by the others."""
    direct, first = sum(each.direct for each in calls), sum(each.others.get(FIRST, 0) for each in calls)
    if first and direct < ENOUGH_EACH * first:
        yield (
            "The first call at a place turns it into a direct one, which only the later ones pay back: here "
            f"they are {direct / first:.0f} for each."
        )
