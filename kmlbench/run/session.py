# SPDX-License-Identifier: MIT
"""What new and resumed campaigns have in common: claiming the machines, running the plan, ending."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Protocol

from kmlbench.build.cache import default_cache
from kmlbench.config.campaign import CampaignSpec, Config
from kmlbench.errors import HostError, MachineError, ProofError
from kmlbench.hosts import detached, orphans
from kmlbench.hosts.base import Ready
from kmlbench.model import Clock, Outcome, PlannedCampaign
from kmlbench.plan import stopping
from kmlbench.progress import Begun, Planned, Progress
from kmlbench.results.reader import StoredCampaign
from kmlbench.results.writer import CampaignDirectory
from kmlbench.run import locks, preflight, setup
from kmlbench.run.campaign import Experiment
from kmlbench.workloads.attempt import TRY
from kmlbench.workloads.registry import defined

CLAIMS = "campaigns"


@contextmanager
def claimed_machines(
    settings: Config, planned: Planned, *, results: Path, holder: str, progress: Progress
) -> Iterator[Ready]:
    """The machines of the plan, locked and ready; leftovers of dead campaigns are killed.

    Raises MachineError if this machine lacks something or another campaign is running, HostError if a host
    does not answer.
    """
    pairs = setup.pairs(settings, setup.booted(planned.trials))
    hosts = [host for pair in pairs for host in pair.values()]
    preflight.check_machine(hosts, results, at_once=len(settings.campaign.host_pairs))
    cache = default_cache()
    root = detached.default_directory(cache.root, progress=progress) / CLAIMS
    with locks.held(locks.claims_of(hosts), root=root, holder=holder):
        for guest in orphans.end_guests(results):
            progress.note(f"killed an orphaned guest (process {guest})")
        yield setup.prepare_machines(
            pairs, settings.campaign, seed=planned.seed, cache=cache, progress=progress
        )


def experiment(spec: CampaignSpec, ready: Ready, record: PlannedCampaign) -> Experiment:
    """The experiment of a record, on machines that are ready."""
    return Experiment(
        plan=record.plan,
        server=spec.server,
        scale=spec.scale,
        seed=record.seed,
        releases=ready.releases,
        loops=spec.loops,
        rate_per_s=spec.rate,
        # Guests on one machine disturb each other's times, not each other's instructions.
        parallel=spec.pairs == 1 or ready.clock is Clock.INSTRUCTIONS,
        own=defined(record.definitions),
    )


class Run(Protocol):
    """A campaign that can run, on hosts of its own or on a cluster."""

    directory: CampaignDirectory
    progress: Progress
    before: StoredCampaign | None

    def run(self) -> int:
        """Run the plan; the number of failed trials."""


def measure(campaign: Run, record: PlannedCampaign) -> int:
    """Run the plan; the number of failed trials. Errors that stop it say how to resume."""
    path = campaign.directory.path
    hint = _hint(path, record)
    before = () if campaign.before is None else campaign.before.completed
    campaign.progress.tell(Begun(record=record, directory=path, before=before))
    try:
        return campaign.run()
    except (ProofError, MachineError, HostError) as error:
        raise type(error)(f"{error}\n  {hint}") from error
    except KeyboardInterrupt:
        raise KeyboardInterrupt(hint) from None


def stopping_check(record: PlannedCampaign) -> Callable[[Sequence[Outcome]], int | None]:
    """The rule that may end a campaign before its plan does."""
    return partial(stopping.ended_after, record)


def _hint(directory: Path, record: PlannedCampaign) -> str:
    """Where the measurements are, and what can be done with them."""
    resumes = "" if TRY in record.options else f"`run-benchmark --resume {directory}` resumes it, "
    return (
        f"what was measured is in {directory}; {resumes}`kmlbench report {directory}` shows it, as incomplete"
    )
