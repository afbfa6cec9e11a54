# SPDX-License-Identifier: MIT
"""Progress to look at: a bar with the stage and the time left on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as RichProgress

from kmlbench.cli.parser import printable
from kmlbench.progress import Progress

PLAIN_STEP = 0.1


@contextmanager
def shown(stream: TextIO | None = None) -> Iterator[Progress]:
    """Progress on standard error, so that standard output holds results alone."""
    chosen = sys.stderr if stream is None else stream
    if not chosen.isatty():
        yield Plain(chosen)
        return
    bar = RichProgress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        # An estimate from the last quarter of an hour: boots and trials take turns.
        TimeRemainingColumn(elapsed_when_finished=True),
        console=Console(file=chosen),
        speed_estimate_period=900.0,
        transient=True,
        # What goes to a file stays out of the bar's hands.
        redirect_stdout=sys.stdout.isatty(),
    )
    with bar:
        yield Bar(bar)


class Plain:
    """One line for each stage and note, with the time since the start; of many units every tenth part."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._started = time.monotonic()
        self._stage_started = self._started
        self._name = ""
        self._total: int | None = None
        self._done = 0
        self._told = 0

    def stage(self, name: str, *, total: int | None = None) -> None:
        self._name, self._total, self._done, self._told = name, total, 0, 0
        self._stage_started = time.monotonic()
        self._line(f"{name}, {total} to do" if total else name)

    def advance(self, count: int = 1) -> None:
        self._done += count
        if self._total and self._done - self._told >= self._total * PLAIN_STEP:
            self._told = self._done
            self._line(f"{self._name}: {self._done} of {self._total}{self._left()}")

    def note(self, text: str) -> None:
        self._line(text)

    def _left(self) -> str:
        spent = time.monotonic() - self._stage_started
        remaining = max(0, (self._total or 0) - self._done)
        return f", about {minutes(spent / self._done * remaining)} left" if remaining else ""

    def _line(self, text: str) -> None:
        print(
            f"[{minutes(time.monotonic() - self._started)}] {printable(text)}", file=self._stream, flush=True
        )


class Bar:
    """One bar: the stage that runs, with what is left of it where that can be known."""

    def __init__(self, bar: RichProgress) -> None:
        self._bar = bar
        self._task = bar.add_task("", total=None, start=True)

    def stage(self, name: str, *, total: int | None = None) -> None:
        self._bar.remove_task(self._task)
        self._task = self._bar.add_task(printable(name), total=total)

    def advance(self, count: int = 1) -> None:
        self._bar.advance(self._task, count)

    def note(self, text: str) -> None:
        self._bar.console.print(printable(text), markup=False, highlight=False)


def minutes(seconds: float) -> str:
    """A duration as minutes and seconds."""
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
