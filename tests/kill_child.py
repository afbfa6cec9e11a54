# SPDX-License-Identifier: MIT
"""Kills one campaign again and again, for tests/test_kills.py: DIRECTORY PAIRS KILLS SEED.

Each controller is a process of its own, forked when everything is imported, and ends by SIGKILL after a
random time; the next resumes the campaign. After the last kill one comes to the end. Prints how many
controllers there were.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path

import pytest
from theatre import Playing, hosts_file, stage

from kmlbench.cli import run_benchmark

FIRST_S = 0.16
STEP = 1.3
# How many trials a controller may finish before it is given less time.
MANY = 3
BLOCKS = 60


def main() -> None:
    directory, pairs, kills, seed = Path(sys.argv[1]), *map(int, sys.argv[2:])
    stage(pytest.MonkeyPatch(), Playing(guests=True))
    hosts = hosts_file(directory, blocks=BLOCKS, pairs=pairs)
    results = directory / "results"
    rng = random.Random(seed)
    killed = controllers = ended = 0
    longest_s = FIRST_S
    while killed < kills:
        controllers += 1
        killed += _killed(_controller(hosts, results), rng.uniform(0.0, longest_s))
        # The machine may be busy: the time follows what controllers get done in it.
        before, ended = ended, _lines(results)
        assert ended < 4 * BLOCKS, f"the campaign came to its end after {killed} kills"
        longest_s *= STEP if ended == before else 1 / STEP if ended > before + MANY else 1.0
    code = _wait(_controller(hosts, results))
    print(killed, controllers + 1, code)


def _controller(hosts: Path, results: Path) -> int:
    if pid := os.fork():
        return pid
    known = sorted(results.glob("2*/campaign.json"))
    how = ["--resume", str(known[-1].parent)] if known else ["--hosts", str(hosts)]
    code = 70
    try:
        code = run_benchmark(["--results", str(results), *how])
    finally:
        os._exit(code)


def _killed(pid: int, after_s: float) -> bool:
    """Whether it was still alive by then."""
    time.sleep(after_s)
    os.kill(pid, signal.SIGKILL)
    code = _wait(pid)
    assert code in {0, -signal.SIGKILL}, f"a controller ended with {code}"
    return code != 0


def _lines(results: Path) -> int:
    """How many trials have ended."""
    return sum(path.read_bytes().count(b'"completed"') for path in results.glob("2*/outcomes.jsonl"))


def _wait(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


if __name__ == "__main__":
    main()
