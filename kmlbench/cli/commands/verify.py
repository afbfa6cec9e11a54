# SPDX-License-Identifier: MIT
"""`kmlbench verify`: derive the numbers and figures of a stored campaign again and compare them."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from kmlbench.progress import Progress
from kmlbench.verify import check


def register(subparsers: Any) -> None:
    """Add the verb `verify` to the parser of `kmlbench`."""
    parser = subparsers.add_parser(
        "verify", help="derive every number of a stored campaign again and compare"
    )
    parser.add_argument("directory", type=Path, metavar="DIR", help="a campaign, such as results/latest")
    parser.set_defaults(run=_verify)


def _verify(arguments: argparse.Namespace, progress: Progress) -> int:
    found = check.verify(arguments.directory, progress=progress)
    print(
        f"{arguments.directory}: {found.samples} numbers of {found.trials} trials are those of the raw "
        f"output; samples.parquet, {found.figures} figures and the report are those of the record"
    )
    return 0
