# SPDX-License-Identifier: MIT
"""The calls of a workload by name: how many a query makes, and what one costs and saves."""

from __future__ import annotations

from dataclasses import dataclass

from kmlbench import prices
from kmlbench.adapters.calls import COUNTING
from kmlbench.comparisons import Comparison
from kmlbench.model import Process
from kmlbench.prices import NO_PRICES, ByBlock, combine
from kmlbench.stats import Estimate, Interval
from kmlbench.tables import Source

NO_QUERIES = "no trial counted them with their queries"


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """Calls of one name: how many a query makes, what one costs in both cells and saves, in nanoseconds."""

    name: str
    priced: str
    calls: Estimate
    control: Estimate
    treated: Estimate
    saved: Estimate
    saved_per_query: Estimate


def kinds(source: Source, workload: str, comparison: Comparison, process: Process) -> tuple[Kind, ...]:
    """The calls of a process by name, the most frequent first; empty where nobody counted them."""
    queries = prices.positive(source, prices.queries(COUNTING + workload), comparison.control)
    mixed = prices.mix(source, workload, comparison.control, process)
    found = [
        _kind(source, name, comparison, combine(lambda count, asked: count / asked, counts, queries))
        for name, counts in mixed.items()
    ]
    return tuple(sorted(found, key=lambda one: (-_size(one.calls), one.name)))


def _kind(source: Source, name: str, comparison: Comparison, calls: ByBlock) -> Kind:
    priced = prices.kind_of(name)
    costs = [prices.costs(source, priced, cell) for cell in (comparison.control, comparison.treated)]
    saved = combine(lambda old, new: old - new, *costs)
    per_query = combine(lambda count, one: count * one, calls, saved)
    return Kind(
        name=name,
        priced=priced,
        calls=prices.estimate(source, calls, NO_QUERIES),
        control=prices.estimate(source, costs[0], NO_PRICES),
        treated=prices.estimate(source, costs[1], NO_PRICES),
        saved=prices.estimate(source, saved, NO_PRICES),
        saved_per_query=prices.estimate(source, per_query, NO_PRICES),
    )


def _size(found: Estimate) -> float:
    return found.estimate if isinstance(found, Interval) else 0.0
