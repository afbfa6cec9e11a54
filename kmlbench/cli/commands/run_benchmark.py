# SPDX-License-Identifier: MIT
"""`run-benchmark`: one campaign, from hosts.yaml to the path of the report."""

from __future__ import annotations

import argparse
import secrets
from pathlib import Path

from kmlbench.build.bases import Base
from kmlbench.cli import design, dry_run, settings
from kmlbench.cli.parser import JSON
from kmlbench.cli.progress import text
from kmlbench.cluster.scheduler import require_dask
from kmlbench.plan import schedule
from kmlbench.progress import Progress
from kmlbench.workloads.registry import ADAPTERS

HOSTS = Path("hosts.yaml")


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options. Their values stay strings: `settings` validates them together with hosts.yaml."""
    parser.add_argument("--hosts", type=Path, metavar="FILE", help=f"the hosts and the defaults ({HOSTS})")
    parser.add_argument(
        "--results", type=Path, default=Path("results"), metavar="DIR", help="where campaigns are kept"
    )
    _add_work(parser)
    _add_hosts(parser)
    parser.add_argument("--resume", metavar="ID", help="resume an interrupted campaign (its directory or id)")
    parser.add_argument(
        "--dry-run", action="store_true", help="print the plan and how long it would take, start nothing"
    )
    parser.add_argument(JSON, action="store_true", help="report progress as JSON, one object per line")
    parser.epilog = "example: run-benchmark --workloads getpid,wisconsin --blocks 4 --scale 0.1"
    design.configure(parser)
    parser.set_defaults(run=run, collects_faults=True)


def _add_work(parser: argparse.ArgumentParser) -> None:
    """What runs, and how much of it."""
    add = parser.add_argument
    add("--workloads", metavar="A,B", help=f"what to run, from {', '.join(ADAPTERS)}")
    add(
        "--workload",
        metavar="WORKLOAD",
        action="append",
        help="one of them, or a workload file: it runs besides --workloads, or alone; may be repeated",
    )
    add("--blocks", metavar="N", help="how often each kernel is booted; even numbers are balanced")
    add("--seed", metavar="N", help="the order of the trials and the workloads' random numbers")
    add("--scale", metavar="F", help="multiplies the work of every workload")
    add("--loops", metavar="N", help="passes of the Wisconsin benchmark (8 times the scale)")
    add("--rate", metavar="N", help="events per second of the OLTP mixes, which otherwise run back to back")
    add("--threads", metavar="N,M", help="threads of sysbench in the OLTP mixes, each number a run (1)")
    add(
        "--transports",
        metavar="A,B",
        help="what connections to the server go through, each a run: socket, tcp, tls (socket)",
    )


def _add_hosts(parser: argparse.ArgumentParser) -> None:
    """On what it runs."""
    add = parser.add_argument
    add("--pairs", metavar="N", help="how many pairs of guests run at the same time, at most")
    add("--server", metavar="NAME", help="mysql or mariadb")
    add("--kernel", metavar="VERSION", help=f"the version of Linux that guests boot: {', '.join(Base)}")
    add("--clock", metavar="NAME", help="what a guest's clock counts: instructions or time")
    add(
        "--no-instrument",
        action="store_const",
        const="",
        help="do not count the instructions of emulated guests",
    )
    add(
        "--cluster",
        metavar="ADDRESS",
        help="run the blocks on the workers of this Dask scheduler, tcp://HOST:PORT or tls://HOST:PORT",
    )


def run(arguments: argparse.Namespace, progress: Progress) -> int:
    """Run the campaign that `arguments` and its hosts.yaml describe, or resume one."""
    if arguments.resume is not None:
        from kmlbench.cli import campaign

        return campaign.resume(arguments, progress)
    arguments.hosts = arguments.hosts or HOSTS
    config, chosen = settings.read_settings(arguments)
    spec = config.campaign
    seed = secrets.randbelow(2**32) if spec.seed is None else spec.seed
    trials = schedule.distribute(chosen.trials(spec, seed), pairs=len(spec.host_pairs))
    planned = settings.planned_campaign(trials, spec, seed)
    progress.tell(planned)
    if arguments.dry_run:
        control, rule = chosen.control is not None, chosen.rule(trials, spec.own)
        question = dry_run.question(trials, control=control, rule=rule)
        return dry_run.print_plan(arguments, config, planned, question=question, results=arguments.results)
    if arguments.cluster is not None:
        require_dask()
    progress.note(text.planned_line(planned))
    # A dry run does not import what measures and draws.
    from kmlbench.cli import campaign

    return campaign.begin(arguments, config, design=chosen, planned=planned, progress=progress)
