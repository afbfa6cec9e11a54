# SPDX-License-Identifier: MIT
"""Progress on a terminal: a bar for a stage, and for a campaign what each pair of hosts does, in place."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from typing import TextIO

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as RichProgress
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from kmlbench.analysis.live import CampaignState, Outlook
from kmlbench.cli.interrupts import TOLD, Interruption
from kmlbench.cli.parser import printable
from kmlbench.cli.progress import text as status
from kmlbench.progress import Begun, Event, Reported

# The controller shares the machine with guests: no more redraws than the eye needs.
REFRESHES_PER_S = 2

NARROW, BAR = 70, 24


class Screen(RichProgress):
    """The live display: the stage's bar, or the campaign's status while it runs."""

    def __init__(self, stream: TextIO, interruption: Interruption) -> None:
        console = Console(file=stream)
        self.interruption = interruption
        self.outlook = Outlook()
        self.running = False
        self.started = time.monotonic()
        bar: list[ProgressColumn] = [] if console.width < NARROW else [BarColumn()]
        super().__init__(
            TextColumn("{task.description}", markup=False),
            *bar,
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            # An estimate from the last quarter of an hour: compilations take turns with links.
            TimeRemainingColumn(elapsed_when_finished=True),
            console=console,
            speed_estimate_period=900.0,
            refresh_per_second=REFRESHES_PER_S,
            transient=True,
            # Output that is redirected to a file must not pass through the bar.
            redirect_stdout=sys.stdout.isatty(),
        )

    def get_renderables(self) -> Iterable[RenderableType]:
        """The status of the running campaign, or else the bar of the stage."""
        yield from self._drawn()
        if self.interruption.seen:
            yield Text(TOLD, style="bold")

    def _drawn(self) -> Iterable[RenderableType]:
        state = self.outlook.state
        if self.running and state is not None:
            return _status(state, time.monotonic(), since=self.started, bar=self.console.width >= NARROW)
        if any(task.total is not None for task in self.tasks):
            return super().get_renderables()
        return [Text(f"{task.description}, {status.clock(task.elapsed or 0.0)}") for task in self.tasks]


class Bar:
    """Progress on a live display, which redraws itself in its own thread."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._task = screen.add_task("", total=None, start=True)

    def stage(self, name: str, *, total: int | None = None) -> None:
        # A campaign announces its start before the stage of its trials.
        self._screen.running = self._screen.running and total is not None
        self._screen.remove_task(self._task)
        self._task = self._screen.add_task(printable(name), total=total)

    def advance(self, count: int = 1) -> None:
        self._screen.advance(self._task, count)

    def note(self, text: str) -> None:
        self._screen.console.print(printable(text), markup=False, highlight=False)

    def tell(self, event: Event) -> None:
        self._screen.outlook.tell(event)
        if isinstance(event, Begun):
            self._screen.running, self._screen.started = True, time.monotonic()
        if isinstance(event, Reported):
            print(event.report)


def _status(state: CampaignState, now: float, *, since: float, bar: bool) -> Iterable[RenderableType]:
    counts = Text(
        f"{status.counts(state)}, {status.clock(now - since)}, {status.time_left(state.left_s(now), state)}"
    )
    if bar:
        line = Table.grid(padding=(0, 1))
        line.add_row(ProgressBar(total=state.planned, completed=state.done, width=BAR), counts)
        yield line
    else:
        yield counts
    for number, pair in sorted(state.pairs.items()):
        yield Text(printable(status.pair(number, pair, state, now)))
    yield Text(printable(status.standing_line(state.standing, state)), style="dim")
