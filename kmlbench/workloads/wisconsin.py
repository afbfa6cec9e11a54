# SPDX-License-Identifier: MIT
"""The Wisconsin benchmark, by a sysbench script of ours or by the second client."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from kmlbench.errors import TrialError
from kmlbench.model import CommandResult, Process, Sample
from kmlbench.workloads import python_client, sysbench, transports, wisconsin_data
from kmlbench.workloads.base import Better, MarkKind, Marks, Metric, Work
from kmlbench.workloads.levels import Level, level_name
from kmlbench.workloads.metrics import CPU, EVERY_PROCESS
from kmlbench.workloads.steps import Setting, Step
from kmlbench.workloads.wisconsin_data import Form, Statement, StatementKind

LOOPS = 10

PASS_TIMEOUT_S = 60.0

SCRIPT = "wisconsin/wisconsin.lua"

METRICS = (
    Metric(
        name="pass_cpu",
        unit="s",
        section=CPU,
        heading="CPU per pass",
        processes=EVERY_PROCESS,
        compared=True,
    ),
    Metric(name="passes", unit="1", better=Better.NEITHER),
    *transports.METRICS,
)

_LINE = re.compile(r"^wisconsin: (\d+) (query|modify) (\d+|-)$", re.MULTILINE | re.ASCII)


@dataclass(frozen=True, slots=True)
class Wisconsin:
    """One run: LOOPS (times the scale, or as asked) passes of the queries, then the modifications once.

    `wisconsin` is the form of 24 statements, `wisconsin32` that of 32 queries.
    Samples: passes, queries and throughput (passes per second). A run that returned or changed other
    rows than the literature says, or left another table behind, is TrialError(stage="check").
    """

    form: Form = Form.STATEMENTS_24
    driver: str = sysbench.DRIVER
    level: Level = sysbench.ALONE
    needs_server: bool = True
    dataset: str | None = wisconsin_data.DATASET
    metrics: tuple[Metric, ...] = METRICS

    @property
    def name(self) -> str:
        name = "wisconsin" if self.form is Form.STATEMENTS_24 else "wisconsin32"
        name = name if self.driver == sysbench.DRIVER else f"{name}_{self.driver}"
        return level_name(name, self.level)

    def steps(self, setting: Setting) -> tuple[Step, ...]:
        loops = setting.loops or max(1, round(LOOPS * setting.scale))
        run = self._run_argv(setting, loops)
        return (
            Step(name="run", argv=run, timeout_s=300.0 + PASS_TIMEOUT_S * loops, measured=True),
            Step(name="check", argv=_check_argv(setting), timeout_s=60.0),
        )

    def samples(self, results: Sequence[CommandResult]) -> tuple[Sample, ...]:
        if len(results) != 2:
            raise TrialError(f"wisconsin has two steps, not {len(results)}", stage="parse")
        run, check = results
        statistics = sysbench.parse_statistics(run, asked=1)
        loops = _loops(run)
        statements = wisconsin_data.statements(self.form)
        _require_rows(run.stdout, statements)
        _require_counts(statistics, loops, statements)
        _require_golden_end(check)
        connections = transports.connection_samples(run, self.level, self.driver)
        return (*_samples(loops, statistics, self.driver), *connections)

    def marks(self, results: Sequence[CommandResult]) -> Marks:
        del results
        numbers = range(1, 1 + len(wisconsin_data.statements(self.form)))
        # The purge after them is no part of it: whether ten modifications merge a page is chance.
        return {(MarkKind.STATEMENT, n): Work(name=f"statement {n}", units=1) for n in numbers}

    def _run_argv(self, setting: Setting, loops: int) -> tuple[str, ...]:
        if self.driver == sysbench.DRIVER:
            form = () if self.form is Form.STATEMENTS_24 else (f"--statements={self.form}",)
            return sysbench.run_argv(setting, SCRIPT, 1, f"--loops={loops}", *form, level=self.level)
        file = f"{sysbench.SCRIPTS}/wisconsin/{self.form}"
        asked = (f"--statements={file}", f"--loops={loops}")
        return python_client.argv(setting, self.level.transport, "wisconsin", *asked)


def _check_argv(setting: Setting) -> tuple[str, ...]:
    return sysbench.argv(setting, SCRIPT, "check", f"--end_query={wisconsin_data.END_QUERY}")


def _loops(run: CommandResult) -> int:
    if (loops := sysbench.option_value(run, "loops")) is None:
        raise TrialError("the run's command line has no --loops", stage="parse")
    return loops


def _require_rows(stdout: str, statements: Sequence[Statement]) -> None:
    expected = [_line(number, statement) for number, statement in enumerate(statements, start=1)]
    lines = _LINE.findall(stdout)
    if len(lines) != len(expected):
        raise TrialError(f"wisconsin ran {len(lines)} of {len(expected)} statements", stage="parse")
    pairs = zip(lines, expected, strict=True)
    wrong = "; ".join(f"{line[0]}: {line[2]} not {want[2]}" for line, want in pairs if line != want)
    if wrong:
        raise TrialError(f"wisconsin's queries returned wrong numbers of rows: {wrong}", stage="check")


def _line(number: int, statement: Statement) -> tuple[str, str, str]:
    rows = str(statement.rows) if statement.kind is StatementKind.QUERY else "-"
    return str(number), str(statement.kind), rows


def _require_counts(statistics: sysbench.Statistics, loops: int, statements: Sequence[Statement]) -> None:
    kinds = [statement.kind for statement in statements]
    expected = (kinds.count(StatementKind.QUERY) * loops, kinds.count(StatementKind.MODIFY), 0)
    counts = (statistics.reads, statistics.writes, statistics.other)
    if counts != expected:
        raise TrialError(
            f"wisconsin: (queries, changing, unchanging) were {counts}, not {expected}", stage="check"
        )


def _require_golden_end(check: CommandResult) -> None:
    sysbench.require_success(check)
    end = wisconsin_data.GOLDEN_END
    expected = f"wisconsin: end {end.rows} {end.sum_unique1} {end.sum_unique2}"
    if expected not in check.stdout.splitlines():
        raise TrialError(f"wisconsin left {check.stdout[-200:]!r} behind, not {expected!r}", stage="check")


def _samples(loops: int, statistics: sysbench.Statistics, driver: str) -> tuple[Sample, ...]:
    numbers = (
        ("passes", "1", float(loops)),
        ("queries", "1", float(statistics.statements)),
        ("throughput", "1/s", loops / statistics.time_total),
    )
    return tuple(
        Sample(metric=metric, unit=unit, value=value, process=Process.CLIENT, driver=driver)
        for metric, unit, value in numbers
    )
