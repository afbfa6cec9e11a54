# SPDX-License-Identifier: MIT
"""Controllers that run campaigns in processes of their own, for tests that interrupt or kill them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest

from kmlbench.process import QEMU

# A shell starts what runs in its background with SIGINT ignored, and these tests with it.
PROGRAM = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from kmlbench.cli.main import run_benchmark; sys.exit(run_benchmark())"
)


@contextmanager
def controller(*options: str) -> Iterator[tuple[subprocess.Popen[str], IO[str]]]:
    """A `run-benchmark` with these options, and what it says on its standard error."""
    argv = (sys.executable, "-c", PROGRAM, *options)
    with subprocess.Popen(argv, stderr=subprocess.PIPE, text=True, start_new_session=True) as child:
        assert child.stderr is not None
        try:
            yield child, child.stderr
        finally:
            child.kill()


def read_until(lines: Iterable[str], word: str) -> None:
    read = []
    for line in lines:
        read.append(line)
        if word in line:
            return
    pytest.fail(f"{word!r} was never said, but: {''.join(read)}")


def guests(results: Path) -> list[int]:
    """The QEMU processes whose console is logged below `results`."""
    result = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (place / "cmdline").read_text(errors="replace")
        except OSError:
            continue
        if arguments.startswith(f"{QEMU}\0") and f"logfile={results}" in arguments:
            result.append(int(place.name))
    return result
