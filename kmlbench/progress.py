# SPDX-License-Identifier: MIT
"""How long steps tell what they are doing. Only `kmlbench.cli` turns this into something to look at."""

from __future__ import annotations

from typing import Protocol

from kmlbench.events import Event


class Progress(Protocol):
    """Something that long steps report to."""

    def stage(self, name: str, *, total: int | None = None) -> None:
        """A new stage begins; `total` is its number of units where that can be known."""

    def advance(self, count: int = 1) -> None:
        """`count` more units of the present stage are done."""

    def note(self, text: str) -> None:
        """One line that the user should see and keep."""

    def tell(self, event: Event) -> None:
        """Something happened in a campaign. From any thread, one at a time."""


class Silent:
    """Reports nothing; for tests and for callers that do not care."""

    def stage(self, name: str, *, total: int | None = None) -> None:
        del name, total

    def advance(self, count: int = 1) -> None:
        del count

    def note(self, text: str) -> None:
        del text

    def tell(self, event: Event) -> None:
        del event
