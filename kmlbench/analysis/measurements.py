# SPDX-License-Identifier: MIT
"""What was measured, by measure and cell: what tables, figures and answers are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pandas as pd

from kmlbench.analysis import frames
from kmlbench.analysis.platforms import meaning
from kmlbench.model import Measure, Trial, Variant
from kmlbench.plan import stopping
from kmlbench.plan.comparisons import (
    ARMS,
    Comparison,
    planned_cells,
    planned_comparisons,
    primary,
)
from kmlbench.results.reader import StoredCampaign
from kmlbench.stats import intervals
from kmlbench.stats.intervals import Absent, Estimate, Values

# Measures whose change is drawn as well; the others' stands in the tables.
CHANGES = ("cpu_total", "getpid_syscall_ns", "throughput")


def source(
    stored: StoredCampaign, frame: pd.DataFrame | None = None, *, noise: Noise | None = None
) -> Source:
    """What figures and tables of a stored campaign are made of; `frame` is frames.samples of it, if at hand,
    `noise` that of its control.

    Raises InputError: unknown platform.
    """
    units = meaning(stored.campaign.platform).units
    frame = frames.samples(stored) if frame is None else frame
    control = stored.campaign.control
    return Source(
        values=_by_arm(frame) if control else frames.by_cell(frame),
        stored_units=frames.units(frame),
        plan=stored.campaign.plan,
        units=units,
        control=control,
        confidence=stopping.confidence(stored.campaign),
        noise=noise,
    )


def _by_arm(frame: pd.DataFrame) -> dict[frames.Cell, dict[int, list[float]]]:
    """As frames.by_cell, with the two boots of a control's block apart."""
    return {
        (measure, replace(variant, arm=name)): values
        for arm, name in enumerate(ARMS)
        for (measure, variant), values in frames.by_cell(
            frame[(frame["block"] + frame["boot"]) % 2 == arm]
        ).items()
    }


def level(data: Source) -> str:
    """What the intervals of a campaign are called."""
    return f"{data.confidence * 100:g} % interval"


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """What an A/A control could not tell from nothing: relative half-widths of its intervals, by measure.

    `place` is the control's directory, seen from that of the campaign that it stands beside.
    """

    name: str
    blocks: int
    place: str
    half_widths: Mapping[Measure, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What tables and figures are made of.

    `values` holds the numbers by measure and cell, then by block; `stored_units` their units; `units` the
    reader's names of units, see platforms.Meaning. `control` marks an A/A campaign, whose cells are arms;
    `confidence` is the level of all intervals, `noise` that of this machine's control, if any.
    """

    values: Mapping[tuple[Measure, Variant], Values]
    stored_units: Mapping[Measure, str]
    plan: tuple[Trial, ...]
    units: Mapping[str, str]
    control: bool = False
    confidence: float = intervals.CONFIDENCE
    noise: Noise | None = None

    @property
    def cells(self) -> tuple[Variant, ...]:
        """The planned cells, in the order in which they are shown."""
        return planned_cells(self.plan, control=self.control)

    @property
    def comparisons(self) -> tuple[Comparison, ...]:
        """The comparisons whose two cells are planned."""
        return planned_comparisons(self.plan, control=self.control)

    @property
    def primary(self) -> Comparison:
        """The comparison that answers the campaign's question."""
        return primary(self.plan, control=self.control)

    def unit(self, measure: Measure) -> str | None:
        """The unit of a measure as the reader sees it; None where it was never measured."""
        stored = self.stored_units.get(measure)
        return None if stored is None else self.units.get(measure.metric, self.units.get(stored, stored))

    def of(self, measure: Measure, variant: Variant) -> Values:
        """The values of a measure in a cell, by block; empty where there are none."""
        return self.values.get((measure, variant), {})

    def mean(self, measure: Measure, variant: Variant) -> Estimate:
        """The mean of a measure in a cell, or why there is none."""
        values = self.of(measure, variant)
        if not values:
            return self._hole(measure.workload, variant)
        return intervals.mean_interval(values, confidence=self.confidence)

    def ratio(self, measure: Measure, comparison: Comparison) -> Estimate:
        """The ratio of a measure between two cells, or why there is none."""
        for variant in (comparison.treated, comparison.control):
            if not self.of(measure, variant):
                return Absent(reason=f"{variant}: {self._hole(measure.workload, variant).reason}")
        cells = (self.of(measure, cell) for cell in (comparison.treated, comparison.control))
        return intervals.ratio_interval(*cells, confidence=self.confidence)

    def block_ratios(self, measure: Measure, comparison: Comparison) -> tuple[float, ...]:
        """The ratios of the single blocks: the points behind `ratio`."""
        treated, control = self.of(measure, comparison.treated), self.of(measure, comparison.control)
        return tuple(intervals.block_ratios(treated, control).values())

    def _hole(self, workload: str, variant: Variant) -> Absent:
        ended = any(one.workload == workload and cell == variant for one, cell in self.values)
        return Absent(reason="not measured" if ended else "no completed trial")
