# SPDX-License-Identifier: MIT
"""The Wisconsin benchmark, run by a sysbench script of ours over the Unix socket."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from kmlbench import wisconsin
from kmlbench.adapters import sysbench
from kmlbench.errors import TrialError
from kmlbench.model import CommandResult, Process, Sample, Setting, Step
from kmlbench.wisconsin import Statement, StatementKind

LOOPS = 8
SCRIPT = "wisconsin/wisconsin.lua"

_LINE = re.compile(r"^wisconsin: (\d+) (query|modify) (\d+|-)$", re.MULTILINE | re.ASCII)


@dataclass(frozen=True, slots=True)
class Wisconsin:
    """One run: LOOPS (times the scale) passes of the ten queries, then the fourteen modifications once.

    Samples: passes, queries and throughput (passes per second). A run that returned or changed other
    rows than the literature says, or left another table behind, is TrialError(stage="check").
    """

    name: str = "wisconsin"
    driver: str = sysbench.DRIVER
    needs_server: bool = True
    dataset: str | None = wisconsin.DATASET

    def steps(self, setting: Setting) -> tuple[Step, ...]:
        loops = max(1, round(LOOPS * setting.scale))
        run = sysbench.run_argv(setting, SCRIPT, 1, f"--loops={loops}")
        return (
            Step(name="run", argv=run, timeout_s=300.0 + 300.0 * setting.scale, measured=True),
            Step(name="check", argv=_check_argv(setting), timeout_s=60.0),
        )

    def samples(self, results: Sequence[CommandResult]) -> tuple[Sample, ...]:
        if len(results) != 2:
            raise TrialError(f"wisconsin has two steps, not {len(results)}", stage="parse")
        run, check = results
        statistics = sysbench.parse(run)
        loops = _loops(run)
        _require_rows(run.stdout)
        _require_counts(statistics, loops)
        _require_golden_end(check)
        return _samples(loops, statistics)


def _check_argv(setting: Setting) -> tuple[str, ...]:
    return sysbench.argv(setting, SCRIPT, "check", f"--end_query={wisconsin.END_QUERY}")


def _loops(run: CommandResult) -> int:
    for argument in run.argv:
        if argument.startswith("--loops="):
            return int(argument.removeprefix("--loops="))
    raise TrialError("the run's command line has no --loops", stage="parse")


def _require_rows(stdout: str) -> None:
    statements = wisconsin.statements()
    expected = [_line(number, statement) for number, statement in enumerate(statements, start=1)]
    found = _LINE.findall(stdout)
    if len(found) != len(expected):
        raise TrialError(f"wisconsin ran {len(found)} of {len(expected)} statements", stage="parse")
    pairs = zip(found, expected, strict=True)
    wrong = "; ".join(f"{line[0]}: {line[2]} not {want[2]}" for line, want in pairs if line != want)
    if wrong:
        raise TrialError(f"wisconsin's queries returned wrong numbers of rows: {wrong}", stage="check")


def _line(number: int, statement: Statement) -> tuple[str, str, str]:
    rows = str(statement.rows) if statement.kind is StatementKind.QUERY else "-"
    return str(number), str(statement.kind), rows


def _require_counts(statistics: sysbench.Statistics, loops: int) -> None:
    kinds = [statement.kind for statement in wisconsin.statements()]
    expected = (kinds.count(StatementKind.QUERY) * loops, kinds.count(StatementKind.MODIFY), 0)
    found = (statistics.reads, statistics.writes, statistics.other)
    if found != expected:
        raise TrialError(
            f"wisconsin: (queries, changing, unchanging) were {found}, not {expected}", stage="check"
        )


def _require_golden_end(check: CommandResult) -> None:
    sysbench.require_success(check)
    end = wisconsin.GOLDEN_END
    expected = f"wisconsin: end {end.rows} {end.sum_unique1} {end.sum_unique2}"
    if expected not in check.stdout.splitlines():
        raise TrialError(f"wisconsin left {check.stdout[-200:]!r} behind, not {expected!r}", stage="check")


def _samples(loops: int, statistics: sysbench.Statistics) -> tuple[Sample, ...]:
    numbers = (
        ("passes", "1", float(loops)),
        ("queries", "1", float(statistics.statements)),
        ("throughput", "1/s", loops / statistics.time_total),
    )
    return tuple(
        Sample(metric=metric, unit=unit, value=value, process=Process.CLIENT, driver=sysbench.DRIVER)
        for metric, unit, value in numbers
    )
