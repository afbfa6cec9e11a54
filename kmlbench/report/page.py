# SPDX-License-Identifier: MIT
"""The report as data: everything that its page shows, and the same as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path

from kmlbench import provenance
from kmlbench.analysis.cost_model import CostModel
from kmlbench.analysis.measurements import Noise, Source
from kmlbench.analysis.platforms import Meaning, meaning
from kmlbench.analysis.primary import main_measure
from kmlbench.analysis.whereabouts import Whereabouts
from kmlbench.model import PlannedCampaign, Process
from kmlbench.plan import stopping
from kmlbench.plan.comparisons import planned_workloads
from kmlbench.plan.question import main_workload
from kmlbench.prices.pricelist import PriceList
from kmlbench.report import (
    elsewhere,
    evidence,
    explanation,
    figures,
    forest,
    latency_plot,
    pricing,
    reason,
    sections,
    whereabouts,
    windows,
)
from kmlbench.report.answer import DECIDED, Answer, answer, false_alarms
from kmlbench.report.evidence import Hole, ProofRow, TrialFiles
from kmlbench.report.figures import Picture
from kmlbench.report.sections import PageSection
from kmlbench.results import facts
from kmlbench.results.facts import FactRow
from kmlbench.results.reader import StoredCampaign
from kmlbench.stats.intervals import MARGIN
from kmlbench.workloads.syscall_counts import is_counting

FIGURES, COSTS, PRICES = "figures", "costs.json", "prices"

# The page shows these elsewhere: the plan as trials, half-widths in cells, drawings as figures/.
_LEFT_OUT = {PlannedCampaign: {"plan"}, Noise: {"half_widths"}, Picture: {"light", "dark"}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """How many trials, blocks and boots were planned, and what came of the trials."""

    planned: int
    completed: int
    failed: int
    missing: int
    spared: int
    blocks: int
    boots: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Chapter:
    """The section of a workload, whose parts are the page's sections with its name.

    `headline`: its answer stands in the first screen, too, below that of the main workload.
    """

    workload: str
    anchor: str
    answer: Answer
    headline: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What the template shows. `overview` is the figure of the answer, `costs` the file of the projection.

    `comparisons` says what each comparison isolates. `sections` stand in the order of their workloads'
    chapters, those of the whole campaign last.
    """

    campaign: PlannedCampaign
    name: str
    answer: Answer
    meaning: Meaning
    margin: float
    false_alarms: str
    workloads: tuple[str, ...]
    counts: Counts
    notes: tuple[str, ...]
    overview: Picture | None
    comparisons: Mapping[str, str]
    chapters: tuple[Chapter, ...]
    sections: tuple[PageSection, ...]
    folder: str
    costs: str
    facts: tuple[FactRow, ...]
    proofs: tuple[ProofRow, ...]
    connections: tuple[str, ...]
    holes: tuple[Hole, ...]
    losses: tuple[Hole, ...]
    resumptions: int
    stopping: str
    noise: Noise | None
    confidence: float
    commit: str | None
    changed: bool
    command: str
    trials: tuple[TrialFiles, ...]
    raw: Mapping[str, str]


