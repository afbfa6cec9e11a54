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
TOLD = b"\ninterrupted: ending what runs; once more ends at once\n"


@contextmanager
def interruptible() -> Iterator[None]:
    """Have the first of SIGNALS raise KeyboardInterrupt, and the second end the process.

    Guests die with the process (hosts.machine.tied). A signal that is ignored, as by nohup, stays so.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in SIGNALS}
    handled = [number for number, found in before.items() if found is not signal.SIG_IGN]
    handler = _Handler()
    for number in handled:
        signal.signal(number, handler)
    try:
        yield
    finally:
        for number in handled:
            signal.signal(number, before[number])


class _Handler:
    """Counts the signals."""

    def __init__(self) -> None:
        self._seen = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        if self._seen:
            _say(SHOW_CURSOR if sys.stderr.isatty() else b"")
            os._exit(INTERRUPTED)
        self._seen = True
        _say(TOLD)
        raise KeyboardInterrupt


def _say(text: bytes) -> None:
    """Past Python's buffers, which may be busy at this very moment."""
    with suppress(OSError):
        os.write(2, text)
