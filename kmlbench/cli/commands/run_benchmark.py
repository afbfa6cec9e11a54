# SPDX-License-Identifier: MIT
"""`run-benchmark`: one campaign, from hosts.yaml to the path of the report."""

from __future__ import annotations

import argparse
import secrets
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from kmlbench import provenance
from kmlbench.cli import design, dry_run
from kmlbench.cli.design import Design
from kmlbench.cli.parser import printable
from kmlbench.cli.progress import jsonlines
from kmlbench.cli.progress import text as told
from kmlbench.config import campaign
from kmlbench.config.campaign import CampaignSpec, Config, with_clock
from kmlbench.config.yamlfile import Faults, Value, option, options, suggestion
from kmlbench.errors import InputError, TrialError
from kmlbench.model import Campaign as CampaignRecord
from kmlbench.model import Clock, Server, Trial
from kmlbench.plan import schedule
from kmlbench.plan.schedule import COSTS
from kmlbench.progress import Planned, Progress, Reported
from kmlbench.report import write
from kmlbench.results import reader, writer
from kmlbench.results.reader import StoredCampaign
from kmlbench.run import preflight, resume, session, setup
from kmlbench.run.campaign import Campaign, Experiment
from kmlbench.run.setup import Ready
from kmlbench.workloads.registry import ADAPTERS

NUMBERS = ("blocks", "seed", "scale", "loops", "rate", "server")

HOSTS = Path("hosts.yaml")

HELP = "see `run-benchmark --help`"

TITLES = {Server.MYSQL: "MySQL", Server.MARIADB: "MariaDB"}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options. Their values stay texts: `config` judges them together with hosts.yaml."""
    add = parser.add_argument
    add("--hosts", type=Path, metavar="FILE", help=f"the hosts and the defaults ({HOSTS})")
    add("--results", type=Path, default=Path("results"), metavar="DIR", help="where campaigns are kept")
    add("--workloads", metavar="A,B", help=f"what to run, of {', '.join(ADAPTERS)}")
    add("--blocks", metavar="N", help="how often each kernel is booted; even numbers are balanced")
    add("--seed", metavar="N", help="the order of the trials and the workloads' random numbers")
    add("--scale", metavar="F", help="multiplies the work of every workload")
    add("--loops", metavar="N", help="passes of the Wisconsin benchmark, in place of its own times the scale")
    add("--rate", metavar="N", help="events per second of the OLTP mixes, which otherwise follow one another")
    add("--server", metavar="NAME", help="mysql or mariadb")
    add("--clock", metavar="NAME", help="what a guest's clock counts: instructions or time")
    add("--resume", metavar="ID", help="go on with a campaign that was interrupted (its directory or id)")
    add("--dry-run", action="store_true", help="print the plan and how long it would take, start nothing")
    add(
        jsonlines.OPTION,
        action="store_true",
        help="tell what happens as JSON, one object a line",
    )
    design.configure(parser)
    parser.set_defaults(run=run, collects_faults=True)


def run(arguments: argparse.Namespace, progress: Progress) -> int:
    """Run the campaign that `arguments` and its hosts.yaml describe, or go on with one."""
    if arguments.resume is not None:
        return _resume(arguments, progress)
    arguments.hosts = arguments.hosts or HOSTS
    settings, chosen = _settings(arguments)
    spec = settings.campaign
    seed = secrets.randbelow(2**32) if spec.seed is None else spec.seed
    trials = schedule.distribute(chosen.trials(spec, seed), pairs=len(spec.stock))
    planned = _planned(trials, spec, seed)
    progress.tell(planned)
    if arguments.dry_run:
        control, rule = chosen.control is not None, chosen.rule(trials)
        question = dry_run.question(trials, control=control, rule=rule)
        return _print_plan(arguments, settings, planned, question=question, results=arguments.results)
    progress.note(told.planned(planned))
    with session.machines(
        settings, planned, results=arguments.results, holder=str(arguments.results), progress=progress
    ) as ready:
        experiment = session.experiment(spec, ready, plan=trials, seed=seed)
        record = _record(settings, experiment, ready, design=chosen, hosts=arguments.hosts)
        with writer.create(arguments.results, record) as directory:
            failed = session.measure(
                Campaign(
                    experiment=experiment,
                    machines=ready.machines,
                    directory=directory,
                    progress=progress,
                    ended_after=session.rule(record),
                ),
                record,
            )
    return finish(directory.path, failed, progress)


def _resume(arguments: argparse.Namespace, progress: Progress) -> int:
    path = resume.find(arguments.resume, arguments.results)
    stored = reader.read(path)
    resume.restore(arguments, stored.campaign)
    left = resume.left(stored)
    if not left:
        return _complete(arguments, stored, progress)
    settings, _ = _settings(arguments)
    settings = resume.settled(settings, stored.campaign)
    planned = _planned(left, settings.campaign, stored.campaign.seed)
    progress.tell(planned)
    if arguments.dry_run:
        record = stored.campaign
        question = dry_run.question(record.plan, control=record.control, rule=record.stopping)
        return _print_plan(arguments, settings, planned, question=question, results=path)
    progress.note(told.planned(planned))
    failed = resume.run(path, settings, planned, results=arguments.results, progress=progress)
    return finish(path, failed, progress)


def _complete(arguments: argparse.Namespace, stored: StoredCampaign, progress: Progress) -> int:
    """The end of a campaign that has nothing left to run, for which no host is needed."""
    Faults(found=list(arguments.faults)).check()
    progress.tell(Planned(trials=(), seed=stored.campaign.seed, estimate_s=0))
    said = f"the campaign in {stored.directory} is complete: nothing is left to run"
    if arguments.dry_run:
        return _print(arguments, [said])
    progress.note(said)
    return finish(stored.directory, 0, progress)


def _print_plan(
    arguments: argparse.Namespace,
    settings: Config,
    planned: Planned,
    *,
    question: Iterable[str],
    results: Path,
) -> int:
    beside = (*dry_run.machines(settings, planned), *question, dry_run.place(results))
    return _print(arguments, [*(trial.id for trial in planned.trials), *beside, told.planned(planned)])


def _print(arguments: argparse.Namespace, lines: Iterable[str]) -> int:
    """What a dry run says to people."""
    if not arguments.json:
        print(printable("\n".join(lines)))
    return 0


def _settings(arguments: argparse.Namespace) -> tuple[Config, Design]:
    """hosts.yaml with the options in place of its defaults. Raises InputError with the faults of all."""
    faults = Faults(found=list(arguments.faults))
    clock = _clock(arguments.clock, faults)
    chosen = design.parse(arguments, faults)
    try:
        settings = campaign.load(arguments.hosts, campaign=_given(arguments))
        preflight.logins(setup.hosts(settings, chosen.kernels))
    except InputError as error:
        raise _together(faults.found, error) from error
    faults.check(remedy=HELP)
    design.check(chosen, settings.campaign)
    return (settings if clock is None else with_clock(settings, clock)), chosen


def _together(found: Sequence[str], error: InputError) -> InputError:
    """The faults of the options and of hosts.yaml as one, with a remedy for each kind."""
    of_options = found or any(fault.startswith("--") for fault in error.faults)
    remedies = (error.remedy, HELP if of_options else "")
    return InputError(*found, *error.faults, remedy="; ".join(filter(None, remedies)))


def _clock(text: str | None, faults: Faults) -> Clock | None:
    known = [str(clock) for clock in Clock]
    if text is None or text in known:
        return None if text is None else Clock(text)
    faults.add("--clock", f"unknown: {text!r}{suggestion(text, known)}")
    return None


def _given(arguments: argparse.Namespace) -> Mapping[str, Value]:
    """The options that stand for keys of hosts.yaml's campaign."""
    texts = {name: getattr(arguments, name) for name in NUMBERS}
    given = {name: option(f"--{name}", text) for name, text in texts.items() if text is not None}
    if arguments.workloads is not None:
        given["workloads"] = options("--workloads", arguments.workloads.split(","))
    return given


