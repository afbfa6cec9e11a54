# SPDX-License-Identifier: MIT
"""What all workloads that sysbench drives have in common: its command line and its closing report."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from kmlbench.errors import TrialError
from kmlbench.model import CommandResult, Process, Sample
from kmlbench.workloads import transports
from kmlbench.workloads.levels import Level, Transport
from kmlbench.workloads.steps import Setting

DRIVER = "sysbench"

DATABASE = "kmlbench"

SCRIPTS = "/usr/share/kmlbench"


@dataclass(frozen=True, slots=True, kw_only=True)
class Statistics:
    """The closing report of workloads/oltp/report.lua, and of workloads/client.

    `time_total` are the seconds of the events, without the purge after them. `writes` counts statements that
    changed a row, `other` those that returned and changed nothing.
    """

    time_total: float
    events: int
    reads: int
    writes: int
    other: int
    errors: int
    reconnects: int

    @property
    def statements(self) -> int:
        return self.reads + self.writes + self.other


_NAMES = r"(?:time_total|events|reads|writes|other|errors|reconnects)"

# Part of sysbench's time_total, and not of the second client's, which does not print it.
_PURGE = re.compile(r"^sysbench: purge (\d{1,9}\.\d{9})$", re.MULTILINE | re.ASCII)

_LINE = re.compile(rf"^(?:sysbench|pymysql): ({_NAMES}) (\d{{1,18}}\.\d{{9}})$", re.MULTILINE | re.ASCII)

_COUNTS = ("events", "reads", "writes", "other", "errors", "reconnects")


ALONE = Level()


def argv(setting: Setting, script: str, command: str, *options: str, level: Level = ALONE) -> tuple[str, ...]:
    """A sysbench command line. The password is in a file (--config-file), so that `ps` does not show it."""
    return (
        setting.prefix.path("bin/sysbench"),
        f"{SCRIPTS}/{script}",
        f"--config-file={setting.password_file}",
        "--db-driver=mysql",
        *_address(setting, level.transport),
        f"--mysql-user={setting.user}",
        f"--mysql-db={DATABASE}",
        "--rand-type=uniform",
        f"--rand-seed={setting.seed}",
        f"--threads={level.threads}",
        *options,
        command,
    )


def _address(setting: Setting, transport: Transport) -> tuple[str, ...]:
    if transport is Transport.SOCKET:
        return (f"--mysql-socket={setting.socket}",)
    encrypted = ("--mysql-ssl=on",) if transport is Transport.TLS else ()
    return (f"--mysql-host={transports.LOOPBACK}", f"--mysql-port={setting.port}", *encrypted)


def run_argv(
    setting: Setting, script: str, events: int, *options: str, level: Level = ALONE
) -> tuple[str, ...]:
    """The command line of a measured run of `events` events, however long they take.

    sysbench's own histogram is off: recorder.lua has a finer one, and it would draw random numbers.
    """
    fixed = (f"--events={events}", "--time=0", "--percentile=0", "--histogram=off")
    asked = transports.options(setting, level.transport)
    return argv(setting, script, "run", *fixed, *options, *asked, level=level)


def events_asked(result: CommandResult) -> int:
    """The events that a run's command line asks for."""
    if (events := option_value(result, "events")) is None:
        raise TrialError("the run's command line has no --events", stage="parse")
    return events


def option_value(result: CommandResult, name: str) -> int | None:
    """The number that a run's command line gives for an option."""
    start = f"--{name}="
    values = (argument.removeprefix(start) for argument in result.argv if argument.startswith(start))
    return next(map(int, values), None)


def require_success(result: CommandResult) -> None:
    """Raise TrialError(stage="parse") when the command failed: its output is not a report then."""
    if result.returncode:
        tail = (result.stderr or result.stdout)[-500:]
        raise TrialError(f"{result.argv[0]} ended with {result.returncode}: {tail}", stage="parse")


def parse_statistics(result: CommandResult, *, asked: int) -> Statistics:
    """Read the closing report of a run that was asked for `asked` events.

    Raises TrialError(stage="parse") unless it is whole and without errors.
    """
    require_success(result)
    pairs = _LINE.findall(result.stdout)
    values = {name: float(value) for name, value in pairs}
    if sorted(name for name, _ in pairs) != sorted((*_COUNTS, "time_total")):
        raise TrialError(f"the client's report is not whole: it has {sorted(values)}", stage="parse")
    counts = {name: _count(name, values[name]) for name in _COUNTS}
    purged = sum(map(float, _PURGE.findall(result.stdout)))
    statistics = Statistics(time_total=values["time_total"] - purged, **counts)
    _require_sound(statistics, asked)
    return statistics


def sysbench_samples(statistics: Statistics, driver: str) -> tuple[Sample, ...]:
    """The counts of a run as samples of the client."""
    numbers = (
        ("transactions", "1", float(statistics.events)),
        ("queries", "1", float(statistics.statements)),
        ("throughput", "1/s", statistics.events / statistics.time_total),
    )
    return tuple(
        Sample(metric=metric, unit=unit, value=value, process=Process.CLIENT, driver=driver)
        for metric, unit, value in numbers
    )


def _count(name: str, value: float) -> int:
    if not value.is_integer():
        raise TrialError(f"the client counted {value} {name}", stage="parse")
    return int(value)


def _require_sound(statistics: Statistics, asked: int) -> None:
    if statistics.events != asked or not asked:
        raise TrialError(f"the client ran {statistics.events} of {asked} events", stage="parse")
    if statistics.errors or statistics.reconnects:
        raise TrialError(
            f"the client met {statistics.errors} errors and reconnected {statistics.reconnects} times",
            stage="parse",
        )
    if not (math.isfinite(statistics.time_total) and statistics.time_total > 0):
        raise TrialError(f"the client says its run took {statistics.time_total} s", stage="parse")
