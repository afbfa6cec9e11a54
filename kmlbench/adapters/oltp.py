# SPDX-License-Identifier: MIT
"""sysbench's OLTP mixes over the Unix socket; which ones, and how large, is workloads/oltp/mixes.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass

from kmlbench import workload_data
from kmlbench.adapters import sysbench
from kmlbench.errors import TrialError
from kmlbench.model import CommandResult, Sample, Setting, Step


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """One mix: the rows of its table, its events at scale 1.0; reads and statements are per event."""

    table_size: int
    events: int
    reads: int
    statements: int


def mixes() -> dict[str, Mix]:
    """The mixes by name, in the order of the file."""
    tables = tomllib.loads(workload_data.read("oltp/mixes.toml"))
    return {name: Mix(**table) for name, table in tables.items()}


@dataclass(frozen=True, slots=True)
class Oltp:
    """The adapter of one mix. Its latency is that of one event, that is one transaction."""

    mix_name: str
    mix: Mix
    driver: str = sysbench.DRIVER
    needs_server: bool = True
    dataset: str | None = None

    @property
    def name(self) -> str:
        return f"oltp_{self.mix_name}"

    def steps(self, setting: Setting) -> tuple[Step, ...]:
        script = f"oltp/{self.mix_name}.lua"
        size = f"--table-size={self.mix.table_size}"
        events = max(1, round(self.mix.events * setting.scale))
        prepare = sysbench.argv(setting, script, "prepare", size)
        run = sysbench.run_argv(setting, script, events, size)
        return (
            Step(name="prepare", argv=prepare, timeout_s=300.0),
            Step(name="run", argv=run, timeout_s=300.0 + 300.0 * setting.scale, measured=True),
        )

    def samples(self, results: Sequence[CommandResult]) -> tuple[Sample, ...]:
        if len(results) != 2:
            raise TrialError(f"{self.name} has two steps, not {len(results)}", stage="parse")
        sysbench.require_success(results[0])
        statistics = sysbench.parse(results[1])
        self._require_the_mix(statistics)
        return sysbench.samples(statistics)

    def _require_the_mix(self, statistics: sysbench.Statistics) -> None:
        expected = (self.mix.reads * statistics.events, self.mix.statements * statistics.events)
        if (statistics.reads, statistics.statements) != expected:
            raise TrialError(
                f"{self.name}: {statistics.reads} reads of {statistics.statements} statements, not "
                f"{expected[0]} of {expected[1]}: this sysbench's script is another mix",
                stage="parse",
            )
