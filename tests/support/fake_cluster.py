# SPDX-License-Identifier: MIT
"""A cluster without Dask: each job runs in this process, on played hosts, and is delivered piece by piece."""

from __future__ import annotations

import pickle
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import cast

from support.played_machines import Playing, ready

from kmlbench.cluster import block
from kmlbench.cluster.messages import BlockJob, Delivery, Ended, Job
from kmlbench.errors import KmlbenchError
from kmlbench.hosts.base import Ready

VERSION = "c0ffee"


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeWorker:
    """A worker that dies after `life` deliveries about a block; `error` ends its blocks."""

    playing: Playing = field(default_factory=Playing)
    life: int | None = None
    error: KmlbenchError | None = None
    version: str = VERSION
    known: Mapping[str, str] = field(default_factory=dict)

    def prepare(self, job: Job) -> Ready:
        if self.error is not None and isinstance(job, BlockJob):
            raise self.error
        made = ready(self.playing)
        return Ready(
            machines=made.machines,
            platform=made.platform,
            clock=made.clock,
            releases=made.releases,
            facts=dict.fromkeys(job.hosts, self.known),
        )


@dataclass(slots=True)
class Wire:
    """The end of a pipe that keeps what is sent."""

    sent: list[Delivery] = field(default_factory=list)

    def send_bytes(self, content: bytes) -> None:
        self.sent.append(pickle.loads(content))


@dataclass(slots=True, kw_only=True)
class FakeCluster:
    """Workers by name, which is their address, too. `prepared` is told which worker a job runs on.

    `late` are the workers that join after so many deliveries; `arriving` is called with each.
    """

    directory: Path
    known: dict[str, FakeWorker]
    prepared: Callable[[Callable[[Job], Ready], Job], None]
    late: dict[int, dict[str, FakeWorker]] = field(default_factory=dict)
    arriving: Callable[[Delivery], None] = lambda _: None
    delivered: int = 0
    assigned: list[tuple[str, int]] = field(default_factory=list)
    _tasks: dict[str, Iterator[Delivery]] = field(default_factory=dict)
    _owners: dict[str, str] = field(default_factory=dict)
    _turns: deque[str] = field(default_factory=deque)

    def workers(self) -> Mapping[str, str]:
        for count in [count for count in self.late if count <= self.delivered]:
            self.known.update(self.late.pop(count))
        return {name: f"host {name}" for name in self.known}

    def version(self, worker: str) -> str:
        return self.known[worker].version

    def submit(self, worker: str, job: Job) -> str:
        key = f"task {len(self._owners)}"
        self._owners[key] = worker
        if isinstance(job, BlockJob):
            self.assigned.append((worker, job.record.plan[0].block))
        root = self.directory / "work" / key
        root.mkdir(parents=True)
        wire = Wire()
        self.prepared(self.known[worker].prepare, job)
        block.work(cast(Connection, wire), job, root)
        self._tasks[key] = self._lived(worker, wire.sent, mortal=isinstance(job, BlockJob))
        self._turns.append(key)
        return key

    def _lived(self, worker: str, sent: list[Delivery], *, mortal: bool) -> Iterator[Delivery]:
        life = self.known[worker].life if mortal else None
        yield from sent[:life]
        if life is not None:
            self.known.pop(worker, None)

    def receive(self, timeout_s: float) -> tuple[str, Delivery] | None:
        """One delivery of each task in turn: workers work at the same time."""
        del timeout_s
        for _ in range(len(self._turns)):
            key = self._turns.popleft()
            if key in self._tasks and (delivery := next(self._tasks[key], None)) is not None:
                self._turns.append(key)
                self.delivered += 1
                self.arriving(delivery)
                return key, delivery
        return None

    def failure(self, key: str) -> str:
        del key
        return ""

    def drop(self, key: str) -> None:
        rest = list(self._tasks.pop(key, iter(())))
        if any(isinstance(delivery.content, Ended) for delivery in rest):
            self._tasks[key] = iter(
                [Delivery(content=Ended(error="the worker was interrupted", exit_code=1))]
            )
