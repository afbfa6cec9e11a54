# SPDX-License-Identifier: MIT
"""The report of workloads/loops/loops.h, and what one call costs: the empty loop subtracted."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from statistics import median

from kmlbench.errors import TrialError
from kmlbench.model import CommandResult, Process, Sample
from kmlbench.workloads.base import MarkKind, Marks, Metric, Section, Work
from kmlbench.workloads.steps import Setting, Step

EMPTY = "empty"

UNITS = {"nanoseconds": "ns", "cycles": "cycles", "instructions": "instructions"}

REPETITIONS = 7

Readings = Mapping[str, Mapping[str, tuple[int, ...]]]


def step(setting: Setting, program: str, calls: int, *more: str) -> Step:
    """The one measured step: `calls` calls of each kind at scale 1, REPETITIONS times."""
    count = max(1, round(calls * setting.scale))
    argv = (setting.prefix.path(f"lib/kmlbench/{program}"), str(count), str(REPETITIONS), *more)
    return Step(name="run", argv=argv, timeout_s=120.0 + 60.0 * setting.scale, measured=True)


def loop_metrics(
    prefix: str, headings: Mapping[str, str], section: Section | None, unit: str
) -> tuple[Metric, ...]:
    """The metrics {prefix}_{KIND}_{unit} as rows of a section, or in no table; `headings` are by kind."""
    return tuple(
        Metric(name=f"{prefix}_{kind}_{unit}", unit=unit, section=section, heading=heading, rows="one call")
        for kind, heading in headings.items()
    )


def loop_samples(prefix: str, costs: Mapping[str, Mapping[str, float]], driver: str) -> tuple[Sample, ...]:
    """The samples {prefix}_{KIND}_{unit} of `costs`."""
    return tuple(
        Sample(
            metric=f"{prefix}_{kind}_{unit}", unit=unit, value=value, process=Process.CLIENT, driver=driver
        )
        for kind, cost in costs.items()
        for unit, value in cost.items()
    )


def call_costs(results: Sequence[CommandResult], kinds: Sequence[str]) -> dict[str, dict[str, float]]:
    """What a call of each kind costs, by unit. Raises TrialError(stage="parse")."""
    if len(results) != 1:
        raise TrialError(f"a loop has one step, not {len(results)}", stage="parse")
    calls, readings = parse_loops(results[0], kinds)
    return {
        kind: {
            UNITS[quantity]: per_call(totals, readings[EMPTY][quantity], calls)
            for quantity, totals in readings[kind].items()
        }
        for kind in kinds
    }


def loop_marks(results: Sequence[CommandResult], kinds: Sequence[str]) -> Marks:
    """The loops of each kind; that of nothing is left out."""
    calls, _ = parse_loops(results[0], kinds)
    return {
        (MarkKind.MEASURED, number): Work(name=kind, units=calls)
        for number, kind in enumerate(kinds, start=1)
    }


def per_call(totals: Sequence[int], empty: Sequence[int], calls: int) -> float:
    """The median over the repetitions of what a call costs beyond an iteration of the empty loop."""
    return median((total - nothing) / calls for total, nothing in zip(totals, empty, strict=True))


def parse_loops(result: CommandResult, kinds: Sequence[str]) -> tuple[int, Readings]:
    """The calls per repetition and the raw totals by kind and quantity. Raises TrialError(stage="parse")."""
    program = result.argv[0].rpartition("/")[2]
    if result.returncode:
        raise TrialError(f"{program} ended with {result.returncode}: {result.stderr[-500:]}", stage="parse")
    try:
        report = json.loads(result.stdout)
        calls = _positive(report["calls"])
        repetitions = _positive(report["repetitions"])
        readings = {kind: _readings(report[kind], repetitions) for kind in (EMPTY, *kinds)}
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise TrialError(f"{program}'s output is not its report: {error!r}", stage="parse") from error
    if len({tuple(kind) for kind in readings.values()}) != 1:
        raise TrialError(f"{program}'s kinds were measured in different quantities", stage="parse")
    return calls, readings


def _readings(report: object, repetitions: int) -> dict[str, tuple[int, ...]]:
    if not isinstance(report, dict) or not {"nanoseconds", "cycles"} <= set(report) <= set(UNITS):
        raise ValueError("a kind without its readings")
    return {quantity: _totals(report[quantity], repetitions) for quantity in UNITS if quantity in report}


def _totals(values: object, repetitions: int) -> tuple[int, ...]:
    if not isinstance(values, list) or len(values) != repetitions:
        raise ValueError(f"not {repetitions} readings")
    return tuple(_natural(value) for value in values)


def _natural(value: object) -> int:
    if type(value) is not int or not 0 <= value < 2**64:
        raise ValueError(f"{value!r} is not a count")
    return value


def _positive(value: object) -> int:
    if _natural(value) == 0:
        raise ValueError("nothing was counted")
    return _natural(value)
