# SPDX-License-Identifier: MIT
"""Running or resuming a campaign, then its report."""

from __future__ import annotations

import argparse
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from kmlbench import provenance
from kmlbench.build.bases import Base
from kmlbench.cli import dry_run, settings
from kmlbench.cli.design import Design
from kmlbench.cli.progress import text
from kmlbench.cluster.scheduler import require_dask
from kmlbench.config.campaign import CampaignSpec, Config
from kmlbench.config.yamlfile import Faults
from kmlbench.errors import TrialError
from kmlbench.model import Clock, PlannedCampaign, Platform, Server
from kmlbench.progress import Planned, Progress, Reported
from kmlbench.report import write
from kmlbench.results import reader, writer
from kmlbench.results.reader import StoredCampaign
from kmlbench.run import resume as resumption
from kmlbench.run import session
from kmlbench.run.campaign import CampaignRun
from kmlbench.workloads.definition import dump
from kmlbench.workloads.levels import Transport
from kmlbench.workloads.registry import need_server

TITLES = {Server.MYSQL: "MySQL", Server.MARIADB: "MariaDB"}


def begin(
    arguments: argparse.Namespace, config: Config, *, design: Design, planned: Planned, progress: Progress
) -> int:
    """Run a new campaign; the exit code."""
    spec = config.campaign
    described = partial(_record, arguments, config, design=design, planned=planned)
    if arguments.cluster is not None:
        return _begin_on_cluster(arguments, config, planned, described=described, progress=progress)
    with session.claimed_machines(
        config, planned, results=arguments.results, holder=str(arguments.results), progress=progress
    ) as ready:
        tools = provenance.tools(guests=ready.clock is not None)
        record = described(
            Circumstances(platform=ready.platform, clock=ready.clock, linux=ready.linux, tools=tools)
        )
        experiment = session.experiment(spec, ready, record)
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Circumstances:
    """What a campaign is measured with, as its hosts say. `clock` and `linux` are None for SSH hosts."""

    platform: Platform
    clock: Clock | None
    linux: Base | None
    tools: Mapping[str, str]


def _begin_on_cluster(
    arguments: argparse.Namespace,
    config: Config,
    planned: Planned,
    *,
    described: Callable[[Circumstances], PlannedCampaign],
    progress: Progress,
) -> int:
    from kmlbench.cluster import session as cluster

    address, results = arguments.cluster, arguments.results
    with cluster.fleet(config, planned, address=address, results=results, progress=progress) as workers:
        first = workers.wait()
        record = described(
            Circumstances(platform=first.platform, clock=first.clock, linux=first.linux, tools=first.tools)
        )
        with writer.create(results, record) as directory:
            failed = cluster.measure(record, directory, workers=workers, progress=progress)
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
    if arguments.cluster is not None:
        failed = _resume_on_cluster(arguments, path, config, planned=planned, progress=progress)
    else:
        failed = resumption.resume_campaign(
            path, config, planned, results=arguments.results, progress=progress
        )
    return _finish(path, failed, progress)


def _resume_on_cluster(
    arguments: argparse.Namespace, path: Path, config: Config, *, planned: Planned, progress: Progress
) -> int:
    require_dask()
    from kmlbench.cluster import session as cluster

    record = reader.read_campaign(path).campaign
    resumption.require_version(path, record)
    address, results = arguments.cluster, arguments.results
    with cluster.fleet(config, planned, address=address, results=results, progress=progress) as workers:
        resumption.require_platform(record, workers.wait().platform)
        return cluster.resume_campaign(path, workers, progress)


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
    arguments: argparse.Namespace,
    config: Config,
    circumstances: Circumstances,
    *,
    design: Design,
    planned: Planned,
) -> PlannedCampaign:
    given = {
        "hosts": str(arguments.hosts),
        **({} if arguments.cluster is None else {resumption.CLUSTER: arguments.cluster}),
        **_given(config.campaign, planned.seed, circumstances.clock),
        **({} if circumstances.linux is None else {"kernel": str(circumstances.linux)}),
        **design.options,
    }
    return PlannedCampaign(
        id=secrets.token_hex(4),
        started_utc=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        title=_title(config.campaign, circumstances.linux),
        platform=str(circumstances.platform),
        control=design.control is not None,
        seed=planned.seed,
        options=given,
        plan=planned.trials,
        stopping=design.rule(planned.trials, config.campaign.own),
        definitions={name: dump(each) for name, each in config.campaign.programs.items()},
        git_commit=provenance.git_commit(),
        tools=circumstances.tools,
    )


def _title(spec: CampaignSpec, linux: Base | None) -> str:
    """The server, where a workload needs it, and the Linux of guests."""
    needed = any(need_server(spec.workloads, spec.own).values())
    return settings.heading(TITLES[spec.server] if needed else "", linux)


def _given(spec: CampaignSpec, seed: int, clock: Clock | None) -> Mapping[str, str]:
    """The settings as the options that would set them."""
    return {
        "workloads": ",".join(spec.workloads),
        "blocks": str(spec.blocks),
        "seed": str(seed),
        "scale": _exact(spec.scale),
        **({} if spec.loops is None else {"loops": str(spec.loops)}),
        **({} if spec.rate is None else {"rate": _exact(spec.rate)}),
        **({} if spec.threads == (1,) else {"threads": ",".join(map(str, spec.threads))}),
        **({} if spec.transports == (Transport.SOCKET,) else {"transports": ",".join(spec.transports)}),
        "server": str(spec.server),
        **({} if clock is None else {"clock": str(clock)}),
        **({} if spec.instrument else {"no_instrument": ""}),
        **({} if spec.pairs == 1 else {"pairs": str(spec.pairs)}),
    }


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
