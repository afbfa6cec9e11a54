# SPDX-License-Identifier: MIT
"""What was measured, by measure and cell: the numbers behind tables, figures and answers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from kmlbench.analysis.platforms import meaning
from kmlbench.errors import InputError
from kmlbench.model import Completed, Measure, Trial, Variant
from kmlbench.plan import stopping
from kmlbench.plan.comparisons import Comparison, cell_of, planned_cells, planned_comparisons, primary
from kmlbench.results.reader import OUTCOMES, StoredCampaign
from kmlbench.results.samples import SampleKind, Samples, as_text
from kmlbench.stats import intervals
from kmlbench.stats.intervals import Absent, Estimate, Interval, Values
from kmlbench.workloads.registry import METRICS, Own


def source(stored: StoredCampaign, *, noise: Noise | None = None) -> Source:
    """The measurements of a stored campaign; `noise` is that of its control.

    Raises InputError: unknown platform, or a measure with two units.
    """
    platform = meaning(stored.campaign.platform)
    return Source(
        values=_values(stored.completed, control=stored.campaign.control),
        stored_units=_units(stored.completed),
        plan=stored.campaign.plan,
        units=platform.units,
        doubles=platform.doubles,
        control=stored.campaign.control,
        confidence=stopping.confidence(stored.campaign),
        noise=noise,
        own=stored.own,
    )


def _values(completed: Sequence[Completed], *, control: bool) -> Mapping[tuple[Measure, Variant], Values]:
    """The values of every measure in every cell, by block, in the order of the trials."""
    cells: dict[tuple[Measure, Variant], dict[int, list[float]]] = {}
    for outcome in completed:
        cell = cell_of(outcome.trial, control=control)
        for measure, values in _by_measure(outcome):
            cells.setdefault((measure, cell), {}).setdefault(outcome.trial.block, []).extend(values)
    return cells


def _by_measure(outcome: Completed) -> Iterator[tuple[Measure, list[float]]]:
    columns = Samples.of(outcome.samples)
    positions: dict[Measure, int] = {}
    of_kinds = [positions.setdefault(_measure(outcome, kind), len(positions)) for kind in columns.kinds]
    of_samples = np.array(of_kinds, dtype=np.intp)[columns.codes]
    for measure, position in positions.items():
        # Trials share their kinds: a kind of another workload has no samples here.
        if (values := columns.values[of_samples == position]).size:
            yield measure, values.tolist()


def _units(completed: Sequence[Completed]) -> Mapping[Measure, str]:
    """The unit of every measure. Raises InputError if a measure has two: they are never compared."""
    units: dict[Measure, str] = {}
    for outcome in completed:
        for kind in Samples.of(outcome.samples).present:
            measure, unit = _measure(outcome, kind), as_text(kind.unit)
            if units.setdefault(measure, unit) != unit:
                raise InputError(
                    f"{OUTCOMES}: {measure.workload} {measure.metric} has mixed units: "
                    f"{units[measure]}, {unit}",
                    remedy="keep campaigns of different versions of kmlbench apart",
                )
    return units


def _measure(outcome: Completed, kind: SampleKind) -> Measure:
    return Measure(workload=outcome.trial.workload, metric=kind.metric, process=kind.process)


def _of_metric(measure: Measure, estimate: Estimate) -> Estimate:
    """An estimate of what was rounded is never exact."""
    metric = METRICS.get(measure.metric)
    if isinstance(estimate, Interval) and metric is not None and metric.rounded:
        return replace(estimate, exact=False)
    return estimate


def level(data: Source) -> str:
    """What the intervals of a campaign are called."""
    return f"{data.confidence * 100:g} % interval"


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """The noise that an A/A control measured: relative half-widths of its intervals, by measure.

    `place` is the control's directory, relative to that of the campaign.
    """

    name: str
    blocks: int
    place: str
    half_widths: Mapping[Measure, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """The measurements of a campaign, and what is needed to show them.

    `values` holds the numbers by measure and cell, then by block; `stored_units` their units; `units` the
    reader's names of units and `doubles` the stored units that count what another does, see
    platforms.Meaning. `control` marks an A/A campaign, whose cells are arms; `confidence` is the level of
    all intervals, `noise` that of this machine's control, if any. `own` are the workloads of its files.
    """

    values: Mapping[tuple[Measure, Variant], Values]
    stored_units: Mapping[Measure, str]
    plan: tuple[Trial, ...]
    units: Mapping[str, str]
    doubles: frozenset[str] = frozenset()
    control: bool = False
    confidence: float = intervals.CONFIDENCE
    noise: Noise | None = None
    own: Own = field(default_factory=dict)

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
        return _of_metric(measure, intervals.mean_interval(values, confidence=self.confidence))

    def ratio(self, measure: Measure, comparison: Comparison) -> Estimate:
        """The ratio of a measure between two cells, or why there is none."""
        for variant in (comparison.treated, comparison.control):
            if not self.of(measure, variant):
                return Absent(reason=f"{variant}: {self._hole(measure.workload, variant).reason}")
        cells = (self.of(measure, cell) for cell in (comparison.treated, comparison.control))
        return _of_metric(measure, intervals.ratio_interval(*cells, confidence=self.confidence))

    def block_ratios(self, measure: Measure, comparison: Comparison) -> tuple[float, ...]:
        """The ratios of the single blocks: the points behind `ratio`."""
        treated, control = self.of(measure, comparison.treated), self.of(measure, comparison.control)
        return tuple(intervals.block_ratios(treated, control).values())

    def _hole(self, workload: str, variant: Variant) -> Absent:
        ended = any(measure.workload == workload and cell == variant for measure, cell in self.values)
        return Absent(reason="not measured" if ended else "no completed trial")
