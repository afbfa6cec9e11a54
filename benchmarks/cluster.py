# SPDX-License-Identifier: MIT
"""How a cluster scales, by simulation: blocks on workers, with durations of recorded blocks drawn again.

    .venv/bin/python benchmarks/cluster.py [--blocks N] [--workers N] [--dying N] [--campaign DIR]

Blocks are handed out by cluster.dispatch, as in a campaign; time is simulated. A worker that dies does so
at a random moment and is not replaced.
"""

from __future__ import annotations

import argparse
import heapq
import math
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from kmlbench.cluster.dispatch import Dispatcher
from kmlbench.model import Completed
from kmlbench.plan.schedule import COSTS
from kmlbench.results import reader

RECORDED = Path(__file__).resolve().parents[1] / "tests" / "data" / "campaign"


@dataclass(slots=True, kw_only=True)
class Simulation:
    """A campaign of blocks with these durations, on workers that die at these moments; all in seconds.

    `worked_s` is what all workers measured, also of blocks that were lost; `cpu_s` is what handing out took.
    """

    durations: Sequence[float]
    deaths: Mapping[str, float]
    dispatcher: Dispatcher
    now: float = 0.0
    worked_s: float = 0.0
    cpu_s: float = 0.0
    lost: int = 0
    ran: dict[int, str] = field(default_factory=dict)
    _events: list[tuple[float, str]] = field(default_factory=list)
    _idle: list[str] = field(default_factory=list)

    def run(self, workers: Sequence[str]) -> None:
        """Run to the end."""
        self._events = [(0.0, name) for name in workers]
        while self._events and not self.dispatcher.is_done:
            self.now, name = heapq.heappop(self._events)
            started = time.process_time()
            self._end(name)
            block = None if self._is_dead(name) else self.dispatcher.assign(name)
            self.cpu_s += time.process_time() - started
            if block is not None:
                self._begin(name, block)
            elif not self._is_dead(name):
                self._idle.append(name)

    def _end(self, name: str) -> None:
        block = self.dispatcher.running.get(name)
        if block is None:
            return
        if self._is_dead(name):
            self.dispatcher.lose(name)
            self.lost += 1
            while self._idle:
                heapq.heappush(self._events, (self.now, self._idle.pop()))
        else:
            self.dispatcher.finish(name)
            self.ran[block] = name

    def _begin(self, name: str, block: int) -> None:
        end = min(self.now + self.durations[block], self.deaths.get(name, math.inf))
        self.worked_s += end - self.now
        heapq.heappush(self._events, (end, name))

    def _is_dead(self, name: str) -> bool:
        return self.now >= self.deaths.get(name, math.inf)


def main() -> None:
    parser = argparse.ArgumentParser(description="how a cluster scales, by simulation")
    parser.add_argument("--blocks", type=int, default=1_000)
    parser.add_argument("--workers", type=int, default=50)
    parser.add_argument("--dying", type=int, default=5, help="workers that die in the second simulation")
    parser.add_argument("--campaign", type=Path, default=RECORDED)
    arguments = parser.parse_args()
    recorded = durations(arguments.campaign)
    print(f"recorded blocks: {', '.join(f'{seconds:.0f} s' for seconds in recorded)}")
    rng = Random(1)
    drawn = [rng.choice(recorded) for _ in range(arguments.blocks)]
    for dying in (0, arguments.dying):
        print(simulate(drawn, arguments.workers, dying, rng))


def durations(campaign: Path) -> list[float]:
    """What each block of a campaign took: its trials, and its boots and servers as planned."""
    blocks: dict[int, list[Completed]] = defaultdict(list)
    for outcome in reader.read_campaign(campaign).completed:
        blocks[outcome.trial.block].append(outcome)
    return [
        sum(outcome.elapsed_s for outcome in outcomes)
        + len({outcome.trial.boot for outcome in outcomes}) * (COSTS.boot_s + COSTS.start_s)
        for outcomes in blocks.values()
    ]


def simulate(drawn: Sequence[float], workers: int, dying: int, rng: Random) -> str:
    """A sentence about these blocks on so many workers, of which some die before the others have ended."""
    names = [f"worker {number:02d}" for number in range(workers)]
    deaths = {name: rng.uniform(0, sum(drawn) / workers) for name in rng.sample(names, dying)}
    simulation = Simulation(durations=drawn, deaths=deaths, dispatcher=Dispatcher(range(len(drawn))))
    simulation.run(names)
    there_s = sum(min(deaths.get(name, math.inf), simulation.now) for name in names)
    paired = sum(simulation.ran[block] == simulation.ran[block ^ 1] for block in simulation.ran) / len(drawn)
    return (
        f"{len(drawn)} blocks on {workers} workers, {dying} of which die: {simulation.now / 3600:.2f} h; "
        f"one worker would take {sum(drawn) / 3600:.1f} h, {sum(drawn) / simulation.now:.1f} times as long; "
        f"workers measured for {simulation.worked_s / there_s:.1%} of the time that they were there; "
        f"{simulation.lost} blocks lost; {paired:.1%} of the blocks ran where their reverse did; handing out "
        f"took {simulation.cpu_s * 1e6 / len(drawn):.0f} µs of CPU for each block"
    )


if __name__ == "__main__":
    main()
