# SPDX-License-Identifier: MIT
"""What a workload is, and what the metrics are that it declares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from kmlbench.model import CommandResult, Process, Sample, Setting, Step


class Better(StrEnum):
    """Which direction of a metric is an improvement."""

    LESS = "less"
    MORE = "more"
    NEITHER = "neither"


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A section of the report. `identifier` is its anchor; sections stand by `rank`, then as registered."""

    identifier: str
    title: str
    note: str = ""
    rank: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """What samples of one name are.

    `unit` is the stored one, `processes` those that it is measured of. In the tables of `section` (None: in
    none) it is the column `heading`, in the rows below the title `rows` or, without one, below the titles of
    its processes. `figure` names its figure; without a name there is none. `compared` metrics are compared
    between campaigns, and their change is drawn.
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
