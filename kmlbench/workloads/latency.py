# SPDX-License-Identifier: MIT
"""Latencies of a run: the clients' buckets of three digits as an HDR histogram, and its percentiles."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping

from hdrh.histogram import HdrHistogram

from kmlbench.errors import TrialError
from kmlbench.model import Process, Sample
from kmlbench.workloads.base import Metric, Section

# In thousandths, as integers: a tenth of a percent is not a binary fraction.
PERCENTILES = {"p50": 500, "p90": 900, "p95": 950, "p99": 990, "p999": 999}

# The clients' names of the two latencies, and the prefixes of their metrics.
NAMES = {"service": "latency", "intended": "intended_latency"}

# The headings of the statistics.
STATISTICS = {
    "mean": "mean",
    "p50": "median",
    "p90": "90th percentile",
    "p95": "95th percentile",
    "p99": "99th percentile",
    "p999": "99.9th percentile",
    "max": "longest",
}

# When each latency starts.
BEGINNINGS = {"latency": "from the start of the event", "intended_latency": "from its intended start"}

SECTION = Section(
    identifier="latency",
    title="Latency distributions",
    note="From the start of an event to its end, as seen by the client; from the intended start if the "
    "events had a fixed rate. A percentile is that of one run; its mean and interval are over the runs.",
    rank=2,
)

_FIGURES = {"latency_mean": "mean latency", "latency_p95": "95th percentile of latency"}

METRICS = tuple(
    Metric(
        name=f"{name}_{statistic}",
        unit="ms",
        section=SECTION,
        heading=heading,
        rows=beginning,
        figure=_FIGURES.get(f"{name}_{statistic}", ""),
        rounded=statistic != "mean",
    )
    for name, beginning in BEGINNINGS.items()
    for statistic, heading in STATISTICS.items()
)

_LONGEST_NS = 3_600_000_000_000

_DIGITS = 3

_BUCKET = re.compile(
    r"^(?:sysbench|pymysql): (service|intended) (\d{1,13}) (\d{1,9})$", re.MULTILINE | re.ASCII
)

_SUM = re.compile(r"^(?:sysbench|pymysql): (service|intended)_sum (\d{1,9}\.\d{9})$", re.MULTILINE | re.ASCII)


def latency_samples(stdout: str, *, driver: str, events: int, threads: int = 1) -> tuple[Sample, ...]:
    """{latency,intended_latency}_{mean,p50,p90,p95,p99,p999,max} of the events, in ms.

    Service time starts when an event starts, intended time when its pace scheduled it: only a run with a pace
    has the latter. A percentile is the shortest time that this share of the events did not exceed; it is
    left out unless at least one event lies above it. Each is the upper end of its bucket, at most 0.1 %
    above. Each thread printed those of its own events. Raises TrialError(stage="parse") unless every event
    was counted.
    """
    histograms = _histograms(stdout)
    sums = _sums(stdout, threads)
    if "service" not in histograms or sums.keys() != histograms.keys():
        raise TrialError(f"the latencies are not whole: {sorted(sums)}, {sorted(histograms)}", stage="parse")
    numbers = (
        (f"{NAMES[name]}_{statistic}", value)
        for name, histogram in histograms.items()
        for statistic, value in _statistics(histogram, sums[name], events)
    )
    return tuple(
        Sample(metric=metric, unit="ms", value=value, process=Process.CLIENT, driver=driver)
        for metric, value in numbers
    )


def _sums(stdout: str, threads: int) -> Mapping[str, float]:
    """The sum over all events of each latency, in seconds, of those that every thread printed."""
    parts: defaultdict[str, list[float]] = defaultdict(list)
    for name, value in _SUM.findall(stdout):
        parts[name].append(float(value))
    return {name: sum(values) for name, values in parts.items() if len(values) == threads}


def _histograms(stdout: str) -> dict[str, HdrHistogram]:
    histograms: dict[str, HdrHistogram] = {}
    for name, lowest_ns, count in _BUCKET.findall(stdout):
        histogram = histograms.setdefault(name, HdrHistogram(1, _LONGEST_NS, _DIGITS))
        if not histogram.record_value(int(lowest_ns), int(count)):
            raise TrialError(f"a latency of {lowest_ns} ns is longer than an hour", stage="parse")
    return histograms


def _statistics(histogram: HdrHistogram, sum_s: float, events: int) -> Iterator[tuple[str, float]]:
    if histogram.get_total_count() != events or not events:
        counted = histogram.get_total_count()
        raise TrialError(f"the latencies are of {counted} events, the run had {events}", stage="parse")
    yield "mean", sum_s / events * 1e3
    for name, thousandths in PERCENTILES.items():
        if events * (1000 - thousandths) >= 1000:
            # The histogram rounds a rank to the nearest; the share of a whole rank is that rank.
            rank = -(-events * thousandths // 1000)
            yield name, histogram.get_value_at_percentile(100 * rank / events) / 1e6
    yield "max", histogram.get_max_value() / 1e6
