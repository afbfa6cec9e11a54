# SPDX-License-Identifier: MIT
"""Ctrl-C, SIGTERM and SIGHUP: the first shuts down in order, the second exits at once."""

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

TOLD = "interrupted: shutting down; interrupt again to exit at once"


@contextmanager
def interruptible() -> Iterator[Interruption]:
    """Have the first of SIGNALS raise KeyboardInterrupt, and the second end the process.

    Guests die with the process (hosts.qemu_process.tied). A signal that is ignored, as by nohup, stays so.
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
    """Counts the signals. `seen`: the first has arrived; `drawn`: the live display reports it."""

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
    """Bypasses Python's buffers, which may be in use right now."""
    with suppress(OSError):
        os.write(2, text)
