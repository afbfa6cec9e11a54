# SPDX-License-Identifier: MIT
"""A `kmlbench worker` on played hosts, for tests/cluster/test_workers.py: DIRECTORY PROCESSOR ADDRESS.

In the first block the second trial of a boot takes long, unless DIRECTORY has a file "quick", and writes the
PID of its worker to "measuring" there. PROCESSOR is a fact of the boots.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from support import played_machines as theatre
from support.played_machines import Played, Playing, stage

from kmlbench.cli.main import main
from kmlbench.hosts.base import Booted
from kmlbench.model import Boot, CommandResult
from kmlbench.run import trial
from kmlbench.storage import write_whole

LONG_S = 600.0

DIRECTORY, PROCESSOR = Path(sys.argv[1]), sys.argv[2]


class Slow(Played):
    """Takes its time."""

    def run(self, argv: Sequence[str], *, timeout_s: float, stdin: bytes = b"") -> CommandResult:
        last = not any(each.argv[0] == trial.MEASURE for each in self.script[1:])
        if argv[0] == trial.MEASURE and last and not (DIRECTORY / "quick").exists():
            write_whole(DIRECTORY / "measuring", str(os.getppid()).encode())
            time.sleep(LONG_S)
        return super().run(argv, timeout_s=timeout_s, stdin=stdin)


class SlowAtFirst(Playing):
    """Machines whose first block is slow."""

    @contextmanager
    def __call__(self, boot: Boot, directory: Path) -> Iterator[Booted]:
        theatre.Played = Slow if boot.block == 0 else Played  # type: ignore[misc]  # what Playing boots
        with Playing.__call__(self, boot, directory) as booted:
            yield booted


# Also in the processes that the worker starts for its jobs, which import this file by another name.
stage(pytest.MonkeyPatch(), SlowAtFirst(guests=True, facts={"controller_cpu": PROCESSOR}))

if __name__ == "__main__":
    sys.exit(main(["worker", sys.argv[3]]))
