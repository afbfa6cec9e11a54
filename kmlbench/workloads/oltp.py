# SPDX-License-Identifier: MIT
"""The OLTP mixes of workloads/oltp/mixes.toml, by sysbench or by the second client."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from kmlbench.errors import TrialError
from kmlbench.model import CommandResult, Sample
from kmlbench.workloads import files, latency, python_client, sysbench, transports
from kmlbench.workloads.base import MarkKind, Marks, Metric, Work
from kmlbench.workloads.levels import Level, Transport, level_name
from kmlbench.workloads.steps import Setting, Step

# Of a run; what is left of its events, a third or more, comes before and warms up.
WINDOWS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """One mix: the rows of its table, its events at scale 1.0; reads and statements are per event.

    A bulk mix starts with an empty table and has one statement for many events: it has none of the three.
    With `purge` the server purges after the events, in a window of its own (docs/decisions/0059).
    """

    events: int
    table_size: int | None = None
    reads: int | None = None
    statements: int | None = None
    purge: bool = False


def mixes() -> dict[str, Mix]:
    """The mixes by name, in the order of the file."""
    sizes = Mix.__dataclass_fields__.keys()
    tables = tomllib.loads(files.read_data("oltp/mixes.toml"))["mix"]
    return {
        name: Mix(**{key: value for key, value in table.items() if key in sizes})
        for name, table in tables.items()
    }


@dataclass(frozen=True, slots=True)
class Oltp:
    """The adapter of one mix and one client. Its latency is that of one event, that is one transaction.

    Both clients send the same statements; the tables are sysbench's for both. Several threads share the
    events of a run, each with a connection of its own; only sysbench can have them. The tables are prepared
    through the socket.
    """

    mix_name: str
    mix: Mix
    driver: str = sysbench.DRIVER
    level: Level = sysbench.ALONE
    needs_server: bool = True
    dataset: str | None = None
    metrics: tuple[Metric, ...] = (*latency.METRICS, *transports.METRICS)

    @property
    def name(self) -> str:
        name = f"oltp_{self.mix_name}"
        name = name if self.driver == sysbench.DRIVER else f"{name}_{self.driver}"
        return level_name(name, self.level)

    def steps(self, setting: Setting) -> tuple[Step, ...]:
        # bulk_insert has a table for each thread.
        threads = replace(self.level, transport=Transport.SOCKET)
        prepare = sysbench.argv(setting, self._script, "prepare", *self._size, level=threads)
        events = max(1, round(self.mix.events * setting.scale))
        paced_s = 0.0 if setting.rate_per_s is None else events / setting.rate_per_s
        timeout_s = 300.0 + 300.0 * setting.scale + paced_s
        return (
            Step(name="prepare", argv=prepare, timeout_s=300.0),
            Step(name="run", argv=self._run_argv(setting, events), timeout_s=timeout_s, measured=True),
        )

    def samples(self, results: Sequence[CommandResult]) -> tuple[Sample, ...]:
        if len(results) != 2:
            raise TrialError(f"{self.name} has two steps, not {len(results)}", stage="parse")
        sysbench.require_success(results[0])
        statistics = sysbench.parse_statistics(results[1], asked=sysbench.events_asked(results[1]))
        self._require_the_mix(statistics)
        latencies = latency.latency_samples(
            results[1].stdout, driver=self.driver, events=statistics.events, threads=self.level.threads
        )
        connections = transports.connection_samples(results[1], self.level, self.driver)
        return (*sysbench.sysbench_samples(statistics, self.driver), *latencies, *connections)

    def marks(self, results: Sequence[CommandResult]) -> Marks:
        size = sysbench.option_value(results[1], "window")
        if not size:
            return {}
        event = Work(name="event", units=size)
        events: dict[tuple[int, int], Work] = {
            (MarkKind.MEASURED, number): event for number in range(WINDOWS)
        }
        purged = sysbench.events_asked(results[1])
        return {**events, (MarkKind.PURGE, 0): Work(name="purge", units=purged)} if self.mix.purge else events

    @property
    def _script(self) -> str:
        return f"oltp/{self.mix_name}.lua"

    @property
    def _size(self) -> tuple[str, ...]:
        return () if self.mix.table_size is None else (f"--table-size={self.mix.table_size}",)

    def _run_argv(self, setting: Setting, events: int) -> tuple[str, ...]:
        pace = () if setting.rate_per_s is None else (f"--pace={setting.rate_per_s}",)
        windows = _windows(events, self.level.threads)
        if self.driver == sysbench.DRIVER:
            purge = ("--purge=on",) if self.mix.purge else ()
            options = (*self._size, *pace, *windows, *purge)
            return sysbench.run_argv(setting, self._script, events, *options, level=self.level)
        purge = ("--purge",) if self.mix.purge else ()
        asked = (f"--events={events}", f"--seed={setting.seed}", *pace, *windows, *purge)
        return python_client.argv(setting, self.level.transport, "oltp", self.mix_name, *asked)

    def _require_the_mix(self, statistics: sysbench.Statistics) -> None:
        if self.mix.statements is None or self.mix.reads is None:
            expected = (0, max(1, statistics.writes))
        else:
            expected = (self.mix.reads * statistics.events, self.mix.statements * statistics.events)
        if (statistics.reads, statistics.statements) != expected:
            raise TrialError(
                f"{self.name}: {statistics.reads} reads of {statistics.statements} statements, not "
                f"{expected[0]} of {expected[1]}: this client's mix is another one",
                stage="parse",
            )


def _windows(events: int, threads: int) -> tuple[str, ...]:
    """The options that divide a run into windows; none for a run of too few events.

    At both ends of a window an event of each thread is under way, so it is one of each thread at least.
    """
    size = events * 2 // 3 // WINDOWS
    return (f"--warm-up={events - WINDOWS * size}", f"--window={size}") if size >= threads else ()
