# SPDX-License-Identifier: MIT
"""`kmlbench try` at work: a campaign of one program, and its answer on the terminal."""

from __future__ import annotations

import argparse
import secrets
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from kmlbench import paths, provenance
from kmlbench.cli import settings
from kmlbench.cli.design import Design
from kmlbench.cli.parser import printable
from kmlbench.cli.progress import text
from kmlbench.config import campaign
from kmlbench.config.campaign import Config
from kmlbench.errors import InputError, TrialError
from kmlbench.executables.bundle import GUEST, Bundle, bundled
from kmlbench.hosts.base import Ready
from kmlbench.model import Failed, Kernel, PlannedCampaign
from kmlbench.plan import schedule
from kmlbench.progress import Planned, Progress, Reported
from kmlbench.provision.outfit import fitted_out
from kmlbench.report import write
from kmlbench.report.program import program_lines
from kmlbench.results import reader, writer
from kmlbench.run import attempt as attempts
from kmlbench.run import session
from kmlbench.run.campaign import CampaignRun
from kmlbench.workloads.attempt import TRY, attempt
from kmlbench.workloads.base import Readiness
from kmlbench.workloads.definition import Definition, ServerProgram, dump
from kmlbench.workloads.program import ProgramWorkload

PAIRS = 2

SOCKET, PORT = "{socket}", "{port}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What is tried: the programs with their files, and the workload that they are."""

    bundles: tuple[Bundle, ...]
    definition: Definition


def try_program(arguments: argparse.Namespace, directory: Path, progress: Progress) -> int:
    """Measure the program of the arguments, with temporary files in `directory`; the exit code."""
    tried = _attempt(arguments)
    outfit = attempts.outfit(tried.bundles, directory)
    config = _config(arguments, tried.definition)
    planned = _planned(config)
    progress.tell(planned)
    progress.note(text.planned_line(planned))
    results: Path = arguments.results
    with session.claimed_machines(
        config, planned, results=results, holder=str(results), progress=progress
    ) as ready:
        record = _record(arguments, config, planned, ready)
        with writer.create(results, record) as stored:
            attempts.keep_functions(tried.bundles, stored.path / reader.RAW)
            session.measure(
                CampaignRun(
                    experiment=session.experiment(config.campaign, ready, record),
                    machines=fitted_out(ready.machines, outfit),
                    directory=stored,
                    progress=progress,
                    require=_require_runnable,
                ),
                record,
            )
    return _answer(stored.path, tried.definition, progress)


def _attempt(arguments: argparse.Namespace) -> Attempt:
    client = bundled(arguments.argv, "client")
    words = _server_words(arguments)
    server = bundled(words, "server") if words else None
    if server is not None and bool(server.files) is not bool(client.files):
        raise InputError(
            "one of the two programs is of this machine and the other of the guest: functions of libraries "
            "that both have could not be told apart",
            remedy=f"write {GUEST} before both of them, or before neither",
        )
    return Attempt(
        bundles=(client, *([server] if server else [])),
        definition=attempt(
            client.title,
            client.argv,
            server=None if server is None else _server(arguments, server),
            rounds=arguments.rounds,
            timeout_s=arguments.timeout,
        ),
    )


def _server_words(arguments: argparse.Namespace) -> Sequence[str]:
    """The words of --server; none without one."""
    if arguments.server is None:
        if arguments.ready is not None or arguments.port is not None:
            raise InputError("--ready and --port say when a server is ready, and there is none: add --server")
        return ()
    try:
        words = shlex.split(arguments.server)
    except ValueError as error:
        raise InputError(f"--server: {arguments.server!r} cannot be split into words: {error}") from error
    if not words:
        raise InputError("--server: there is no program in it")
    return words


def _server(arguments: argparse.Namespace, bundle: Bundle) -> ServerProgram:
    """How the server is started, and how it is known to be ready."""
    if arguments.ready is not None:
        return ServerProgram(argv=bundle.argv, ready=Readiness.OUTPUT, pattern=arguments.ready)
    if arguments.port is not None:
        return ServerProgram(argv=bundle.argv, ready=Readiness.PORT, pattern=str(arguments.port))
    for placeholder, ready in ((SOCKET, Readiness.SOCKET), (PORT, Readiness.PORT)):
        if placeholder in arguments.server:
            return ServerProgram(argv=bundle.argv, ready=ready)
    raise InputError(
        "--server: it is not known when it is ready",
        remedy="say what it prints then (--ready PATTERN) or where it listens (--port N), or give it "
        f"{PORT} or {SOCKET} to listen on",
    )


def _config(arguments: argparse.Namespace, definition: Definition) -> Config:
    """The hosts, with a campaign of this workload alone."""
    config = campaign.load_config(arguments.hosts or paths.HOSTS_EXAMPLE)
    config = config if arguments.kernel is None else campaign.with_linux(config, arguments.kernel)
    spec = replace(
        config.campaign,
        workloads=(),
        workload_files=(definition,),
        blocks=arguments.blocks,
        scale=1.0,
        loops=None,
        rate=None,
        threads=(1,),
        pairs=config.campaign.pairs if arguments.hosts else PAIRS,
    )
    return replace(config, campaign=spec)


def _planned(config: Config) -> Planned:
    spec = config.campaign
    seed = secrets.randbelow(2**32) if spec.seed is None else spec.seed
    design = Design(control=None, half_width=None, options={})
    trials = schedule.distribute(design.trials(spec, seed), pairs=len(spec.host_pairs))
    return settings.planned_campaign(trials, spec, seed)


def _record(arguments: argparse.Namespace, config: Config, planned: Planned, ready: Ready) -> PlannedCampaign:
    (definition,) = config.campaign.workload_files
    return PlannedCampaign(
        id=secrets.token_hex(4),
        started_utc=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        title=settings.heading(Path(arguments.argv[0]).name, ready.linux),
        platform=str(ready.platform),
        control=False,
        seed=planned.seed,
        options={TRY: shlex.join(_words(arguments))},
        plan=planned.trials,
        definitions={definition.name: dump(definition)},
        git_commit=provenance.git_commit(),
        tools=provenance.tools(guests=ready.clock is not None),
    )


def _words(arguments: argparse.Namespace) -> Iterator[str]:
    """The arguments that try the same again."""
    for name in ("hosts", "kernel", "server", "ready", "port", "blocks", "rounds", "timeout"):
        if (value := getattr(arguments, name)) is not None:
            yield from (f"--{name}", str(value))
    yield from ("--", *arguments.argv)


def _require_runnable(failed: Failed) -> None:
    """Raises TrialError for a failure without kernel mode: it would repeat itself in every trial.

    What fails in kernel mode, or with a kernel that has it, is an answer.
    """
    variant = failed.trial.variant
    if variant.kernel_mode or (failed.stage == "boot" and variant.kernel is Kernel.KML):
        return
    remedies = {
        "start server": "see that the server stays in the foreground, and what --ready or --port awaits",
        "timeout": "give it less to do, or more time with --timeout S",
    }
    raise TrialError(
        f"from {variant}, where it runs in user mode: {failed.cause}",
        stage=failed.stage,
        remedy=remedies.get(failed.stage, ""),
    )


def _answer(path: Path, definition: Definition, progress: Progress) -> int:
    """Write the report, and print the answer; the exit code."""
    progress.stage("report")
    written = write.write_report(path, progress=progress)
    stored = reader.read_campaign(path)
    for line in program_lines(stored, ProgramWorkload(definition)):
        print(printable(line))
    progress.tell(Reported(report=written, failed=len(stored.failed)))
    return 0
