# SPDX-License-Identifier: MIT
"""A stored campaign: its answer, its tables as frames, and its figures."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import pandas as pd
from matplotlib.figure import Figure

from kmlbench.analysis import control, frames, measurements, modes
from kmlbench.analysis.measurements import Source
from kmlbench.api.frames import effects_of, explanation_of
from kmlbench.model import Trial
from kmlbench.report import answer as answers
from kmlbench.report import evidence, figures, latency_plot, plots, reason
from kmlbench.report.answer import Answer
from kmlbench.report.figures import Plot
from kmlbench.results import reader
from kmlbench.results.reader import IncompleteRecord, StoredCampaign

PLAN: Mapping[str, str] = {
    "trial": "str",
    "block": "int64",
    "boot": "int64",
    "pair": "int64",
    "cell": "str",
    "workload": "str",
}

PROOFS: Mapping[str, str] = {
    "cell": "str",
    "releases": "str",
    "cpls": "str",
    "client": "str",
    "server": "str",
    "direct": "str",
    "trials": "int64",
    "agrees": "bool",
}

HOLES: Mapping[str, str] = {**PLAN, "state": "str", "cause": "str"}

HALF_WIDTHS: Mapping[str, str] = {
    "workload": "str",
    "process": "str",
    "metric": "str",
    "half_width": "float64",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """A figure of a campaign, as the report has it. Jupyter shows it by itself.

    `alternative` says in words what it shows: the estimate and the interval of every series.
    """

    name: str
    caption: str
    alternative: str
    _plot: Plot = field(repr=False)

    def draw(self, *, dark: bool = False) -> Figure:
        """A new figure of Matplotlib, for a light or a dark page; its background is transparent."""
        return self._plot.draw(plots.DARK if dark else plots.LIGHT)

    def _repr_svg_(self) -> str:
        return plots.svg(self.draw())


@dataclass(frozen=True, slots=True, kw_only=True)
class Campaign:
    """A stored campaign, as it was when it was read. Frames are new with every call.

    `confidence` is the level of its intervals (0.95; more where a rule may have ended it early), `command`
    the command line that runs it again.
    """

    path: Path
    title: str
    platform: str
    control: bool
    confidence: float
    command: str
    _stored: StoredCampaign = field(repr=False)
    _source: Source = field(repr=False)

    def answer(self) -> Answer:
        """What it says about its main question: a sentence, the ratio behind it, and what it may not say."""
        shown = reason.campaign_whereabouts(self._stored, self._source)
        return answers.answer(self._source, self.platform, shown=shown)

    def plan(self) -> pd.DataFrame:
        """The planned trials in order. `boot` counts over the campaign, `pair` is the pair of hosts."""
        return _frame([_trial(trial) for trial in self._stored.campaign.plan], PLAN)

    def proofs(self) -> pd.DataFrame:
        """What the completed trials of each cell saw, and whether all of it is what their cell says.

        `direct` is the share of system calls that were direct calls, where the kernel counted them.
        """
        rows = [{**asdict(row), "cell": str(row.cell)} for row in evidence.proofs(self._stored)]
        return _frame(rows, PROOFS)

    def holes(self) -> pd.DataFrame:
        """The trials that failed or never ended, and why; empty where all have numbers."""
        holes = evidence.holes(self._stored)
        return _frame(
            [{**_trial(hole.trial), "state": hole.state, "cause": hole.cause} for hole in holes], HOLES
        )

    def warnings(self) -> tuple[str, ...]:
        """Why means may mislead: a sentence for each workload whose windows ran in more than one mode."""
        return tuple(modes.warnings(modes.spreads(self._stored)))

    def samples(self) -> pd.DataFrame:
        """Every number of the completed trials, one row each; `unit` is that of `value`."""
        return frames.samples_frame(self._stored)

    def effects(self) -> pd.DataFrame:
        """Every comparison of every measure, as `kmlbench.effects` has them."""
        return effects_of(self._stored, self._source)

    def explanation(self, *, cost_model: str | Path | None = None) -> pd.DataFrame:
        """Why its workloads take less in kernel mode, as `kmlbench.explain` has it.

        Raises InputError where the file of `cost_model` is damaged.
        """
        return explanation_of(self._stored, self._source, cost_model)

    def half_widths(self) -> pd.DataFrame:
        """What an A/A control cannot tell from nothing, by measure: relative half-widths (0.01 is ±1 %).

        Of a control its own, of another campaign those of the control beside it; empty where there is none.
        A measure that did not vary has none.
        """
        noise = control.noise(self._stored, self._stored) if self.control else self._source.noise
        widths = noise.half_widths if noise else {}
        rows = [{**asdict(measure), "half_width": width} for measure, width in widths.items()]
        return _frame(rows, HALF_WIDTHS).sort_values(["workload", "process", "metric"], ignore_index=True)

    def figures(self) -> tuple[Drawing, ...]:
        """Every raw point of what was measured, with the means of the cells and their intervals."""
        all_plots = (*figures.figure_plots(self._source), *latency_plot.latency_plots(self._source))
        return tuple(
            Drawing(name=plot.name, caption=plot.caption, alternative=plot.alternative, _plot=plot)
            for plot in all_plots
        )


def read(path: str | Path) -> Campaign:
    """The campaign stored in the directory `path`, such as "results/latest".

    The A/A control is the newest fitting one beside it. Raises InputError on damage; warns with
    IncompleteRecord where something of the record is not there.
    """
    stored = reader.read_campaign(Path(path))
    for note in stored.notes:
        warnings.warn(f"{path}: {note}", IncompleteRecord, stacklevel=2)
    source = measurements.source(stored, noise=control.find_control(stored))
    return Campaign(
        path=stored.directory,
        title=stored.campaign.title,
        platform=stored.campaign.platform,
        control=stored.campaign.control,
        confidence=source.confidence,
        command=evidence.command(stored.campaign),
        _stored=stored,
        _source=source,
    )


def _trial(trial: Trial) -> dict[str, object]:
    return {
        "trial": trial.id,
        "block": trial.block,
        "boot": trial.boot,
        "pair": trial.pair,
        "cell": str(trial.variant),
        "workload": trial.workload,
    }


def _frame(rows: Sequence[Mapping[str, object]], types: Mapping[str, str]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=list(types)).astype(types)
