# SPDX-License-Identifier: MIT
"""The report of a stored campaign: derived files beside the record, one of them an offline HTML page."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from kmlbench import control, costmodel, evidence, facts, figures, frames, page, stopping, store, whypage
from kmlbench.answer import MARGIN, answer
from kmlbench.comparisons import planned_workloads
from kmlbench.costmodel import CostModel
from kmlbench.errors import MachineError
from kmlbench.platforms import meaning
from kmlbench.progress import Progress, Silent
from kmlbench.store import StoredCampaign
from kmlbench.tables import Noise, Source

REPORT, SAMPLES, FIGURES, COSTS = "report.html", "samples.parquet", "figures", "costs.json"


def write(
    directory: Path,
    *,
    beside: Path | None = None,
    cost_model: Path | None = None,
    progress: Progress | None = None,
) -> Path:
    """Derive samples.parquet, figures/ and report.html from the campaign in `directory`; the report's path.

    `beside` is the A/A control whose half-width stands beside every effect; without it the newest fitting
    one in the same results directory is taken, if there is any. `cost_model` is a file of costs for the
    projection; a copy stays beside the report as costs.json. What of the record is not there is told to
    `progress`. Raises InputError when the campaign or the file is damaged, MachineError when the files cannot
    be written.
    """
    stored = store.read(directory)
    for note in stored.notes:
        (progress or Silent()).note(note)
    noise = control.find(stored) if beside is None else control.named(beside, stored)
    costs = None if cost_model is None else costmodel.read(cost_model)
    return derive(stored, stored.directory, noise=noise, costs=costs)


def derive(
    stored: StoredCampaign, directory: Path, *, noise: Noise | None, costs: CostModel | None = None
) -> Path:
    """The same, from a campaign that was read, into any directory."""
    frame = frames.samples(stored)
    source = figures.source(stored, frame, noise=noise)
    with _writing(directory):
        frames.write_parquet(frame, directory / SAMPLES)
        _keep(directory / COSTS, costs)
        text = _render(stored, source, _fresh(directory / FIGURES), costs)
        return _replace(directory / REPORT, text)


def _keep(path: Path, costs: CostModel | None) -> None:
    if costs is None:
        path.unlink(missing_ok=True)
    else:
        path.write_text(costmodel.text(costs), encoding="utf-8")


def _render(stored: StoredCampaign, source: Source, drawings: Path, costs: CostModel | None) -> str:
    environment = Environment(
        loader=PackageLoader("kmlbench"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    campaign = stored.campaign
    return environment.get_template("report.html.j2").render(
        campaign=campaign,
        name=stored.directory.name,
        answer=answer(source, campaign.platform),
        meaning=meaning(campaign.platform),
        margin=MARGIN,
        workloads=planned_workloads(campaign.plan),
        counts=_counts(stored),
        notes=stored.notes,
        sections=_sections(source, drawings, costs),
        costs=COSTS if costs else "",
        facts=facts.compare(stored.facts),
        proofs=evidence.proofs(stored),
        holes=evidence.holes(stored),
        losses=evidence.losses(stored),
        resumptions=len(stored.resumptions),
        stopping=stopping.told(campaign, stored.outcomes),
        noise=source.noise,
        confidence=source.confidence,
        command=evidence.command(campaign),
    )


def _sections(source: Source, drawings: Path, costs: CostModel | None) -> tuple[page.PageSection, ...]:
    """The explanation stands behind what it explains."""
    found = page.sections(source, figures.plots_of(source), drawings)
    of_cpu = 1 + next(index for index, section in enumerate(found) if section.identifier == "cpu")
    return (*found[:of_cpu], *whypage.sections(source, costs), *found[of_cpu:])


def _counts(stored: StoredCampaign) -> dict[str, int]:
    plan = stored.campaign.plan
    return {
        "planned": len(plan),
        "completed": len(stored.completed),
        "failed": len(stored.failed),
        "missing": len(evidence.missing(stored)),
        "spared": len(stored.missing) - len(evidence.missing(stored)),
        "blocks": len({trial.block for trial in plan}),
        "boots": len({trial.boot for trial in plan}),
    }


def _fresh(path: Path) -> Path:
    """An empty directory: a figure that is no longer drawn must not look like one of this report."""
    if path.exists():
        shutil.rmtree(path)
    path.mkdir()
    return path


def _replace(path: Path, text: str) -> Path:
    draft = path.with_suffix(".draft")
    # A command's output may hold bytes that are no text; they are shown as \udcXX.
    draft.write_text(text, encoding="utf-8", errors="backslashreplace")
    draft.replace(path)
    return path


@contextmanager
def _writing(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise MachineError(
            f"the report could not be written to {directory}: {error.strerror or error}",
            remedy="make the directory writable and leave it space, then run kmlbench report again",
        ) from error
