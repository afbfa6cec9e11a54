# SPDX-License-Identifier: MIT
"""Progress where there is no terminal: lines, each with the time since the start."""

from __future__ import annotations

import time
from typing import TextIO

from kmlbench.analysis.live import Outlook
from kmlbench.cli.parser import printable
from kmlbench.cli.progress import text as status
from kmlbench.progress import Event, Reported

PLAIN_STEP = 0.1


class Plain:
    """One line for each stage and note, and for every tenth of many units. Results go to standard output."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._started = time.monotonic()
        self._stage_started = self._started
        self.outlook = Outlook()
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
            self._line(f"{self._name}: {self._done} of {self._total}{self._left()}{self._standing()}")

    def note(self, text: str) -> None:
        self._line(text)

    def tell(self, event: Event) -> None:
        self.outlook.tell(event)
        if isinstance(event, Reported):
            print(event.report)

    def _left(self) -> str:
        remaining = max(0, (self._total or 0) - self._done)
        if not remaining:
            return ""
        if state := self.outlook.state:
            return f", {status.time_left(state.left_s(time.monotonic()), state)}"
        spent = time.monotonic() - self._stage_started
        return f", about {status.clock(spent / self._done * remaining)} left"

    def _standing(self) -> str:
        state = self.outlook.state
        return f"; {status.standing_line(state.standing, state)}" if state else ""

    def _line(self, text: str) -> None:
        since = status.clock(time.monotonic() - self._started)
        print(f"[{since}] {printable(text)}", file=self._stream, flush=True)
