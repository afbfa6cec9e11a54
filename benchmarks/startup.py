# SPDX-License-Identifier: MIT
"""The CPU time for which somebody waits before a command does anything: imports and arguments.

    .venv/bin/python benchmarks/startup.py [--runs N]

User and system time of the whole process, its children with it; the median, for the machine may be shared.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
GOAL_S = 0.3
PROGRAM = (
    "import sys; from kmlbench.cli.main import main, run_benchmark; "
    "sys.exit((main if sys.argv[1] == 'kmlbench' else run_benchmark)(sys.argv[2:]))"
)
# The goal is that of the first.
COMMANDS = (
    "kmlbench --version",
    "kmlbench --help",
    "kmlbench kernel build --help",
    "kmlbench host check --help",
    "kmlbench host schema",
    "kmlbench plan --help",
    "kmlbench report --help",
    "run-benchmark --version",
    "run-benchmark --dry-run --seed 1",
)


def main() -> None:
    parser = argparse.ArgumentParser(description="how long commands take to start")
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    print(f"python alone: {median_s(('-c', 'pass'), runs):.3f} s of CPU time")
    for command in COMMANDS:
        seconds = median_s(("-c", PROGRAM, *command.split()), runs)
        goal = f" (goal {GOAL_S} s)" if command == COMMANDS[0] else ""
        print(f"{command}: {seconds:.3f} s of CPU time{goal}")


def median_s(words: tuple[str, ...], runs: int) -> float:
    # The first run may have to write what Python keeps of a module.
    return statistics.median([cpu_s(words) for _ in range(runs + 1)][1:])


def cpu_s(words: tuple[str, ...]) -> float:
    before = os.times()
    subprocess.run((sys.executable, *words), cwd=PROJECT, stdout=subprocess.DEVNULL, check=True)
    after = os.times()
    return after.children_user + after.children_system - before.children_user - before.children_system


if __name__ == "__main__":
    main()
