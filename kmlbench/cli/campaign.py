# SPDX-License-Identifier: MIT
"""Running or resuming a campaign, then its report."""

from __future__ import annotations

import argparse
import secrets
from datetime import UTC, datetime
from pathlib import Path

from kmlbench import provenance
from kmlbench.cli import dry_run, settings
from kmlbench.cli.design import Design
from kmlbench.cli.progress import text
from kmlbench.config.campaign import Config
from kmlbench.config.yamlfile import Faults
from kmlbench.errors import TrialError
from kmlbench.hosts.base import Ready
from kmlbench.model import PlannedCampaign, Server
from kmlbench.progress import Planned, Progress, Reported
from kmlbench.report import write
from kmlbench.results import reader, writer
from kmlbench.results.reader import StoredCampaign
from kmlbench.run import resume as resumption
from kmlbench.run import session
from kmlbench.run.campaign import CampaignRun, Experiment

TITLES = {Server.MYSQL: "MySQL", Server.MARIADB: "MariaDB"}


def begin(
    arguments: argparse.Namespace, config: Config, *, design: Design, planned: Planned, progress: Progress
) -> int:
    """Run a new campaign; the exit code."""
    spec = config.campaign
    with session.claimed_machines(
        config, planned, results=arguments.results, holder=str(arguments.results), progress=progress
    ) as ready:
        experiment = session.experiment(spec, ready, plan=planned.trials, seed=planned.seed)
        record = _record(config, experiment, ready, design=design, hosts=arguments.hosts)
        with writer.create(arguments.results, record) as directory:
            failed = session.measure(
                CampaignRun(
                    experiment=experiment,
                    machines=ready.machines,
                    directory=directory,
                    progress=progress,
                    ended_after=session.stopping_check(record),
                ),
                record,
            )
    return _finish(directory.path, failed, progress)


def resume(arguments: argparse.Namespace, progress: Progress) -> int:
    """Resume the campaign that `arguments` name; the exit code."""
    path = resumption.find_campaign(arguments.resume, arguments.results)
    stored = reader.read_campaign(path)
    resumption.restore(arguments, stored.campaign)
    left = resumption.remaining_trials(stored)
    if not left:
        return _complete(arguments, stored, progress)
    config, _ = settings.read_settings(arguments)
    config = resumption.settled(config, stored.campaign)
    planned = settings.planned_campaign(left, config.campaign, stored.campaign.seed)
    progress.tell(planned)
    if arguments.dry_run:
        record = stored.campaign
        question = dry_run.question(record.plan, control=record.control, rule=record.stopping)
        return dry_run.print_plan(arguments, config, planned, question=question, results=path)
    progress.note(text.planned_line(planned))
    failed = resumption.resume_campaign(path, config, planned, results=arguments.results, progress=progress)
    return _finish(path, failed, progress)


def _complete(arguments: argparse.Namespace, stored: StoredCampaign, progress: Progress) -> int:
    """The end of a campaign that has nothing left to run, for which no host is needed."""
    Faults(messages=list(arguments.faults)).check()
    progress.tell(Planned(trials=(), seed=stored.campaign.seed, estimate_s=0))
    message = f"the campaign in {stored.directory} is complete: nothing is left to run"
    if arguments.dry_run:
        return dry_run.print_lines(arguments, [message])
    progress.note(message)
    return _finish(stored.directory, 0, progress)


def _record(
    config: Config, experiment: Experiment, ready: Ready, *, design: Design, hosts: Path
) -> PlannedCampaign:
    spec = config.campaign
    given = {
        "hosts": str(hosts),
        "workloads": ",".join(spec.workloads),
        "blocks": str(spec.blocks),
        "seed": str(experiment.seed),
        "scale": _exact(spec.scale),
        **({} if spec.loops is None else {"loops": str(spec.loops)}),
        **({} if spec.rate is None else {"rate": _exact(spec.rate)}),
        **({} if spec.threads == (1,) else {"threads": ",".join(map(str, spec.threads))}),
        "server": str(spec.server),
        **({} if ready.clock is None else {"clock": str(ready.clock)}),
        **({} if spec.instrument else {"no_instrument": ""}),
        **({} if spec.pairs == 1 else {"pairs": str(spec.pairs)}),
        **design.options,
    }
    return PlannedCampaign(
        id=secrets.token_hex(4),
        started_utc=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        title=f"Kernel Mode Linux and {TITLES[spec.server]}",
        platform=str(ready.platform),
        control=design.control is not None,
        seed=experiment.seed,
        options=given,
        plan=experiment.plan,
        stopping=design.rule(experiment.plan),
        git_commit=provenance.git_commit(),
        tools=provenance.tools(guests=ready.clock is not None),
    )


def _exact(number: float) -> str:
    """A number that a resumption reads back exactly."""
    return repr(number).removesuffix(".0")


def _finish(directory: Path, failed: int, progress: Progress) -> int:
    """Write the report and announce its path; the exit code."""
    progress.stage("report")
    written = write.write_report(directory, progress=progress)
    if failed:
        progress.note(
            f"{failed} trials failed; the report names each and why, and "
            f"`run-benchmark --resume {directory}` repeats them in fresh boots"
        )
    progress.tell(Reported(report=written, failed=failed))
    return TrialError.exit_code if failed else 0
