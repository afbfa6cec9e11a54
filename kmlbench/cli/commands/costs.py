# SPDX-License-Identifier: MIT
"""`kmlbench costs`: what system calls cost in a campaign, as a file for `report --cost-model`."""

from __future__ import annotations

import argparse
from pathlib import Path

from kmlbench.analysis import cost_model
from kmlbench.progress import Progress
from kmlbench.results import reader


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("directory", type=Path, metavar="DIR", help="a campaign, such as results/latest")
    parser.epilog = "example: kmlbench costs results/latest > costs.json"
    parser.set_defaults(run=_costs)


def _costs(arguments: argparse.Namespace, progress: Progress) -> int:
    progress.stage(f"costs of {arguments.directory}")
    print(
        cost_model.cost_model_json(cost_model.cost_model_of(reader.read_campaign(arguments.directory))),
        end="",
    )
    return 0
