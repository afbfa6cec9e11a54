# SPDX-License-Identifier: MIT
"""How long the suite itself takes on this machine: set-up, power-on to login, the controller's share.

    .venv/bin/python benchmarks/suite.py [--boots N] [--campaign DIR]

Times of a shared machine: compare them within one run, and with the goals in the last column, not with
another machine's. Kernels and image must be in the cache (`make benchmark` puts them there).
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

from kmlbench import process
from kmlbench.build import image, kernel
from kmlbench.build.bases import DEFAULT
from kmlbench.build.cache import default_cache
from kmlbench.hosts.qemu import GuestSpec, boot
from kmlbench.model import Acceleration, Clock, Kernel, Server
from kmlbench.progress import Silent

PROJECT = Path(__file__).resolve().parents[1]
LOGIN_GOAL_S = {Clock.TIME: 10.0, Clock.INSTRUCTIONS: 20.0}
SETUP_GOAL_S = 5.0
CONTROLLER_GOAL = 0.05


def main() -> None:
    parser = argparse.ArgumentParser(description="how long the suite itself takes on this machine")
    parser.add_argument("--boots", type=int, default=3, help="boots for each kernel and clock")
    parser.add_argument("--campaign", type=Path, default=PROJECT / "results" / "latest")
    arguments = parser.parse_args()
    print(f"set-up with everything in place: {setup_s():.2f} s (goal {SETUP_GOAL_S:.0f} s)")
    for clock in Clock:
        for which in Kernel:
            times = [login_s(which, clock) for _ in range(arguments.boots)]
            print(
                f"power-on to login, {which} kernel, QEMU TCG, clock {clock}: median "
                f"{statistics.median(times):.1f} s of {', '.join(f'{one:.1f}' for one in times)} "
                f"(goal {LOGIN_GOAL_S[clock]:.0f} s)"
            )
    if (timing := arguments.campaign / "timing.json").exists():
        parts = json.loads(timing.read_text())
        share = parts["controller_s"] / parts["total_s"]
        print(
            f"controller: {share:.1%} of a campaign of {parts['total_s']:.0f} s (goal {CONTROLLER_GOAL:.0%})"
        )


def setup_s() -> float:
    """Seconds of `make setup` with nothing to do."""
    process.check(("make", "setup"), timeout_s=3600.0, cwd=PROJECT)
    return process.check(("make", "setup"), timeout_s=3600.0, cwd=PROJECT).elapsed_s


def login_s(which: Kernel, clock: Clock) -> float:
    """Seconds from QEMU's start to the first command that a new guest has run."""
    cache = default_cache()
    spec = GuestSpec(
        name=which,
        kernel=kernel.ensure(which, DEFAULT, cache=cache, progress=Silent()),
        image=image.ensure(Server.MYSQL, cache=cache, progress=Silent()),
        memory_mb=2048,
        cpus=1,
        cpu_model="max",
        clock=clock,
        acceleration=Acceleration.TCG,
        seed=1,
    )
    with tempfile.TemporaryDirectory() as directory:
        started = time.monotonic()
        with boot(spec, directory=Path(directory)) as host:
            host.run(("true",), timeout_s=60.0)
            return time.monotonic() - started


if __name__ == "__main__":
    main()
