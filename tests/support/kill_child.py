# SPDX-License-Identifier: MIT
"""Kills one campaign again and again, for tests/run/test_kills.py: DIRECTORY PAIRS KILLS SEED BLOCKS.

Each controller is a process of its own, forked when everything is imported, and ends by SIGKILL a random
time after a random trial of its own; the next resumes the campaign. After the last kill one comes to the
end. Prints how many controllers there were.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.played_machines import Playing, hosts_file, stage

from kmlbench.cli.main import run_benchmark

# After how many trials of its own a controller is killed at most, how long after, or how long before any.
TRIALS = 3
AFTER_S = 0.02
BEGIN_S = 0.2
POLL_S = 0.001


def main() -> None:
    directory, pairs, kills, seed, blocks = Path(sys.argv[1]), *map(int, sys.argv[2:])
    stage(pytest.MonkeyPatch(), Playing(guests=True))
    hosts = hosts_file(directory, blocks=blocks, pairs=pairs)
    results = directory / "results"
    rng = random.Random(seed)
    killed = controllers = 0
    while killed < kills:
        controllers += 1
        trials = rng.randint(0, TRIALS)
        after_s = rng.uniform(0.0, AFTER_S if trials else BEGIN_S)
        killed += _killed(_controller(hosts, results), lambda: _ended(results), trials, after_s)
        assert _ended(results) < 4 * blocks, f"the campaign came to its end after {killed} kills"
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


def _killed(pid: int, ended: Callable[[], int], trials: int, after_s: float) -> bool:
    """Whether it was still alive by then."""
    enough = ended() + trials
    while ended() < enough and not os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT):
        time.sleep(POLL_S)
    time.sleep(after_s)
    os.kill(pid, signal.SIGKILL)
    code = _wait(pid)
    assert code in {0, -signal.SIGKILL}, f"a controller ended with {code}"
    return code != 0


def _ended(results: Path) -> int:
    """How many trials have ended."""
    return sum(path.read_bytes().count(b'"completed"') for path in results.glob("2*/outcomes.jsonl"))


def _wait(pid: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


if __name__ == "__main__":
    main()
