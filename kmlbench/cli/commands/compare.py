# SPDX-License-Identifier: MIT
"""`kmlbench compare`: the effects and cells of two campaigns of one platform side by side."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from kmlbench.analysis import compare
from kmlbench.analysis.compare import Both, ComparedGroup, ComparedRow
from kmlbench.analysis.platforms import meaning
from kmlbench.cli.parser import printable
from kmlbench.progress import Progress
from kmlbench.results import reader
from kmlbench.results.reader import StoredCampaign
from kmlbench.stats.format import Cell


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("first", type=Path, metavar="A", help="a campaign")
    parser.add_argument("second", type=Path, metavar="B", help="the campaign to compare with it")
    parser.epilog = "example: kmlbench compare results/20261123T052014Z-1370b77d results/latest"
    parser.set_defaults(run=_compare)


def _compare(arguments: argparse.Namespace, progress: Progress) -> int:
    progress.stage(f"comparing {arguments.first} and {arguments.second}")
    stored = reader.read_campaign(arguments.first), reader.read_campaign(arguments.second)
    compared = compare.compare_campaigns(*stored)
    platform = stored[0].campaign.platform
    lines = (
        *(f"{letter}: {_campaign(campaign)}" for letter, campaign in zip("AB", stored, strict=True)),
        f"platform: {platform}. {meaning(platform).warning}",
        *_lines(compared),
    )
    print("\n".join(printable(line) for line in lines))
    return 0


def _campaign(stored: StoredCampaign) -> str:
    return f"{stored.name}, {stored.campaign.title}, {len(stored.completed)} completed trials"


def _lines(compared: Both) -> Iterator[str]:
    for note in compared.notes:
        yield f"differs: {note}"
    for group in compared.groups:
        yield ""
        yield _title(group)
        for row in group.rows:
            yield from _row(row)


def _title(group: ComparedGroup) -> str:
    measure = group.measure
    unit = "" if group.unit == "1" else f", {group.unit}"
    return f"{measure.workload}: {measure.metric} of {measure.process}{unit}"


def _row(row: ComparedRow) -> Iterator[str]:
    yield f"  {row.subject}"
    yield f"    A {_cell(row.first)}   B {_cell(row.second)}   B against A {_cell(row.change)}: {row.verdict}"


def _cell(cell: Cell) -> str:
    return f"{cell.text} {cell.aside}".strip()
