# SPDX-License-Identifier: MIT
"""Where the instructions of a workload went in two cells: by subsystem and by function, parts of one sum."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from kmlbench.instrument.naming import OTHER
from kmlbench.model import Completed, Variant
from kmlbench.plan.comparisons import Comparison
from kmlbench.results.profiles import PROFILE
from kmlbench.results.reader import StoredCampaign
from kmlbench.workloads.registry import known_adapter


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Instructions of a round in the two cells of a comparison, means over their trials."""

    name: str
    control: float
    treated: float

    @property
    def change(self) -> float:
        """How many more the treated cell takes."""
        return self.treated - self.control


@dataclass(frozen=True, slots=True, kw_only=True)
class Whereabouts:
    """A workload in two cells. `whole` is the sum of `subsystems`, and of `functions`; largest change first.

    Server and client together, without what neither of them executed.
    """

    workload: str
    comparison: Comparison
    whole: Part
    subsystems: tuple[Part, ...]
    functions: tuple[Part, ...]


def whereabouts(stored: StoredCampaign, comparison: Comparison) -> tuple[Whereabouts, ...]:
    """Every workload whose trials were recorded in both cells. Raises InputError on damage."""
    by_workload: dict[str, dict[Variant, list[Completed]]] = {}
    for outcome in stored.completed:
        cells = by_workload.setdefault(outcome.trial.workload, {})
        cells.setdefault(outcome.trial.variant, []).append(outcome)
    workloads = (_of_workload(stored, name, cells, comparison) for name, cells in by_workload.items())
    return tuple(workload for workload in workloads if workload)


def _of_workload(
    stored: StoredCampaign,
    workload: str,
    cells: Mapping[Variant, Sequence[Completed]],
    comparison: Comparison,
) -> Whereabouts | None:
    control = _mean(stored, cells.get(comparison.control, ()))
    treated = _mean(stored, cells.get(comparison.treated, ()))
    if not control or not treated:
        return None
    subsystems = _parts(_grouped(control, 0), _grouped(treated, 0))
    return Whereabouts(
        workload=workload,
        comparison=comparison,
        whole=Part(name="all", control=sum(control.values()), treated=sum(treated.values())),
        subsystems=subsystems,
        functions=_parts(_grouped(control, 1), _grouped(treated, 1)),
    )


def _mean(stored: StoredCampaign, outcomes: Iterable[Completed]) -> Mapping[tuple[str, str], float]:
    """The mean over the recorded trials of these; empty without any."""
    sums: defaultdict[tuple[str, str], float] = defaultdict(float)
    trials = 0
    for outcome in outcomes:
        adapter = known_adapter(outcome.trial.workload, stored.own)
        table = PROFILE.read(stored.directory, outcome.trial, adapter) if adapter else None
        if table is None:
            continue
        trials += 1
        columns = (table[name].to_pylist() for name in ("process", "subsystem", "object", "function"))
        numbers = table["instructions"].to_pylist()
        for process, subsystem, item, function, number in zip(*columns, numbers, strict=True):
            if process != OTHER:
                sums[subsystem, function if item == "kernel" else f"{item}: {function}"] += number
    return {key: value / trials for key, value in sums.items()} if trials else {}


def _grouped(mean: Mapping[tuple[str, str], float], index: int) -> Mapping[str, float]:
    sums: defaultdict[str, float] = defaultdict(float)
    for key, value in mean.items():
        sums[key[index]] += value
    return sums


def _parts(control: Mapping[str, float], treated: Mapping[str, float]) -> tuple[Part, ...]:
    names = dict.fromkeys((*control, *treated))
    parts = (
        Part(name=name, control=control.get(name, 0.0), treated=treated.get(name, 0.0)) for name in names
    )
    return tuple(sorted(parts, key=lambda part: (-abs(part.change), part.name)))
