# SPDX-License-Identifier: MIT
"""The workers of a campaign: each is examined when it joins, and works if it is like the first."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from kmlbench.cluster.messages import Delivery, Ended, Examination, Job
from kmlbench.errors import HostError

POLL_S = 1.0

# How long a campaign waits when it has no worker.
WORKERLESS_S = 600.0

# What ends a job whose worker is gone.
GONE = Ended(error="its worker has died, or the connection to it", exit_code=HostError.exit_code)


class Cluster(Protocol):
    """What connection.DaskCluster does."""

    def workers(self) -> Mapping[str, str]: ...
    def version(self, worker: str) -> str: ...
    def submit(self, worker: str, job: Job) -> str: ...
    def receive(self, timeout_s: float) -> tuple[str, Delivery] | None: ...
    def failure(self, key: str) -> str: ...
    def drop(self, key: str) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What a worker does: a block, or its examination."""

    worker: str
    examines: bool


@dataclass(slots=True, kw_only=True)
class Fleet:
    """The workers that are there, by address. `job` is what each is examined with.

    `free` are those that were found fit and have no block, `names` also those that are gone. `reference` is
    what all are like.
    """

    cluster: Cluster
    job: Job
    note: Callable[[str], None]
    clock: Callable[[], float] = time.monotonic
    reference: Examination | None = None
    free: list[str] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)
    _joined: set[str] = field(default_factory=set)
    _tasks: dict[str, Task] = field(default_factory=dict)
    _useful: float | None = None

    def wait(self) -> Examination:
        """What the first worker that is fit is. Raises HostError if none comes."""
        while self.reference is None:
            for _ in self.deliveries():
                pass
        return self.reference

    def start(self, worker: str, job: Job) -> None:
        """Give a free worker a block."""
        self.free.remove(worker)
        self._submit(worker, job, examines=False)

    def dismiss(self, worker: str, cause: str) -> None:
        """Use a worker no more, for a reason that its next block would share."""
        self.note(f"{self.names[worker]} is not used any more: {cause}")
        self._forget(worker)

    def deliveries(self) -> Iterator[tuple[str, Delivery]]:
        """What workers deliver about their blocks, within POLL_S; of a worker that is gone, that it ended.

        Raises HostError after WORKERLESS_S without a worker.
        """
        present = self.cluster.workers()
        for worker in sorted(present.keys() - self._joined):
            self._join(worker, present[worker])
        failed = {key: cause for key in self._tasks if (cause := self.cluster.failure(key))}
        yield from self._received()
        for key, cause in failed.items():
            ended = Ended(error=cause, exit_code=HostError.exit_code)
            yield from self._taken(key, Delivery(content=ended))
        for worker in sorted(self._joined - present.keys()):
            yield from self._leave(worker)
        self._require_workers()

    def recall(self, deadline_s: float) -> Iterator[tuple[str, Delivery]]:
        """Interrupt all jobs; what they deliver about blocks until they have ended, or until the deadline."""
        deadline = self.clock() + deadline_s
        for key in self._tasks:
            self.cluster.drop(key)
        while self._tasks and self.clock() < deadline:
            present = self.cluster.workers()
            self._tasks = {key: task for key, task in self._tasks.items() if task.worker in present}
            for key, delivery in self._arriving():
                task = self._tasks.get(key)
                if isinstance(delivery.content, Ended):
                    self._tasks.pop(key, None)
                if task is not None and not task.examines:
                    yield task.worker, delivery

    def _submit(self, worker: str, job: Job, *, examines: bool) -> None:
        self._tasks[self.cluster.submit(worker, job)] = Task(worker=worker, examines=examines)

    def _arriving(self) -> Iterator[tuple[str, Delivery]]:
        """What arrives within POLL_S, and what has arrived by then."""
        timeout_s = POLL_S
        while (received := self.cluster.receive(timeout_s)) is not None:
            yield received
            timeout_s = 0.0

    def _received(self) -> Iterator[tuple[str, Delivery]]:
        for key, delivery in self._arriving():
            yield from self._taken(key, delivery)

    def _taken(self, key: str, delivery: Delivery) -> Iterator[tuple[str, Delivery]]:
        """A delivery about a block; examinations are dealt with here, and one of no task is too late."""
        task = self._tasks.get(key)
        if task is None:
            return
        match delivery.content:
            case Ended(error=error):
                del self._tasks[key]
                self.cluster.drop(key)
                if not task.examines and not error:
                    self.free.append(task.worker)
        if task.examines:
            self._examine(task.worker, delivery)
        else:
            yield task.worker, delivery

    def _join(self, worker: str, name: str) -> None:
        self._joined.add(worker)
        self.names[worker] = name
        version = self.cluster.version(worker)
        if version == self.job.version:
            self._submit(worker, self.job, examines=True)
        else:
            here = self.job.version
            self.note(f"{name} is not used: it runs version {version or 'unknown'}, and this is {here}")

    def _examine(self, worker: str, delivery: Delivery) -> None:
        name = self.names[worker]
        match delivery.content:
            case str(text):
                self.note(f"{name}: {text}")
            case Examination() as examination:
                self._admit(worker, examination)
            case Ended(error=error) if error:
                self.note(f"{name} is not used: {error}")

    def _admit(self, worker: str, examination: Examination) -> None:
        name = self.names[worker]
        self.reference = self.reference or examination
        if unlike := differences(self.reference, examination):
            self.note(f"{name} is not used: it is not like the first worker: {'; '.join(unlike)}")
        else:
            self.note(f"{name} joins: {examination.platform}")
            self.free.append(worker)

    def _leave(self, worker: str) -> Iterator[tuple[str, Delivery]]:
        busy = any(task.worker == worker and not task.examines for task in self._tasks.values())
        self.note(f"{self.names[worker]} is gone")
        self._forget(worker)
        self._joined.remove(worker)
        if busy:
            yield worker, Delivery(content=GONE)

    def _forget(self, worker: str) -> None:
        """Interrupt what a worker does, and take nothing of it any more."""
        for key in [key for key, task in self._tasks.items() if task.worker == worker]:
            del self._tasks[key]
            self.cluster.drop(key)
        self.free = [free for free in self.free if free != worker]

    def _require_workers(self) -> None:
        now = self.clock()
        if self.free or self._tasks:
            self._useful = None
        elif self._useful is None:
            self._useful = now
            self.note("waiting for a worker: start `kmlbench worker` on a machine")
        elif now - self._useful > WORKERLESS_S:
            raise HostError(
                f"no worker that can be used in {WORKERLESS_S:.0f} s",
                remedy="start `kmlbench worker` on a machine, then this again",
            )


def differences(first: Examination, other: Examination) -> tuple[str, ...]:
    """In what two workers differ that must be equal."""
    ours, theirs = _properties(first), _properties(other)
    return tuple(
        f"{name}: {theirs.get(name)}, not {ours.get(name)}"
        for name in {**ours, **theirs}
        if ours.get(name) != theirs.get(name)
    )


def _properties(examination: Examination) -> Mapping[str, str]:
    return {
        "platform": str(examination.platform),
        "clock": str(examination.clock),
        **{f"release of the {kernel} kernel": name for kernel, name in examination.releases.items()},
        **{
            f"{name} ({kernel})": value
            for kernel, facts in examination.facts.items()
            for name, value in facts.items()
        },
    }
