# SPDX-License-Identifier: MIT
"""A campaign's means and effects in the OpenMetrics text format, for Prometheus and what reads like it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.registry import Collector

from kmlbench.analysis import measurements
from kmlbench.analysis.measurements import Source
from kmlbench.model import Measure
from kmlbench.results.reader import StoredCampaign
from kmlbench.stats.intervals import Estimate, Interval

LABELS = ("campaign", "platform", "workload", "process", "metric", "unit")

MEAN, EFFECT, TRIALS = "kmlbench_mean", "kmlbench_effect_ratio", "kmlbench_trials"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Family:
    """An estimate and the two ends of its interval, each a gauge of its own."""

    name: str
    about: str
    subject: str

    def gauges(self, rows: Iterable[tuple[tuple[str, ...], Estimate]]) -> Iterator[Metric]:
        """Where there is no estimate, or no interval, there is no sample."""
        rows = list(rows)
        for suffix, end, part in (
            ("", "estimate", "the estimate"),
            ("_low", "low", "the lower end of its interval"),
            ("_high", "high", "the upper end of its interval"),
        ):
            about = f"{self.about}: {part}"
            gauge = GaugeMetricFamily(f"{self.name}{suffix}", about, labels=(*LABELS, self.subject))
            for labels, estimate in rows:
                value = getattr(estimate, end) if isinstance(estimate, Interval) else None
                if value is not None:
                    gauge.add_metric(labels, value)
            yield gauge


MEANS = _Family(name=MEAN, about="The mean of a metric in a cell, in its unit", subject="cell")

EFFECTS = _Family(name=EFFECT, about="The ratio of a metric between two cells", subject="comparison")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CampaignCollector(Collector):
    """The metrics of one stored campaign."""

    stored: StoredCampaign
    source: Source

    def collect(self) -> Iterator[Metric]:
        """Every measure that the campaign has, in each cell and comparison."""
        measures = sorted({measure for measure, _ in self.source.values}, key=_order)
        yield from MEANS.gauges(
            ((*self._labels(measure), str(cell)), self.source.mean(measure, cell))
            for measure in measures
            for cell in self.source.cells
        )
        yield from EFFECTS.gauges(
            ((*self._labels(measure), str(comparison)), self.source.ratio(measure, comparison))
            for measure in measures
            for comparison in self.source.comparisons
        )
        yield self._trials()

    def _labels(self, measure: Measure) -> tuple[str, ...]:
        return (
            *(self.stored.name, self.stored.campaign.platform, measure.workload, str(measure.process)),
            *(measure.metric, self.source.unit(measure) or ""),
        )

    def _trials(self) -> Metric:
        gauge = GaugeMetricFamily(TRIALS, "The trials of a campaign by state", labels=("campaign", "state"))
        states: Mapping[str, int] = {
            "completed": len(self.stored.completed),
            "failed": len(self.stored.failed),
            "missing": len(self.stored.missing),
        }
        for state, count in states.items():
            gauge.add_metric((self.stored.name, state), count)
        return gauge


def exposition(stored: StoredCampaign) -> str:
    """The text of one campaign, which ends with its mark of the end."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(CampaignCollector(stored=stored, source=measurements.source(stored)))
    text: bytes = generate_latest(registry)
    return text.decode()


def _order(measure: Measure) -> tuple[str, str, str]:
    return measure.workload, measure.metric, measure.process
