# SPDX-License-Identifier: MIT
"""`kmlbench verify`: derive the numbers and figures of a stored campaign again and compare them."""

from __future__ import annotations

import argparse
from pathlib import Path

from kmlbench.progress import Progress


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("directory", type=Path, metavar="DIR", help="a campaign, such as results/latest")
    parser.epilog = "example: kmlbench verify results/latest"
    parser.set_defaults(run=_verify)


def _verify(arguments: argparse.Namespace, progress: Progress) -> int:
    # The options, which completion and manual need too, do not wait for what draws.
    from kmlbench.verify import check

    verified = check.verify(arguments.directory, progress=progress)
    print(
        f"{arguments.directory}: {verified.samples} numbers of {verified.trials} trials match the raw "
        f"output; samples.parquet, {verified.figures} figures and the report match the record"
    )
    return 0
