# SPDX-License-Identifier: MIT
"""The report of a stored campaign: derived files beside the record, one of them an offline HTML page."""

from __future__ import annotations

import hashlib
import shutil
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from kmlbench import provenance
from kmlbench.analysis import control, frames, measurements
from kmlbench.analysis import cost_model as costmodel
from kmlbench.analysis.cost_model import CostModel
from kmlbench.analysis.frames import SAMPLES
from kmlbench.analysis.measurements import Noise, Source
from kmlbench.analysis.platforms import meaning
from kmlbench.analysis.primary import primary_ratio
from kmlbench.errors import MachineError
from kmlbench.plan import stopping
from kmlbench.plan.comparisons import planned_workloads
from kmlbench.progress import Progress, Silent
from kmlbench.report import evidence, explanation, figures, latency_plot, sections
from kmlbench.report.answer import answer, false_alarms
from kmlbench.report.figures import Plot
from kmlbench.results import facts, reader
from kmlbench.results.reader import StoredCampaign
from kmlbench.stats.intervals import MARGIN
from kmlbench.storage import write_whole

REPORT, FIGURES, COSTS = "report.html", "figures", "costs.json"


def write(
    directory: Path,
    *,
    beside: Path | None = None,
    cost_model: Path | None = None,
    progress: Progress | None = None,
) -> Path:
    """Derive samples.parquet, figures/ and report.html from the campaign in `directory`; the report's path.

    `beside` is the A/A control whose half-width is shown with every effect; by default the newest matching
    one in the same results directory, if there is any. `cost_model` is a file of costs for the
    projection; a copy is kept with the report as costs.json. Missing parts of the record are reported to
    `progress`. Raises InputError when the campaign or the file is damaged, MachineError when the files cannot
    be written.
    """
    stored = reader.read(directory)
    for note in stored.notes:
        (progress or Silent()).note(note)
    noise = control.find(stored) if beside is None else control.named(beside, stored)
    costs = None if cost_model is None else costmodel.read(cost_model)
    return derive(stored, stored.directory, noise=noise, costs=costs)


def derive(
    stored: StoredCampaign, directory: Path, *, noise: Noise | None, costs: CostModel | None = None
) -> Path:
    """The same, from a campaign already read, into any directory."""
    source = measurements.source(stored, noise=noise)
    with _writing(directory):
        frames.write_parquet(frames.samples(stored), directory / SAMPLES)
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
        loader=PackageLoader("kmlbench.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    campaign = stored.campaign
    main, others = _plots(source)
    listed = evidence.trials(stored)
    return environment.get_template("report.html.j2").render(
        campaign=campaign,
        name=stored.directory.name,
        answer=answer(source, campaign.platform),
        meaning=meaning(campaign.platform),
        margin=MARGIN,
        false_alarms="" if source.control else false_alarms(source),
        workloads=planned_workloads(campaign.plan),
        counts=_counts(stored),
        notes=stored.notes,
        main=figures.picture(main, drawings) if main else None,
        sections=(*sections.sections(source, others, drawings), *explanation.sections(source, costs)),
        folder=FIGURES,
        costs=COSTS if costs else "",
        facts=facts.compare(stored.facts),
        proofs=evidence.proofs(stored),
        holes=evidence.holes(stored),
        losses=evidence.losses(stored),
        resumptions=len(stored.resumptions),
        stopping=stopping.told(campaign, stored.outcomes),
        noise=source.noise,
        confidence=source.confidence,
        commit=provenance.commit_of(campaign.git_commit),
        changed=provenance.has_changes(campaign.git_commit),
        command=evidence.command(campaign),
        trials=listed,
        raw={one.trial.id: one.raw for one in listed},
        **_look(environment),
    )


def _plots(source: Source) -> tuple[Plot | None, tuple[Plot, ...]]:
    """The figure of the answer, if it was measured, and the others."""
    main_measure = primary_ratio(source).measure
    found = (*latency_plot.plots_of(source), *figures.plots_of(source))
    of_answer = [
        one for one in found if (one.workload, one.metric) == (main_measure.workload, main_measure.metric)
    ]
    main = of_answer[-1] if of_answer else None
    return main, tuple(one for one in found if one is not main)


def _look(environment: Environment) -> dict[str, str]:
    """Style and script of the page, byte for byte: its policy has their hashes."""
    loader = environment.loader
    assert loader is not None  # this environment was made with one
    style, script = (loader.get_source(environment, name)[0] for name in ("report.css", "report.js"))
    return {"style": style, "script": script, "policy": _policy(style, script)}


def _policy(style: str, script: str) -> str:
    """The page's policy: this style and this script, nothing else. Host output can neither load nor run."""
    styled, scripted = (
        b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script)
    )
    return (
        f"default-src 'none'; img-src data:; style-src 'sha256-{styled}'; script-src 'sha256-{scripted}'; "
        "base-uri 'none'; form-action 'none'"
    )


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
    # A command's output may contain bytes that are not text; they are shown as \udcXX.
    write_whole(path, text.encode(errors="backslashreplace"))
    return path


@contextmanager
def _writing(directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise MachineError(
            f"the report could not be written to {directory}: {error.strerror or error}",
            remedy="make the directory writable and free some space, then run kmlbench report again",
        ) from error
