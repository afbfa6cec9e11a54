# SPDX-License-Identifier: MIT
"""What `--dry-run` prints besides the trials: the hosts, what happens to them first, the question."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path

from kmlbench.cli.parser import printable
from kmlbench.cli.progress import text
from kmlbench.config.campaign import Config
from kmlbench.model import Stopping, Trial
from kmlbench.plan import stopping
from kmlbench.plan.comparisons import primary
from kmlbench.plan.question import main_workload
from kmlbench.progress import Planned
from kmlbench.results.reader import CAMPAIGN
from kmlbench.run import setup

CLUSTER = "blocks run on the workers of {address}, which build what they lack and share the time"

GUESS = "the time is a guess from guests on two cores without KVM"


def describe_machines(settings: Config, planned: Planned) -> Iterator[str]:
    """The hosts and what happens to them, the order. No host is contacted: only local files are read."""
    pairs = setup.pairs(settings, setup.booted(planned.trials))
    for number, pair in enumerate(pairs):
        hosts = ", ".join(f"the {name} kernel on {host.description}" for name, host in pair.items())
        yield f"pair {number + 1}: {hosts}"
    # The hosts of a campaign are of one kind.
    first = next(iter(pairs[0].values()))
    yield from first.outlook(settings.campaign.server, pairs[0], setup.extras(settings.campaign))
    yield GUESS if first.size is None else f"{GUESS}, and does not count what is built first"
    if settings.campaign.seed is None:
        yield f"this order was drawn at random, and a run draws another: --seed {planned.seed} gives this one"


def question(plan: tuple[Trial, ...], *, control: bool, rule: Stopping | None) -> Iterator[str]:
    """The question that the plan answers, and when it may end early."""
    asked = primary(plan, control=control)
    yield f"the question: {asked}, by {stopping.METRIC} of {main_workload(plan)}"
    if rule is not None:
        yield (
            f"it may end after {rule.first} blocks, and every {rule.every} more, once the interval is within "
            f"±{rule.half_width * 100:g} %"
        )


def results_line(results: Path) -> str:
    """Where the results would be: `results` is the directory of a campaign, or that of all campaigns."""
    if (results / CAMPAIGN).exists():
        return f"results: {results}"
    return f"results: a new directory below {results}"


def print_plan(
    arguments: argparse.Namespace,
    config: Config,
    planned: Planned,
    *,
    question: Iterable[str],
    results: Path,
) -> int:
    """Print the plan, unless --json reports it as an event; the exit code."""
    cluster = () if arguments.cluster is None else (CLUSTER.format(address=arguments.cluster),)
    beside = (*describe_machines(config, planned), *cluster, *question, results_line(results))
    return print_lines(
        arguments, [*(trial.id for trial in planned.trials), *beside, text.planned_line(planned)]
    )


def print_lines(arguments: argparse.Namespace, lines: Iterable[str]) -> int:
    """Print lines for people, so none with --json; the exit code."""
    if not arguments.json:
        print(printable("\n".join(lines)))
    return 0
