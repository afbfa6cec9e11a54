# SPDX-License-Identifier: MIT
"""`kmlbench export`: the numbers of a stored campaign for other programs."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from kmlbench.errors import InputError, MachineError
from kmlbench.progress import Progress
from kmlbench.results import reader
from kmlbench.results.reader import StoredCampaign


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("directory", type=Path, metavar="DIR", help="a campaign, such as results/latest")
    formats = parser.add_mutually_exclusive_group(required=True)
    formats.add_argument("--csv", action="store_true", help="every sample, one row each, as CSV")
    formats.add_argument("--parquet", action="store_true", help="the same as Parquet; needs --output")
    formats.add_argument(
        "--openmetrics", action="store_true", help="means and effects with their intervals, for Prometheus"
    )
    parser.add_argument("--output", type=Path, metavar="FILE", help="where to write it (standard output)")
    parser.epilog = "example: kmlbench export results/latest --openmetrics --output kmlbench.prom"
    parser.set_defaults(run=_export)


def _export(arguments: argparse.Namespace, progress: Progress) -> int:
    if arguments.parquet and arguments.output is None:
        raise InputError("--parquet: it is no text for a terminal", remedy="name a file with --output")
    progress.stage(f"exporting {arguments.directory}")
    stored = reader.read_campaign(arguments.directory)
    for note in stored.notes:
        progress.note(note)
    try:
        _write(arguments, stored)
    except OSError as error:
        if arguments.output is None:
            raise
        raise MachineError(
            f"{arguments.output} could not be written: {error.strerror or error}",
            remedy="name a file in a directory that you can write to",
        ) from error
    return 0


def _write(arguments: argparse.Namespace, stored: StoredCampaign) -> None:
    # The options, which completion and manual need too, do not wait for what makes tables.
    from kmlbench.analysis import frames

    if arguments.parquet:
        frames.write_parquet(frames.samples_frame(stored), arguments.output)
        return
    if arguments.csv:
        text = frames.samples_frame(stored).to_csv(index=False, lineterminator="\n")
    else:
        from kmlbench.analysis import openmetrics

        text = openmetrics.exposition(stored)
    if arguments.output is None:
        sys.stdout.write(text)
    else:
        arguments.output.write_text(text, encoding="utf-8")
