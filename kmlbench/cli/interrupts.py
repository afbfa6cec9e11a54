# SPDX-License-Identifier: MIT
"""Ctrl-C, SIGTERM and a terminal that closes: the first ends things in good order, the second at once."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

INTERRUPTED = 130

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

SHOW_CURSOR = b"\x1b[?25h"

TOLD = "interrupted: ending what runs; once more ends at once"


@contextmanager
def interruptible() -> Iterator[Interruption]:
    """Have the first of SIGNALS raise KeyboardInterrupt, and the second end the process.

    Guests die with the process (hosts.machine.tied). A signal that is ignored, as by nohup, stays so.
    """
    if threading.current_thread() is not threading.main_thread():
        yield Interruption()
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    handled = [number for number, found in before.items() if found is not signal.SIG_IGN]
    handler = Interruption()
    for number in handled:
        signal.signal(number, handler)
    try:
        yield handler
    finally:
        for number in handled:
            signal.signal(number, before[number])


class Interruption:
    """Counts the signals. `seen`: the first has come; `drawn`: a screen shows that, and nobody else may."""

    def __init__(self) -> None:
        self.seen = False
        self.drawn = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        if self.seen:
            _say(SHOW_CURSOR if sys.stderr.isatty() else b"")
            os._exit(INTERRUPTED)
        self.seen = True
        if not self.drawn:
            _say(f"\n{TOLD}\n".encode())
        raise KeyboardInterrupt


def _say(text: bytes) -> None:
    """Past Python's buffers, which may be busy at this very moment."""
    with suppress(OSError):
        os.write(2, text)