def make_page(
    stored: StoredCampaign,
    source: Source,
    drawings: Path,
    *,
    costs: CostModel | None,
    prices: Sequence[PriceList],
) -> Page:
    """The page of a campaign; its figures are drawn into the directory `drawings`."""
    campaign = stored.campaign
    shown = reason.campaign_whereabouts(stored, source)
    workloads = _in_order(source)
    projected = (
        *explanation.explanation_sections(source, costs),
        *pricing.pricing_sections(source, prices),
    )
    listed = evidence.trials(stored)
    return Page(
        campaign=campaign,
        name=stored.name,
        answer=answer(source, campaign.platform, shown=shown),
        meaning=meaning(campaign.platform),
        margin=MARGIN,
        false_alarms="" if source.control else false_alarms(source),
        workloads=planned_workloads(campaign.plan),
        counts=_counts(stored),
        notes=(*stored.notes, *evidence.confined(stored), *evidence.repeated_blocks(stored)),
        overview=_overview(source, workloads, drawings),
        comparisons={str(comparison): comparison.isolates for comparison in source.comparisons},
        chapters=tuple(_chapter(source, workload, campaign.platform, shown) for workload in workloads),
        sections=sections.in_order((*_measured(stored, source, shown, drawings), *projected), workloads),
        folder=FIGURES,
        costs=COSTS if costs else "",
        facts=facts.compare_boots(stored.facts),
        proofs=evidence.proofs(stored),
        connections=evidence.connections(stored),
        holes=evidence.holes(stored),
        losses=evidence.losses(stored),
        resumptions=len(stored.resumptions),
        stopping=stopping.stopping_sentence(campaign, stored.outcomes),
        noise=source.noise,
        confidence=source.confidence,
        commit=provenance.commit_of(campaign.git_commit),
        changed=provenance.has_changes(campaign.git_commit),
        command=evidence.command(campaign),
        trials=listed,
        raw={files.trial.id: files.raw for files in listed},
    )


def as_data(value: object) -> object:
    """A page, or a part of it, as JSON has it: mappings, lists, texts, numbers and null."""
    match value:
        case Mapping():
            return {str(key): as_data(item) for key, item in value.items()}
        case list() | tuple():
            return [as_data(item) for item in value]
        case str():
            # A command's output may contain bytes that are not text; they are shown as \udcXX.
            return str(value).encode(errors="backslashreplace").decode()
        case bool() | int() | float() | None:
            return value
        case _ if is_dataclass(value) and "__str__" not in vars(type(value)):
            left_out = _LEFT_OUT.get(type(value), set())
            names = (field.name for field in fields(value) if field.name not in left_out)
            return {name: as_data(getattr(value, name)) for name in names}
    return str(value)


def _in_order(source: Source) -> tuple[str, ...]:
    """The workloads that are measured: the main one, others with a server, and programs without one."""
    main = main_workload(source.plan)
    names = [name for name in planned_workloads(source.plan) if not is_counting(name) or name == main]

    def place(name: str) -> tuple[bool, bool]:
        return name != main, main_measure(source, name).process is not Process.TOGETHER

    return tuple(sorted(names, key=place))


def _chapter(source: Source, workload: str, platform: str, shown: Sequence[Whereabouts]) -> Chapter:
    reply = answer(source, platform, workload=workload, shown=shown)
    served = main_measure(source, workload).process is Process.TOGETHER
    return Chapter(
        workload=workload,
        anchor=sections.anchor(workload),
        answer=reply,
        headline=served and reply.verdict in DECIDED and workload != main_workload(source.plan),
    )


def _overview(source: Source, workloads: Sequence[str], drawings: Path) -> Picture | None:
    plot = forest.forest_plot(source, workloads)
    return figures.picture(plot, drawings) if plot else None


def _measured(
    stored: StoredCampaign, source: Source, shown: Sequence[Whereabouts], drawings: Path
) -> Iterator[PageSection]:
    plots = (*latency_plot.latency_plots(source), *figures.figure_plots(source))
    for workload in _in_order(source):
        yield from sections.measured_parts(source, workload, plots, drawings)
    yield from whereabouts.whereabouts_sections(shown, drawings)
    yield from windows.window_sections(stored)
    yield from elsewhere.published_sections(source, stored.campaign.platform, _in_order(source))


def _counts(stored: StoredCampaign) -> Counts:
    plan, missing = stored.campaign.plan, len(evidence.missing(stored))
    return Counts(
        planned=len(plan),
        completed=len(stored.completed),
        failed=len(stored.failed),
        missing=missing,
        spared=len(stored.missing) - missing,
        blocks=len({trial.block for trial in plan}),
        boots=len({trial.boot for trial in plan}),
    )
