# SPDX-License-Identifier: MIT
"""`kmlbench worker`: this machine, or the hosts that it owns, as a worker of a Dask cluster.

One job at a time, in a process of its own (cluster.block), so that it is interrupted as a campaign is: when
its task is cancelled, when the controller or the scheduler is gone, and when the worker ends.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import socket
import tempfile
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import Event
from typing import cast

from dask.typing import Key
from distributed import Queue, Worker, WorkerPlugin, get_client, get_worker

from kmlbench import provenance
from kmlbench.cluster import block
from kmlbench.cluster.messages import Delivery, Ended, Job
from kmlbench.cluster.scheduler import CONNECT_S, RESOURCE, quiet
from kmlbench.errors import HostError
from kmlbench.hosts.spec import HostSpec
from kmlbench.model import Kernel
from kmlbench.process import INTERRUPTION_GRACE_S, child
from kmlbench.progress import Progress

POLL_S = 0.25


@dataclass(slots=True, kw_only=True, eq=False)
class Bench(WorkerPlugin):
    """What a worker works with: its own hosts, if it has any, and a directory for its blocks."""

    hosts: Mapping[Kernel, HostSpec] | None
    root: Path
    progress: Progress
    version: str = field(default_factory=provenance.git_commit)
    name: str = RESOURCE
    _unwanted: set[Key] = field(default_factory=set)
    _closing: Event = field(default_factory=Event)

    def transition(self, key: Key, start: str, finish: str, **_: object) -> None:
        """Dask: a task changes its state, or is to; one that runs and is released was cancelled."""
        if start == "executing" and finish == "released":
            self._unwanted.add(key)

    def teardown(self, worker: Worker) -> None:
        """Dask: the worker closes."""
        del worker
        self._closing.set()

    def perform(self, job: Job, queue: Queue, key: str) -> None:
        """Do a job; what it delivers goes into `queue`, each with the key of its task."""
        hosts = job.hosts if self.hosts is None else self.hosts
        own = replace(job, hosts={kernel: hosts[kernel] for kernel in job.hosts})
        with tempfile.TemporaryDirectory(prefix="job-", dir=self.root) as directory:
            with child(block.work, own, Path(directory)) as (connection, process):
                self._forward(connection, process, queue, key)
            if process.exitcode:
                words = f"the process of the job ended with {process.exitcode}"
                queue.put((key, pickle.dumps(Delivery(content=Ended(error=words, exit_code=1)))))
        self._unwanted.discard(key)

    def _forward(self, connection: Connection, process: BaseProcess, queue: Queue, key: str) -> None:
        """Pass on what a job delivers, to its end, or for a while after it was interrupted."""
        deadline = float("inf")
        while time.monotonic() < deadline:
            if connection.poll(POLL_S):
                try:
                    queue.put((key, connection.recv_bytes()))
                except EOFError:
                    process.join(INTERRUPTION_GRACE_S)
                    return
            if deadline == float("inf") and (key in self._unwanted or self._closing.is_set()):
                process.terminate()
                deadline = time.monotonic() + INTERRUPTION_GRACE_S


def perform(job: Job, queue: str, key: str) -> None:
    """The task of a job, which the controller submits by name."""
    bench = cast(Bench, get_worker().plugins[RESOURCE])
    with closing(Queue(queue, client=get_client())) as deliveries:
        bench.perform(job, deliveries, key)


def version(dask_worker: Worker) -> str:
    """The version of this worker's program, which the controller asks for before it sends anything else.

    Dask passes the worker to an argument of that name.
    """
    return cast(Bench, dask_worker.plugins[RESOURCE]).version


def serve(address: str, bench: Bench) -> None:
    """Work for the scheduler at `address` until it is gone, which is a HostError, or until a signal.

    Raises KeyboardInterrupt after a signal, HostError if there is no scheduler.
    """
    quiet()
    if asyncio.run(_serve(address, bench)):
        raise KeyboardInterrupt
    raise HostError(
        f"the scheduler at {address} has ended, or the connection to it", remedy="start the worker again"
    )


async def _serve(address: str, bench: Bench) -> bool:
    """Whether a signal ended it."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            loop.add_signal_handler(number, ended.set)
    worker = Worker(
        address,
        nthreads=1,
        name=f"{socket.gethostname()}-{os.getpid()}",
        resources={RESOURCE: 1},
        memory_limit=0,
        local_directory=str(bench.root),
        death_timeout=CONNECT_S,
        plugins=(bench,),
    )
    try:
        async with worker:
            bench.progress.note(f"{worker.name} works for {address}")
            finished = asyncio.ensure_future(worker.finished())
            signalled = asyncio.ensure_future(ended.wait())
            await asyncio.wait((finished, signalled), return_when=asyncio.FIRST_COMPLETED)
            signalled.cancel()
            if ended.is_set():
                bench.progress.note("shutting down")
                await worker.close(timeout=INTERRUPTION_GRACE_S, reason="a signal")
    except (OSError, TimeoutError) as error:
        raise HostError(
            f"no scheduler answers at {address}: {error}", remedy=f"start one: dask scheduler, then {address}"
        ) from error
    return ended.is_set()
