# SPDX-License-Identifier: MIT
"""The report of workloads/measure as data: what a client and a server used during one step."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, TypeVar

from kmlbench.errors import TrialError


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What one process used.

    `cpu_ns` is the scheduler's exact sum. The ticks say how many nanoseconds of timer ticks hit the process
    at all, and in user mode. `counters` are the lines of /proc/<pid>/status that begin with KernelMode, as
    they were at the end and, for the server, at the start. `kernel_mode` is None on a kernel without them.
    """

    cpu_ns: int
    ticks_user_ns: int
    ticks_both_ns: int
    voluntary_switches: int
    involuntary_switches: int
    minor_faults: int
    major_faults: int
    kernel_mode: bool | None
    counters: dict[str, str]
    counters_before: dict[str, str]

    def split_s(self) -> tuple[float, float] | None:
        """User and system seconds: the exact total, split as the ticks fell. None when no tick fell."""
        if not self.ticks_both_ns:
            return None
        share = min(1.0, self.ticks_user_ns / self.ticks_both_ns)
        return self.cpu_ns / 1e9 * share, self.cpu_ns / 1e9 * (1.0 - share)

    def counted(self, line: str) -> int:
        """How far the counter in this line of /proc/<pid>/status went up.

        Raises TrialError(stage="parse") when it is no number or went down.
        """
        try:
            count = int(self.counters[line]) - int(self.counters_before.get(line, "0"))
        except (KeyError, ValueError) as error:
            raise TrialError(f"/proc/<pid>/status has no number in {line}: {error}", stage="parse") from error
        if count < 0:
            raise TrialError(f"{line} of /proc/<pid>/status went down by {-count}", stage="parse")
        return count


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureReport:
    """One measured step. `signal` ended the client when `exit` is None. No server means none was watched."""

    wall_ns: int
    executable: str | None
    exit: int | None
    signal: int | None
    client: Usage
    server: Usage | None


Kind = TypeVar("Kind")

_COUNTS = (
    *("cpu_ns", "ticks_user_ns", "ticks_both_ns", "voluntary_switches"),
    *("involuntary_switches", "minor_faults", "major_faults"),
)


def parse_report(text: str) -> MeasureReport:
    """Read a report of workloads/measure. Raises TrialError(stage="parse") on anything else."""
    try:
        report = json.loads(text)
        client = report["client"]
        return MeasureReport(
            wall_ns=_natural(report["wall_ns"]),
            executable=_optional(client["executable"], str),
            exit=_optional(client["exit"], int),
            signal=_optional(client["signal"], int),
            client=_usage(client),
            server=None if report["server"] is None else _usage(report["server"]),
        )
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise TrialError(f"not a report of measure: {error!r}", stage="parse") from error


def _usage(found: dict[str, Any]) -> Usage:
    return Usage(
        **{name: _natural(found[name]) for name in _COUNTS},
        kernel_mode=_optional(found["kernel_mode"], bool),
        counters=_counters(found["status"]),
        counters_before=_counters(found.get("status_before", {})),
    )


def _natural(value: object) -> int:
    if type(value) is not int or not 0 <= value < 2**64:
        raise ValueError(f"{value!r} is not a count")
    return value


def _optional(value: object, kind: type[Kind]) -> Kind | None:
    if value is not None and type(value) is not kind:
        raise ValueError(f"{value!r} is not {kind.__name__}")
    return value


def _counters(found: object) -> dict[str, str]:
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise ValueError("status is not an object of strings")
    return {str(key): value for key, value in found.items()}