def _planned(trials: tuple[Trial, ...], spec: CampaignSpec, seed: int) -> Planned:
    served = {name: ADAPTERS[name].needs_server for name in spec.workloads}
    seconds = schedule.estimate(trials, served, scale=spec.scale, costs=COSTS) / len(spec.stock)
    return Planned(trials=trials, seed=seed, estimate_s=seconds)


def _record(
    settings: Config, experiment: Experiment, ready: Ready, *, design: Design, hosts: Path
) -> CampaignRecord:
    spec = settings.campaign
    given = {
        "hosts": str(hosts),
        "workloads": ",".join(spec.workloads),
        "blocks": str(spec.blocks),
        "seed": str(experiment.seed),
        "scale": _exact(spec.scale),
        **({} if spec.loops is None else {"loops": str(spec.loops)}),
        **({} if spec.rate is None else {"rate": _exact(spec.rate)}),
        "server": str(spec.server),
        **({} if ready.clock is None else {"clock": str(ready.clock)}),
        **design.options,
    }
    return CampaignRecord(
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
    """A number as a resumption can read it again, to the last bit."""
    return repr(number).removesuffix(".0")


def finish(directory: Path, failed: int, progress: Progress) -> int:
    """Write the report and tell its path; the exit code."""
    progress.stage("report")
    written = write.write(directory)
    if failed:
        progress.note(
            f"{failed} trials failed; the report names each and why, and "
            f"`run-benchmark --resume {directory}` repeats them in fresh boots"
        )
    progress.tell(Reported(report=written, failed=failed))
    return TrialError.exit_code if failed else 0
