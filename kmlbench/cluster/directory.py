# SPDX-License-Identifier: MIT
"""The directory of a worker, and what dead workers left in theirs: guests, and files."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from kmlbench.hosts import orphans
from kmlbench.progress import Progress
from kmlbench.results.writer import storing
from kmlbench.storage import locked

LOCK = "lock"


@contextmanager
def own_directory(above: Path, *, progress: Progress) -> Iterator[Path]:
    """A directory below `above` for the blocks of this process, removed in the end.

    Guests and files of workers that died are ended and removed first. Raises MachineError.
    """
    own = above / str(os.getpid())
    with ExitStack() as stack:
        with storing("what a worker measures", above):
            above.mkdir(parents=True, exist_ok=True)
            with locked(above / LOCK):
                for left in above.glob("*/"):
                    _clear(left, progress)
                own.mkdir()
                stack.callback(shutil.rmtree, own, ignore_errors=True)
                stack.enter_context(locked(own / LOCK))
        yield own


def _clear(left: Path, progress: Progress) -> None:
    """Remove the directory of a worker that is dead: nobody has its lock."""
    with suppress(BlockingIOError), locked(left / LOCK, wait=False):
        for job in left.glob("job-*/"):
            for guest in orphans.end_guests(job):
                progress.note(f"killed an orphaned guest (process {guest})")
        shutil.rmtree(left)
