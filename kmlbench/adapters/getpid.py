# SPDX-License-Identifier: MIT
"""The microbenchmark of workloads/getpid: what one system call costs, with the empty loop subtracted."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from kmlbench.errors import TrialError
from kmlbench.model import CommandResult, Process, Sample, Setting, Step

CALLS = 100_000
REPETITIONS = 7
KINDS = ("syscall", "libc", "unknown")
UNITS = {"nanoseconds": "ns", "cycles": "cycles", "instructions": "instructions"}

Readings = dict[str, dict[str, tuple[int, ...]]]


@dataclass(frozen=True, slots=True)
class Getpid:
    """Samples getpid_{syscall,libc,unknown}_{ns,cycles,instructions} per call, medians of the repetitions.

    `unknown` is a system call number without a body: entry and exit alone. Instructions are there only
    where the program had a hardware counter. Under `-icount shift=0` a guest's nanosecond is one
    instruction; that is for the platform's name to say, not for a metric.
    """

    name: str = "getpid"
    driver: str = "getpid"
    needs_server: bool = False
    dataset: str | None = None

    def steps(self, setting: Setting) -> tuple[Step, ...]:
        calls = max(1, round(CALLS * setting.scale))
        argv = (setting.prefix.path("lib/kmlbench/getpid"), str(calls), str(REPETITIONS))
        return (Step(name="run", argv=argv, timeout_s=120.0 + 60.0 * setting.scale, measured=True),)

    def samples(self, results: Sequence[CommandResult]) -> tuple[Sample, ...]:
        if len(results) != 1:
            raise TrialError(f"getpid has one step, not {len(results)}", stage="parse")
        calls, readings = parse(results[0])
        return tuple(
            _sample(kind, quantity, per_call(readings[kind][quantity], readings["empty"][quantity], calls))
            for kind in KINDS
            for quantity in UNITS
            if quantity in readings[kind]
        )


def per_call(totals: Sequence[int], empty: Sequence[int], calls: int) -> float:
    """The median over the repetitions of what a call costs beyond an iteration of the empty loop."""
    return median((total - nothing) / calls for total, nothing in zip(totals, empty, strict=True))


def parse(result: CommandResult) -> tuple[int, Readings]:
    """The calls per repetition and the raw totals by kind and quantity. Raises TrialError(stage="parse")."""
    if result.returncode:
        raise TrialError(f"getpid ended with {result.returncode}: {result.stderr[-500:]}", stage="parse")
    try:
        report = json.loads(result.stdout)
        calls = _positive(report["calls"])
        repetitions = _positive(report["repetitions"])
        readings = {kind: _readings(report[kind], repetitions) for kind in ("empty", *KINDS)}
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise TrialError(f"getpid's output is not its report: {error!r}", stage="parse") from error
    if len({tuple(kind) for kind in readings.values()}) != 1:
        raise TrialError("getpid's kinds were measured in different quantities", stage="parse")
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


def _sample(kind: str, quantity: str, value: float) -> Sample:
    unit = UNITS[quantity]
    return Sample(
        metric=f"getpid_{kind}_{unit}", unit=unit, value=value, process=Process.CLIENT, driver="getpid"
    )
