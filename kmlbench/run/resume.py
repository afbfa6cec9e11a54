# SPDX-License-Identifier: MIT
"""`run-benchmark --resume`: resume an interrupted campaign by its original plan."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from kmlbench import provenance
from kmlbench.build.bases import DEFAULT
from kmlbench.config.campaign import Config
from kmlbench.config.yamlfile import suggestion
from kmlbench.errors import InputError
from kmlbench.model import PlannedCampaign, Platform, Trial
from kmlbench.progress import Planned, Progress
from kmlbench.results import reader, resume, writer
from kmlbench.results.reader import CAMPAIGN, StoredCampaign
from kmlbench.run import session
from kmlbench.run.campaign import CampaignRun
from kmlbench.workloads.attempt import TRY
from kmlbench.workloads.definition import load
from kmlbench.workloads.levels import Transport
from kmlbench.workloads.registry import ADAPTERS

# Options that a resumption takes from the campaign.
FIXED = (
    *("workloads", "blocks", "seed", "scale", "loops", "rate", "server", "clock", "control", "stop_at"),
    *("kernel", "no_instrument", "pairs", "threads", "transports"),
)

# The option of campaigns on a cluster, which may have another address when they are resumed.
CLUSTER = "cluster"

# Options that hosts.yaml may set now, and that the campaign did not have.
OPTIONAL = ("loops", "rate")


def find_campaign(text: str, results: Path) -> Path:
    """The directory of a campaign by its path, its directory's name below `results`, its id, or its name.

    Raises InputError if there is none, or more than one.
    """
    for path in (Path(text), results / text):
        if (path / CAMPAIGN).is_file():
            return path.resolve()
    known = reader.campaigns_below(results)
    matches = [path for path, campaign in known.items() if text in {campaign.id, campaign.name}]
    if len(matches) == 1:
        return matches[0].resolve()
    ids = [campaign.id for campaign in known.values()]
    raise InputError(
        f"--resume: {results} has {len(matches)} campaigns called {text!r}{suggestion(text, ids)}",
        remedy="give the path of the campaign's directory",
    )


def restore(arguments: argparse.Namespace, campaign: PlannedCampaign) -> None:
    """Set `arguments` to the options of the campaign. Raises InputError for others."""
    if TRY in campaign.options:
        raise InputError(
            "--resume: a campaign of `kmlbench try` brings programs along that are not in its record",
            remedy=f"try it again: kmlbench try {campaign.options[TRY]}",
        )
    given = [name for name in (*FIXED, "workload") if getattr(arguments, name) is not None]
    if given:
        raise InputError(
            *(f"--{name.replace('_', '-')}: a resumed campaign keeps its original options" for name in given),
            remedy="leave these options out, or start a new campaign without --resume",
        )
    for name in FIXED:
        setattr(arguments, name, campaign.options.get(name))
    own = (load(name, text) for name, text in campaign.definitions.items())
    arguments.workload = [definition for definition in own if definition.name not in ADAPTERS]
    # A campaign of before there were levels, or a second Linux, has one; hosts.yaml may have others by now.
    arguments.kernel = arguments.kernel or (DEFAULT if arguments.clock else None)
    arguments.threads = arguments.threads or "1"
    arguments.transports = arguments.transports or Transport.SOCKET
    arguments.hosts = arguments.hosts or Path(campaign.options.get("hosts", "hosts.yaml"))
    if arguments.cluster is not None and CLUSTER not in campaign.options:
        raise InputError(
            "--cluster: the campaign ran on hosts of its own, and is resumed there",
            remedy="leave the option out, or start a new campaign without --resume",
        )
    arguments.cluster = arguments.cluster or campaign.options.get(CLUSTER)


def settled(settings: Config, campaign: PlannedCampaign) -> Config:
    """`settings` as the campaign had them. Raises InputError for the wrong number of hosts."""
    without = {name: None for name in OPTIONAL if name not in campaign.options}
    # mypy: the names of fields that may be None.
    spec = replace(settings.campaign, **without)  # type: ignore[arg-type]
    spec = replace(spec, pairs=int(campaign.options.get("pairs", "1")))
    pairs = 1 + max((trial.pair for trial in campaign.plan), default=0)
    if pairs != len(spec.host_pairs):
        raise InputError(
            f"{settings.path}: the campaign was planned for {pairs} pairs of hosts, but the file names "
            f"{len(spec.host_pairs)}",
            remedy="name the original hosts, or another file with --hosts",
        )
    defined = tuple(load(name, text) for name, text in campaign.definitions.items())
    spec = replace(spec, instrument="no_instrument" not in campaign.options, workload_files=defined)
    return replace(settings, campaign=spec)


def remaining_trials(stored: StoredCampaign) -> tuple[Trial, ...]:
    """The trials that a resumption would run; none if the stopping rule needs no more."""
    if session.stopping_check(stored.campaign)(stored.completed) is not None:
        return ()
    completed = {outcome.trial for outcome in stored.completed}
    return tuple(trial for trial in stored.campaign.plan if trial not in completed)


def resume_campaign(
    path: Path, settings: Config, planned: Planned, *, results: Path, progress: Progress
) -> int:
    """Resume the campaign in `path`; `planned` is what is left. The number of trials that failed."""
    record = reader.read_campaign(path).campaign
    require_version(path, record)
    with session.claimed_machines(
        settings, planned, results=results, holder=str(path), progress=progress
    ) as ready:
        require_platform(record, ready.platform)
        with writer.reopen(path) as (directory, stored):
            for note in (
                *stored.notes,
                resume.loss_sentence(resume.settle_losses(directory, stored), stored.failed),
            ):
                progress.note(note)
            failed = session.measure(
                CampaignRun(
                    experiment=session.experiment(settings.campaign, ready, record),
                    machines=ready.machines,
                    directory=directory,
                    progress=progress,
                    ended_after=session.stopping_check(record),
                    before=stored,
                ),
                record,
            )
    return failed


def require_version(path: Path, record: PlannedCampaign) -> None:
    """Raises InputError if another version of the program started this campaign."""
    began, here = record.git_commit, provenance.git_commit()
    if began != here:
        raise InputError(
            f"{path}: version {began} of kmlbench started this campaign, and this is {here}: one campaign is "
            "measured by one program",
            remedy=f"{_return_steps(began, here)}, or start a new campaign",
        )


def _return_steps(began: str, here: str) -> str:
    """How to get from this version to the one that started the campaign."""
    commits = provenance.commit_of(began), provenance.commit_of(here)
    if None in commits:
        return "resume it with the copy of kmlbench that started it"
    steps = []
    if provenance.has_changes(here) and provenance.in_work_tree():
        steps.append("undo or stash your changes (`git status` names them)")
    if provenance.has_changes(began) or len(set(commits)) > 1 or not steps:
        steps.append(provenance.checkout(began))
    return ", then ".join(steps)


def require_platform(record: PlannedCampaign, platform: Platform) -> None:
    """Raises InputError if the campaign ran on another platform."""
    if record.platform != str(platform):
        raise InputError(
            f"the campaign ran on {record.platform!r}, but its hosts are now {str(platform)!r}",
            remedy="resume it where it was started, or start a new campaign",
        )
