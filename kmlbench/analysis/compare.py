# SPDX-License-Identifier: MIT
"""Two campaigns side by side: their effects, and the values of the cells that both have."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from kmlbench.analysis import measurements
from kmlbench.analysis.measurements import Source
from kmlbench.errors import InputError
from kmlbench.model import Measure, Process, Variant
from kmlbench.plan.comparisons import WORK, Comparison, amount_of_work, planned_workloads
from kmlbench.results.command_line import shared_words
from kmlbench.results.reader import StoredCampaign
from kmlbench.stats import intervals
from kmlbench.stats.format import Cell, change, value
from kmlbench.stats.intervals import MARGIN, Absent, Blocks, Estimate, Interval, Verdict
from kmlbench.workloads.registry import METRICS


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedRow:
    """What both campaigns say of a comparison or a cell, and how the second differs from the first.

    `estimates` are the ratio of a comparison or the mean of a cell in each, `ratio` the second by the first.
    """

    subject: Comparison | Variant
    first: Cell
    second: Cell
    change: Cell
    verdict: str
    estimates: tuple[Estimate, Estimate]
    ratio: Estimate


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedGroup:
    """A measure that both campaigns have, its unit, and its rows: effects first, then cells."""

    measure: Measure
    unit: str
    rows: tuple[ComparedRow, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Both:
    """Two campaigns of one platform. `notes` say what else differs between them."""

    groups: tuple[ComparedGroup, ...]
    notes: tuple[str, ...]


def compare_campaigns(first: StoredCampaign, second: StoredCampaign) -> Both:
    """Compare two campaigns of one platform. Raises InputError for campaigns that cannot be compared."""
    _require_comparable(first, second)
    ours, theirs = (amount_of_work(stored.campaign.options) for stored in (first, second))
    differing = [name for name in WORK if ours[name] != theirs[name]]
    sources = measurements.source(first), measurements.source(second)
    measures = [measure for measure in _measures(sources[0]) if measure in set(_measures(sources[1]))]
    if not measures:
        raise InputError(
            f"{first.name} and {second.name} have no measure in common",
            remedy="compare campaigns that share a workload and completed trials of it",
        )
    groups = tuple(_group(measure, sources, cells=not differing) for measure in measures)
    notes = [f"{name}: {ours[name]} against {theirs[name]}" for name in differing]
    if differing:
        notes.append("the amount of work differs: cells are not compared, only effects")
    return Both(groups=groups, notes=(*notes, *_facts(first, second)))


def _require_comparable(first: StoredCampaign, second: StoredCampaign) -> None:
    ours, theirs = first.campaign, second.campaign
    names = f"{first.directory.name} and {second.directory.name}"
    if ours.platform != theirs.platform:
        raise InputError(
            f"{names} ran on different platforms, {ours.platform} and {theirs.platform}",
            remedy="figures mean different things on each: compare campaigns of one platform",
        )
    if (ours.id, ours.started_utc) == (theirs.id, theirs.started_utc):
        raise InputError(f"{names} are the same campaign", remedy="name two")
    if ours.control != theirs.control:
        raise InputError(
            f"one of {names} is an A/A control",
            remedy="show it with the other one by `kmlbench report DIR --control CONTROL`",
        )


def _measures(source: Source) -> Iterator[Measure]:
    for workload in planned_workloads(source.plan):
        for metric in (entry.name for entry in METRICS.values() if entry.compared):
            for process in Process:
                measure = Measure(workload=workload, metric=metric, process=process)
                if source.unit(measure):
                    yield measure


def _group(measure: Measure, sources: tuple[Source, Source], *, cells: bool) -> ComparedGroup:
    first, second = sources
    confidence = max(source.confidence for source in sources)
    shared = [comparison for comparison in first.comparisons if comparison in second.comparisons]
    rows = [_effect(measure, comparison, sources, confidence) for comparison in shared]
    if cells:
        rows += [_cell(measure, cell, sources, confidence) for cell in first.cells if cell in second.cells]
    units = dict.fromkeys(source.unit(measure) or "" for source in sources)
    if len(units) > 1:
        raise InputError(f"{measure.workload} {measure.metric} has two units: {', '.join(units)}")
    return ComparedGroup(measure=measure, unit=next(iter(units)), rows=tuple(rows))


def _effect(
    measure: Measure, comparison: Comparison, sources: tuple[Source, Source], confidence: float
) -> ComparedRow:
    effects = [source.ratio(measure, comparison) for source in sources]

    def ratio() -> Estimate:
        first, second = (_block_ratios(measure, comparison, source) for source in sources)
        return intervals.ratio_of_effects(second, first, confidence=confidence)

    estimate = _between(effects, ratio)
    return _row(comparison, effects, estimate, cell=change)


def _cell(
    measure: Measure, variant: Variant, sources: tuple[Source, Source], confidence: float
) -> ComparedRow:
    means = [source.mean(measure, variant) for source in sources]
    first, second = (source.of(measure, variant) for source in sources)
    ratio = _between(means, lambda: intervals.independent_ratio(second, first, confidence=confidence))
    return _row(variant, means, ratio, cell=value)


def _block_ratios(measure: Measure, comparison: Comparison, source: Source) -> Blocks:
    cells = (source.of(measure, cell) for cell in (comparison.treated, comparison.control))
    return intervals.block_ratios(*cells)


def _between(estimates: list[Estimate], ratio: Callable[[], Estimate]) -> Estimate:
    """The ratio, where both campaigns have an estimate; exact only where these are."""
    absent = next((estimate for estimate in estimates if isinstance(estimate, Absent)), None)
    if absent:
        return absent
    between = ratio()
    if isinstance(between, Interval) and not all(
        isinstance(estimate, Interval) and estimate.exact for estimate in estimates
    ):
        return replace(between, exact=False)
    return between


def _row(
    subject: Comparison | Variant,
    estimates: list[Estimate],
    ratio: Estimate,
    *,
    cell: Callable[[Estimate], Cell],
) -> ComparedRow:
    first, second = estimates
    return ComparedRow(
        subject=subject,
        first=cell(first),
        second=cell(second),
        change=change(ratio),
        verdict=_verdict(ratio),
        estimates=(first, second),
        ratio=ratio,
    )


def _verdict(ratio: Estimate) -> str:
    if not isinstance(ratio, Interval):
        return "undecided"
    match intervals.verdict(ratio, margin=MARGIN):
        case Verdict.DIFFERENCE:
            return "they differ"
        case Verdict.NO_DIFFERENCE:
            return f"no difference larger than {MARGIN * 100:g} %"
        case Verdict.EXACT:
            return "exactly the same" if ratio.unchanged else "they differ, exactly"
        case Verdict.UNDECIDED:
            return "undecided"


def _facts(first: StoredCampaign, second: StoredCampaign) -> Iterator[str]:
    """What is not the same in the first boots of each kernel that both campaigns booted.

    Facts that only one campaign recorded are listed in one line: an older version recorded fewer.
    """
    for kernel in dict.fromkeys(boot.kernel for boot in first.facts):
        ours, theirs = (
            next((boot.facts for boot in stored.facts if boot.kernel is kernel), {})
            for stored in (first, second)
        )
        if not theirs:
            continue
        for name in sorted(ours.keys() & theirs.keys()):
            # Older versions kept more words of the command line.
            alike = shared_words if name == "command_line" else str
            if alike(ours[name]) != alike(theirs[name]):
                yield f"{kernel}: {name}: {ours[name]} against {theirs[name]}"
        for stored, alone in ((first, ours.keys() - theirs.keys()), (second, theirs.keys() - ours.keys())):
            if alone:
                yield f"{kernel}: recorded by {stored.name} alone: {', '.join(sorted(alone))}"
