# SPDX-License-Identifier: MIT
"""Progress for people: a live status on a terminal, plain lines elsewhere."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from kmlbench.cli.interrupts import Interruption
from kmlbench.cli.progress.plain import Plain
from kmlbench.cli.progress.terminal import Bar, Screen
from kmlbench.progress import Progress

# Terminals that cannot move their cursor.
SIMPLE = ("dumb", "unknown")


@contextmanager
def shown(stream: TextIO | None = None, interruption: Interruption | None = None) -> Iterator[Progress]:
    """Progress on standard error, so that standard output has only results."""
    chosen = sys.stderr if stream is None else stream
    if not chosen.isatty() or os.environ.get("TERM") in SIMPLE:
        yield Plain(chosen)
        return
    seen = interruption or Interruption()
    with Screen(chosen, seen) as screen:
        seen.drawn = True
        try:
            yield Bar(screen)
        finally:
            seen.drawn = False
