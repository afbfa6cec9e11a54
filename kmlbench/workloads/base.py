# SPDX-License-Identifier: MIT
"""What a workload is, and the metrics that it declares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Protocol, runtime_checkable

from kmlbench.model import CommandResult, Process, Sample
from kmlbench.workloads.steps import Setting, Step


class Better(StrEnum):
    """Which direction of a metric is an improvement."""

    LESS = "less"
    MORE = "more"
    NEITHER = "neither"


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A part of each workload in the report; those of a `rank` stand as registered."""

    identifier: str
    title: str
    note: str = ""
    rank: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """What the samples of one name are.

    `unit` is that of the stored samples, `processes` are those that it is measured for. In the tables of
    `section` (None: in no table) it is the row `heading`, below the title `rows` or, without one, below
    the titles of its processes. `figure` names its figure; without a name there is none.
    `compared` metrics are compared between campaigns, and their change is drawn. `rounded` ones are rounded
    before they are stored, to ticks or buckets: that they are equal says nothing.
    """

    name: str
    unit: str
    section: Section | None = None
    heading: str = ""
    rows: str = ""
    processes: tuple[Process, ...] = (Process.CLIENT,)
    better: Better = Better.LESS
    figure: str = ""
    compared: bool = False
    rounded: bool = False


class Adapter(Protocol):
    """A workload: how to run it and how to read what it printed. Pure: no input, no output.

    `dataset` names what kmlbench.servers.dataset loads into the server before the steps, or is None.
    """

    @property
    def name(self) -> str: ...
    @property
    def driver(self) -> str: ...
    @property
    def needs_server(self) -> bool: ...
    @property
    def dataset(self) -> str | None: ...
    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Its own metrics; those of every measured step are kmlbench.workloads.metrics.COMMON."""

    def steps(self, setting: Setting) -> tuple[Step, ...]:
        """The commands of one trial, in order."""

    def samples(self, results: Sequence[CommandResult]) -> tuple[Sample, ...]:
        """The numbers in the steps' output, in the order of `steps`. Raises TrialError(stage="parse")."""


class MarkKind(IntEnum):
    """The marks that begin a window of the instrument, of those in instrument/mark.h."""

    WARM_UP = 1
    MEASURED = 2
    STATEMENT = 3
    PURGE = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What a program did in a window: how many times which thing.

    A window that is `subtracted` is the shorter of two lengths: it is taken off the next one of this name,
    its units too.
    """

    name: str
    units: float
    subtracted: bool = False


# By the kind (a MarkKind) and the number of the mark.
Marks = Mapping[tuple[int, int], Work]


@runtime_checkable
class Marked(Protocol):
    """A workload whose program marks windows. Pure."""

    def marks(self, results: Sequence[CommandResult]) -> Marks:
        """The work in the windows of each mark; a mark may begin several. Empty if the run was too short."""


class Readiness(StrEnum):
    """How a server is known to be ready: it listens, or has printed something."""

    SOCKET = "socket"
    PORT = "port"
    OUTPUT = "output"


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A server to start: `pattern` is an expression of `grep -E` for what it prints, if that is awaited.

    Where a port is awaited, it is the number of another port than the setting's.

    It stays in the foreground, and ends by SIGTERM.
    """

    argv: tuple[str, ...]
    ready: Readiness
    pattern: str
    start_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Provision:
    """What a workload brings along: text files by their names in the setting's directory, a server.

    The commands of `prepare` run before the server starts.
    """

    files: Mapping[str, str]
    prepare: tuple[Step, ...]
    service: Service | None


@runtime_checkable
class Provisioned(Protocol):
    """A workload with a directory of its own on the host, in memory, and perhaps a server. Pure."""

    def provision(self, setting: Setting) -> Provision:
        """What is there before the steps."""
