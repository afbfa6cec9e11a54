# SPDX-License-Identifier: MIT
"""`kmlbench report`: derive the report of a stored campaign again."""

from __future__ import annotations

import argparse
from pathlib import Path

from kmlbench.cli import prices
from kmlbench.progress import Progress


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("directory", type=Path, metavar="DIR", help="a campaign, such as results/latest")
    parser.add_argument(
        "--control",
        type=Path,
        metavar="CONTROL",
        help="the A/A control to show with it; the newest matching one in the same directory if not given",
    )
    parser.add_argument(
        "--cost-model",
        type=Path,
        metavar="FILE",
        help="the costs of calls on another machine, written by `kmlbench costs` there: adds a projection, "
        "and a copy as DIR/costs.json; without it, DIR/costs.json is removed",
    )
    prices.add_options(parser, meaning="add a projection of the counted instructions at these prices")
    parser.epilog = "example: kmlbench report results/latest --cost-model costs.json"
    parser.set_defaults(run=_report)


def _report(arguments: argparse.Namespace, progress: Progress) -> int:
    # The options, which completion and manual need too, do not wait for what draws.
    from kmlbench.report import write

    progress.stage(f"report of {arguments.directory}")
    path = write.write_report(
        arguments.directory,
        beside=arguments.control,
        cost_model=arguments.cost_model,
        prices=prices.lists(arguments.prices, arguments.ipc),
        progress=progress,
    )
    print(path)
    return 0
