# SPDX-License-Identifier: MIT
"""What all workloads that sysbench drives have in common: its command line and its closing report."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from kmlbench.errors import TrialError
from kmlbench.model import CommandResult, Process, Sample, Setting

DRIVER = "sysbench"
DATABASE = "kmlbench"
SCRIPTS = "/usr/share/kmlbench"


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """sysbench's closing report by workloads/oltp/report.lua. Times in seconds.

    `writes` counts statements that changed a row, `other` the ones that returned and changed nothing.
    """

    time_total: float
    events: int
    reads: int
    writes: int
    other: int
    errors: int
    reconnects: int
    latency_min: float
    latency_max: float
    latency_sum: float
    latency_pct: float

    @property
    def statements(self) -> int:
        return self.reads + self.writes + self.other


_LINE = re.compile(r"^sysbench: ([a-z_]+) (\d{1,18}\.\d{9})$", re.MULTILINE | re.ASCII)
_COUNTS = ("events", "reads", "writes", "other", "errors", "reconnects")
_TIMES = ("time_total", "latency_min", "latency_max", "latency_sum", "latency_pct")


def argv(setting: Setting, script: str, command: str, *options: str) -> tuple[str, ...]:
    """A sysbench command line. The password is in a file (--config-file), so that `ps` does not show it."""
    return (
        setting.prefix.path("bin/sysbench"),
        f"{SCRIPTS}/{script}",
        f"--config-file={setting.password_file}",
        "--db-driver=mysql",
        f"--mysql-socket={setting.socket}",
        f"--mysql-user={setting.user}",
        f"--mysql-db={DATABASE}",
        "--rand-type=uniform",
        f"--rand-seed={setting.seed}",
        "--threads=1",
        *options,
        command,
    )


def run_argv(setting: Setting, script: str, events: int, *options: str) -> tuple[str, ...]:
    """The command line of a measured run: so many events, however long they take."""
    fixed = (f"--events={events}", "--time=0", "--percentile=95", "--histogram=off")
    return argv(setting, script, "run", *fixed, *options)


def events_asked(result: CommandResult) -> int:
    """The events that a run's command line asks for."""
    for argument in result.argv:
        if argument.startswith("--events="):
            return int(argument.removeprefix("--events="))
    raise TrialError("the run's command line has no --events", stage="parse")


def require_success(result: CommandResult) -> None:
    """Raise TrialError(stage="parse") when the command failed: its output is no report then."""
    if result.returncode:
        tail = (result.stderr or result.stdout)[-500:]
        raise TrialError(f"{result.argv[0]} ended with {result.returncode}: {tail}", stage="parse")


def parse(result: CommandResult) -> Statistics:
    """Read the closing report of a run. TrialError(stage="parse") unless it is whole and without errors."""
    require_success(result)
    pairs = _LINE.findall(result.stdout)
    found = {name: float(value) for name, value in pairs}
    if sorted(name for name, _ in pairs) != sorted(_COUNTS + _TIMES):
        raise TrialError(f"sysbench's report is not whole: it has {sorted(found)}", stage="parse")
    counts = {name: _count(name, found[name]) for name in _COUNTS}
    times = {name: found[name] for name in _TIMES}
    statistics = Statistics(**counts, **times)  # type: ignore[arg-type]  # mypy sees one type per dictionary
    _require_sound(statistics, events_asked(result))
    return statistics


def samples(statistics: Statistics) -> tuple[Sample, ...]:
    """The numbers of a run as samples of the client; latencies in milliseconds per event."""
    return (
        _sample("transactions", "1", statistics.events),
        _sample("queries", "1", statistics.statements),
        _sample("throughput", "1/s", statistics.events / statistics.time_total),
        _sample("latency_mean", "ms", statistics.latency_sum / statistics.events * 1e3),
        _sample("latency_p95", "ms", statistics.latency_pct * 1e3),
    )


def _sample(metric: str, unit: str, value: float) -> Sample:
    return Sample(metric=metric, unit=unit, value=value, process=Process.CLIENT, driver=DRIVER)


def _count(name: str, value: float) -> int:
    if not value.is_integer():
        raise TrialError(f"sysbench counted {value} {name}", stage="parse")
    return int(value)


def _require_sound(statistics: Statistics, asked: int) -> None:
    if statistics.events != asked or not asked:
        raise TrialError(f"sysbench ran {statistics.events} of {asked} events", stage="parse")
    if statistics.errors or statistics.reconnects:
        raise TrialError(
            f"sysbench met {statistics.errors} errors and reconnected {statistics.reconnects} times",
            stage="parse",
        )
    if not (math.isfinite(statistics.time_total) and statistics.time_total > 0):
        raise TrialError(f"sysbench says its run took {statistics.time_total} s", stage="parse")
