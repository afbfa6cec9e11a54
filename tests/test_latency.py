# SPDX-License-Identifier: MIT
"""Percentiles of three digits from what the clients print, against the exact ones."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean

import pytest
from histogram import Histogram
from hypothesis import given
from hypothesis import strategies as st

from kmlbench.adapters import latency
from kmlbench.errors import TrialError


def printed(latencies_ns: Sequence[int], name: str = "service") -> str:
    histogram = Histogram(name)
    for one in latencies_ns:
        histogram.record(one)
    return "".join(f"pymysql: {line}\n" for line in histogram.lines())


def read(text: str, events: int) -> dict[str, float]:
    return {one.metric: one.value for one in latency.samples(text, driver="pymysql", events=events)}


@given(st.lists(st.integers(min_value=1, max_value=10**12), min_size=1, max_size=60))
def test_a_percentile_is_right_to_three_digits(latencies_ns: list[int]) -> None:
    found = read(printed(latencies_ns), len(latencies_ns))
    ordered = sorted(latencies_ns)
    assert found["latency_mean"] == pytest.approx(mean(ordered) / 1e6, abs=1e-6)
    assert ordered[-1] / 1e6 <= found["latency_max"] <= ordered[-1] / 1e6 * 1.001
    if "latency_p50" in found:
        middle = ordered[(len(ordered) + 1) // 2 - 1] / 1e6
        assert middle <= found["latency_p50"] <= middle * 1.001


def test_a_percentile_above_which_nothing_was_seen_is_absent() -> None:
    assert set(read(printed([5]), 1)) == {"latency_mean", "latency_max"}
    hundred = read(printed(range(1, 101)), 100)
    assert "latency_p99" in hundred
    assert "latency_p999" not in hundred
    thousand = read(printed([1000] * 999 + [2_000_000]), 1000)
    assert thousand["latency_p999"] < thousand["latency_max"]


def test_intended_time_stands_beside_service_time() -> None:
    text = printed([1_000_000] * 10) + printed([1_000_000] * 9 + [50_000_000], "intended")
    found = read(text, 10)
    assert found["latency_max"] == pytest.approx(1.0, rel=1e-3)
    assert found["intended_latency_max"] == pytest.approx(50.0, rel=1e-3)
    assert found["intended_latency_mean"] == pytest.approx(5.9)


@pytest.mark.parametrize("text", ["", printed([3, 4]), printed([3]) + printed([], "intended"), "service 3 1"])
def test_latencies_that_are_not_whole_are_refused(text: str) -> None:
    with pytest.raises(TrialError):
        latency.samples(text, driver="pymysql", events=1)
