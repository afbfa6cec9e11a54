# SPDX-License-Identifier: MIT
"""The controller's end of a Dask cluster."""

from __future__ import annotations

import pickle
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from distributed import Client, Future, Queue

from kmlbench import paths
from kmlbench.cluster.messages import Delivery, Job
from kmlbench.cluster.scheduler import CONNECT_S, RESOURCE, quiet
from kmlbench.cluster.worker import perform, version
from kmlbench.errors import HostError

FAILED = frozenset({"error", "lost", "cancelled"})


@dataclass(slots=True, kw_only=True)
class DaskCluster:
    """The workers behind a scheduler, by address. Each method raises HostError if the scheduler is gone."""

    address: str
    client: Client
    queue: Queue
    _futures: dict[str, Future[None]] = field(default_factory=dict)

    def workers(self) -> Mapping[str, str]:
        """The workers that are there now, and their names."""
        # Client.scheduler_info may return what the client has just asked for by itself: no workers.
        with _reaching(self.address):
            if (scheduler := self.client.scheduler) is None:
                raise OSError("the connection is closed")
            known = self.client.sync(scheduler.identity, n_workers=-1)["workers"]
        return {
            address: str(worker["name"])
            for address, worker in known.items()
            if RESOURCE in worker["resources"]
        }

    def version(self, worker: str) -> str:
        """The version of a worker's program; empty if it does not say."""
        with _reaching(self.address):
            answers = self.client.run(version, workers=[worker], on_error="ignore")
        return str(answers.get(worker, ""))

    def submit(self, worker: str, job: Job) -> str:
        """Have a worker do a job; the key of its task."""
        key = f"{RESOURCE}-{uuid.uuid4().hex}"
        needed = {RESOURCE: 1}
        with _reaching(self.address):
            self._futures[key] = self.client.submit(
                perform, job, self.queue.name, key, key=key, workers=[worker], resources=needed, pure=False
            )
        return key

    def receive(self, timeout_s: float) -> tuple[str, Delivery] | None:
        """The next delivery, with the key of its task; None if none comes in time."""
        with _reaching(self.address):
            try:
                key, content = self.queue.get(timeout=timeout_s)
            except TimeoutError:
                return None
        delivery: Delivery = pickle.loads(content)
        return key, delivery

    def failure(self, key: str) -> str:
        """Why a task ended without its job; empty if it did not."""
        status = self._futures[key].status
        return f"its task ended with the status {status}" if status in FAILED else ""

    def drop(self, key: str) -> None:
        """Interrupt a job, or forget one that has ended."""
        with _reaching(self.address):
            self._futures.pop(key).cancel()


@contextmanager
def connected(address: str) -> Iterator[DaskCluster]:
    """The cluster whose scheduler is at `address`. Raises HostError if nothing answers there."""
    quiet()
    with ExitStack() as stack:
        with _reaching(address):
            client = stack.enter_context(Client(address, timeout=CONNECT_S, set_as_default=False))
            queue = Queue(f"{RESOURCE}-{uuid.uuid4().hex}", client=client)
        stack.callback(queue.close)
        yield DaskCluster(address=address, client=client, queue=queue)


@contextmanager
def _reaching(address: str) -> Iterator[None]:
    try:
        yield
    # A connection that breaks and a deadline are OSErrors, too; an address without sense is a ValueError.
    except (OSError, ValueError) as error:
        raise HostError(
            f"the scheduler at {address} does not answer: {error}",
            remedy=f"start one with `dask scheduler` ({paths.page('many-machines.md')} says how)",
        ) from error
