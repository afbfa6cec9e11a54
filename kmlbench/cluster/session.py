# SPDX-License-Identifier: MIT
"""What new and resumed campaigns on a cluster have in common, and what a resumption repeats."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kmlbench import provenance
from kmlbench.cluster.campaign import ClusterCampaign
from kmlbench.cluster.connection import connected
from kmlbench.cluster.fleet import Fleet
from kmlbench.cluster.messages import Job
from kmlbench.cluster.scheduler import is_exposed
from kmlbench.config.campaign import Config
from kmlbench.errors import InputError
from kmlbench.model import PlannedCampaign
from kmlbench.progress import Planned, Progress
from kmlbench.results import lost_blocks, reader, resume, writer
from kmlbench.results.reader import StoredCampaign
from kmlbench.results.writer import CampaignDirectory
from kmlbench.run import preflight, session, setup

EXPOSED = "whoever reaches the scheduler can run programs as this user, here and on the workers"

RESUMED = "the campaign was resumed: a block is measured by one worker"


@contextmanager
def fleet(
    settings: Config, planned: Planned, *, address: str, results: Path, progress: Progress
) -> Iterator[Fleet]:
    """The workers behind the scheduler at `address`, of which one at least is fit.

    Raises HostError if there is none.
    """
    if len(settings.campaign.host_pairs) > 1:
        raise InputError(
            f"{settings.path}: with --cluster each worker has a pair of hosts, and this file names "
            f"{len(settings.campaign.host_pairs)}",
            remedy="name one pair here; a worker with hosts of its own has them in its own file",
        )
    preflight.check_machine((), results)
    progress.stage(f"connecting to {address}")
    if is_exposed(address):
        progress.note(f"the connection to {address} has no TLS: {EXPOSED}")
    (hosts,) = setup.pairs(settings, setup.booted(planned.trials))
    job = Job(version=provenance.git_commit(), spec=settings.campaign, hosts=hosts, seed=planned.seed)
    with connected(address) as cluster:
        workers = Fleet(cluster=cluster, job=job, note=progress.note)
        workers.wait()
        yield workers


def measure(
    record: PlannedCampaign,
    directory: CampaignDirectory,
    *,
    workers: Fleet,
    progress: Progress,
    before: StoredCampaign | None = None,
) -> int:
    """Run a campaign, or what is left of the one that was `before`; the number of trials that failed."""
    campaign = ClusterCampaign(
        record=record,
        fleet=workers,
        directory=directory,
        progress=progress,
        ended_after=session.stopping_check(record),
        before=before,
    )
    return session.measure(campaign, record)


def resume_campaign(path: Path, workers: Fleet, progress: Progress) -> int:
    """Resume the campaign in `path`; blocks that are not complete are repeated as a whole.

    The number of trials that failed.
    """
    with writer.reopen(path) as (directory, stored):
        settled = resume.settle_losses(directory, stored)
        for note in (*stored.notes, resume.loss_sentence(settled, stored.failed)):
            progress.note(note)
        for note in _repeat_blocks(directory, stored):
            progress.note(note)
        before = reader.read_campaign(path)
        return measure(before.campaign, directory, workers=workers, progress=progress, before=before)


def _repeat_blocks(directory: CampaignDirectory, stored: StoredCampaign) -> Iterator[str]:
    for block, kept in sorted(lost_blocks.incomplete_blocks(stored).items()):
        trials = [outcome.trial for outcome in kept]
        lost = lost_blocks.lost_block(stored.lost_blocks, trials, block, worker="", cause=RESUMED)
        directory.lose(lost)
        lost_blocks.set_aside(directory, stored.campaign.plan, lost)
        yield f"block {block + 1} is repeated, with {len(trials)} trials that had ended"
