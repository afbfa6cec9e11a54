# SPDX-License-Identifier: MIT
"""What a worker does for a job, in a process of its own: a campaign of one block, reported as it runs.

The block has a directory below the worker's, which `run.campaign` writes as any other; what is new in it goes
to the controller with each event.
"""

from __future__ import annotations

import pickle
import traceback
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from pathlib import Path

from kmlbench import provenance
from kmlbench.build.cache import default_cache
from kmlbench.cluster.messages import BlockJob, Content, Delivery, Ended, Examination, Job
from kmlbench.errors import InputError, KmlbenchError
from kmlbench.hosts.base import Ready
from kmlbench.hosts.qemu import WINDOWS
from kmlbench.progress import Event, StageBegun, TrialBegun, TrialEnded
from kmlbench.results import writer
from kmlbench.results.reader import CAMPAIGN, OUTCOMES
from kmlbench.run import preflight, session, setup
from kmlbench.run.campaign import TIMING, CampaignRun

# Of this directory alone, or still growing and removed at the end of a boot.
KEPT = frozenset({CAMPAIGN, OUTCOMES, TIMING, WINDOWS})


def work(connection: Connection, job: Job, root: Path) -> None:
    """Do a job, with the block's directory below `root`. The last delivery is how it ended."""
    sender = Sender(connection)
    try:
        _work(job, root, sender)
    except KmlbenchError as error:
        sender.send(Ended(error=str(error), exit_code=error.exit_code))
    except KeyboardInterrupt:
        sender.send(Ended(error="the worker was interrupted", exit_code=KmlbenchError.exit_code))
    except Exception:
        sender.send(Ended(error=traceback.format_exc().strip(), exit_code=KmlbenchError.exit_code))
    else:
        sender.send(Ended())


@dataclass(slots=True)
class Sender:
    """The progress of a block, sent to the controller with the files that have changed in `directory`."""

    connection: Connection
    directory: Path | None = None
    _heard: bool = True
    _sent: dict[str, tuple[int, int]] = field(default_factory=dict)

    def stage(self, name: str, *, total: int | None = None) -> None:
        if total is None:
            self.send(name)

    def advance(self, count: int = 1) -> None:
        del count

    def note(self, text: str) -> None:
        self.send(text)

    def tell(self, event: Event) -> None:
        if isinstance(event, StageBegun | TrialBegun | TrialEnded):
            self.send(event)

    def send(self, content: Content) -> None:
        """Send this, and the files that are new or have changed.

        Raises KeyboardInterrupt, once, if nobody reads it any more.
        """
        if not self._heard:
            return
        try:
            self.connection.send_bytes(pickle.dumps(Delivery(content=content, files=dict(self._changed()))))
        except BrokenPipeError:
            self._heard = False
            raise KeyboardInterrupt from None

    def _changed(self) -> Iterator[tuple[str, bytes]]:
        if self.directory is None:
            return
        for path in sorted(self.directory.rglob("*")):
            if path.is_symlink() or not path.is_file() or path.name in KEPT:
                continue
            name, status = path.relative_to(self.directory).as_posix(), path.stat()
            state = status.st_size, status.st_mtime_ns
            if self._sent.get(name) != state:
                self._sent[name] = state
                yield name, path.read_bytes()


def _work(job: Job, root: Path, sender: Sender) -> None:
    if job.version != (here := provenance.git_commit()):
        raise InputError(
            f"it runs version {here} of kmlbench, and the controller {job.version}",
            remedy="install the same version on every machine",
        )
    preflight.check_machine(job.hosts.values(), root)
    ready = setup.prepare_machines(
        [job.hosts], job.spec, seed=job.seed, cache=default_cache(), progress=sender
    )
    if isinstance(job, BlockJob):
        _run_block(job, ready, root, sender)
    else:
        sender.send(_examination(ready))


def _examination(ready: Ready) -> Examination:
    return Examination(
        platform=ready.platform,
        clock=ready.clock,
        linux=ready.linux,
        releases=ready.releases,
        facts=ready.facts,
        tools=provenance.tools(guests=ready.clock is not None),
    )


def _run_block(job: BlockJob, ready: Ready, root: Path, sender: Sender) -> None:
    record = job.record
    with writer.create(root, record) as created:
        sender.directory = created.path
        CampaignRun(
            experiment=session.experiment(job.spec, ready, record),
            machines=ready.machines,
            directory=replace(created, resumption=job.resumption),
            progress=sender,
        ).run()
