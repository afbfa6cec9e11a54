# SPDX-License-Identifier: MIT
"""Percentiles of three digits from what the clients print, against the exact ones."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import ceil
from statistics import mean

import pytest
from histogram import Histogram
from hypothesis import example, given
from hypothesis import strategies as st

from kmlbench.errors import TrialError
from kmlbench.workloads import latency


def printed(latencies_ns: Sequence[int], name: str = "service") -> str:
    histogram = Histogram(name)
    for item in latencies_ns:
        histogram.record(item)
    return "".join(f"pymysql: {line}\n" for line in histogram.lines())


def read(text: str, events: int) -> dict[str, float]:
    return {
        sample.metric: sample.value
        for sample in latency.latency_samples(text, driver="pymysql", events=events)
    }


LATENCIES_NS = st.integers(min_value=1, max_value=10**12)
A_PERCENT_APART_NS = [(round(1e5 * 1.01**step), 1) for step in range(160)]


@given(st.lists(st.tuples(LATENCIES_NS, st.integers(min_value=1, max_value=200)), min_size=1, max_size=60))
@example(A_PERCENT_APART_NS)
def test_a_percentile_is_right_to_three_digits(repeated_ns: list[tuple[int, int]]) -> None:
    ordered = sorted(each for each, times in repeated_ns for _ in range(times))
    result = read(printed(ordered), len(ordered))
    assert result["latency_mean"] == pytest.approx(mean(ordered) / 1e6, abs=1e-6)
    assert ordered[-1] / 1e6 <= result["latency_max"] <= ordered[-1] / 1e6 * 1.001
    for name, thousandths in latency.PERCENTILES.items():
        rank = ceil(Fraction(thousandths * len(ordered), 1000))
        assert (f"latency_{name}" in result) == (rank < len(ordered))
        if rank < len(ordered):
            exact = ordered[rank - 1] / 1e6
            assert exact <= result[f"latency_{name}"] <= exact * 1.001, name


def test_each_thread_prints_its_own_and_they_are_one_distribution() -> None:
    alone = printed([1000, 3000, 5_000_000])
    apart = printed([3000]) + printed([1000, 5_000_000]) + printed([])
    together = latency.latency_samples(apart, driver="sysbench", events=3, threads=3)
    assert {sample.metric: sample.value for sample in together} == pytest.approx(read(alone, 3))
    with pytest.raises(TrialError, match="not whole"):
        latency.latency_samples(apart, driver="sysbench", events=3, threads=4)


def test_a_percentile_above_which_nothing_was_seen_is_absent() -> None:
    assert set(read(printed([5]), 1)) == {"latency_mean", "latency_max"}
    hundred = read(printed(range(1, 101)), 100)
    assert "latency_p99" in hundred
    assert "latency_p999" not in hundred
    thousand = read(printed([1000] * 999 + [2_000_000]), 1000)
    assert thousand["latency_p999"] < thousand["latency_max"]


def test_intended_time_stands_beside_service_time() -> None:
    text = printed([1_000_000] * 10) + printed([1_000_000] * 9 + [50_000_000], "intended")
    result = read(text, 10)
    assert result["latency_max"] == pytest.approx(1.0, rel=1e-3)
    assert result["intended_latency_max"] == pytest.approx(50.0, rel=1e-3)
    assert result["intended_latency_mean"] == pytest.approx(5.9)


@pytest.mark.parametrize("text", ["", printed([3, 4]), printed([3]) + printed([], "intended"), "service 3 1"])
def test_latencies_that_are_not_whole_are_refused(text: str) -> None:
    with pytest.raises(TrialError):
        latency.latency_samples(text, driver="pymysql", events=1)
