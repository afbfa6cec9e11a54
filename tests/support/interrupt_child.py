# SPDX-License-Identifier: MIT
"""A campaign to be interrupted, for tests/cli/test_interrupts.py: DIRECTORY PAIRS TRIAL_S CLEANUP_S
[OPTIONS…].

In each boot the first trial ends at once, the second takes TRIAL_S seconds; asking for the kernel's log,
which is the clean-up of a boot, takes CLEANUP_S. "measuring" is said when a long trial has begun.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from support import played_machines as theatre
from support.played_machines import DMESG, Played, Playing, hosts_file, stage

from kmlbench.cli.main import run_benchmark
from kmlbench.model import CommandResult
from kmlbench.run import trial


class Slow(Played):
    """Takes its time."""

    def run(self, argv: Sequence[str], *, timeout_s: float, stdin: bytes = b"") -> CommandResult:
        if argv[0] == trial.MEASURE and not any(each.argv[0] == trial.MEASURE for each in self.script[1:]):
            # In one piece: the pairs of hosts say it at the same time.
            print("measuring\n", end="", flush=True)
            time.sleep(float(sys.argv[3]))
        if DMESG.expects(argv):
            time.sleep(float(sys.argv[4]))
        return super().run(argv, timeout_s=timeout_s, stdin=stdin)


def main() -> None:
    # A shell starts what runs in its background with SIGINT ignored, and these tests with it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    directory, pairs = Path(sys.argv[1]), int(sys.argv[2])
    patch = pytest.MonkeyPatch()
    stage(patch, Playing(guests=True))
    patch.setattr(theatre, "Played", Slow)
    hosts = hosts_file(directory, blocks=2 * pairs, pairs=pairs)
    sys.exit(run_benchmark(["--hosts", str(hosts), "--results", str(directory / "results"), *sys.argv[5:]]))


if __name__ == "__main__":
    main()
