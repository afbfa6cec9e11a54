# SPDX-License-Identifier: MIT
"""The report as data: everything that its page shows, and the same as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path

from kmlbench import provenance
from kmlbench.analysis.cost_model import CostModel
from kmlbench.analysis.measurements import Noise, Source
from kmlbench.analysis.platforms import Meaning, meaning
from kmlbench.analysis.primary import primary_ratio
from kmlbench.model import PlannedCampaign
from kmlbench.plan import stopping
from kmlbench.plan.comparisons import planned_workloads
from kmlbench.report import evidence, explanation, figures, latency_plot, sections, whereabouts, windows
from kmlbench.report.answer import Answer, answer, false_alarms
from kmlbench.report.evidence import Hole, ProofRow, TrialFiles
from kmlbench.report.figures import Picture, Plot
from kmlbench.report.sections import PageSection
from kmlbench.results import facts
from kmlbench.results.facts import FactRow
from kmlbench.results.reader import StoredCampaign
from kmlbench.stats.intervals import MARGIN

FIGURES, COSTS = "figures", "costs.json"

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
class Page:
    """What the template shows. `main` is the figure of the answer, `costs` the file of the projection."""

    campaign: PlannedCampaign
    name: str
    answer: Answer
    meaning: Meaning
    margin: float
    false_alarms: str
    workloads: tuple[str, ...]
    counts: Counts
    notes: tuple[str, ...]
    main: Picture | None
    sections: tuple[PageSection, ...]
    folder: str
    costs: str
    facts: tuple[FactRow, ...]
    proofs: tuple[ProofRow, ...]
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


def make_page(stored: StoredCampaign, source: Source, drawings: Path, costs: CostModel | None) -> Page:
    """The page of a campaign; its figures are drawn into the directory `drawings`."""
    campaign = stored.campaign
    main, others = _plots(source)
    listed = evidence.trials(stored)
    return Page(
        campaign=campaign,
        name=stored.name,
        answer=answer(source, campaign.platform),
        meaning=meaning(campaign.platform),
        margin=MARGIN,
        false_alarms="" if source.control else false_alarms(source),
        workloads=planned_workloads(campaign.plan),
        counts=_counts(stored),
        notes=(*stored.notes, *evidence.confined(stored), *evidence.repeated_blocks(stored)),
        main=figures.picture(main, drawings) if main else None,
        sections=(
            *sections.report_sections(source, others, drawings),
            *whereabouts.whereabouts_sections(stored, source, drawings),
            *windows.window_sections(stored),
            *explanation.explanation_sections(source, costs),
        ),
        folder=FIGURES,
        costs=COSTS if costs else "",
        facts=facts.compare_boots(stored.facts),
        proofs=evidence.proofs(stored),
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


def _plots(source: Source) -> tuple[Plot | None, tuple[Plot, ...]]:
    """The figure of the answer, if it was measured, and the others."""
    measure = primary_ratio(source).measure
    plots = (*latency_plot.latency_plots(source), *figures.figure_plots(source))
    of_answer = [plot for plot in plots if (plot.workload, plot.metric) == (measure.workload, measure.metric)]
    main = of_answer[-1] if of_answer else None
    return main, tuple(plot for plot in plots if plot is not main)


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
