# SPDX-License-Identifier: MIT
"""`kmlbench costs`: what calls and instructions cost, in a campaign, on this machine or as published."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kmlbench.cli import prices as options
from kmlbench.cli.parser import JSON, printable
from kmlbench.errors import InputError, MachineError
from kmlbench.progress import Progress

if TYPE_CHECKING:
    from kmlbench.report.tables import Table

USAGE = "see `kmlbench costs --help`"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "directory",
        type=Path,
        nargs="?",
        metavar="DIR",
        help="a campaign, such as results/latest: prints what its system calls cost, as a file for "
        "`report --cost-model`, or with --prices a projection",
    )
    parser.add_argument(
        "--here",
        action="store_true",
        help="measure what instructions and ways into the kernel cost on this machine, without root",
    )
    parser.add_argument("--list", action="store_true", help="list the prices that come with the program")
    options.add_options(parser, meaning="project what DIR counted at these prices")
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="write the prices of --here there, for --prices"
    )
    parser.add_argument(JSON, action="store_true", help="print JSON, for programs (--here, --list, --prices)")
    parser.epilog = "example: kmlbench costs --here --output here.toml"
    parser.set_defaults(run=_costs)


def _costs(arguments: argparse.Namespace, progress: Progress) -> int:
    if (arguments.directory is not None) + arguments.here + arguments.list != 1:
        raise InputError("costs: name a campaign, or give --here or --list: one of these", remedy=USAGE)
    if arguments.output is not None and not arguments.here:
        raise InputError("--output: only the prices of --here are written to a file", remedy=USAGE)
    if arguments.directory is None and (arguments.prices or arguments.ipc):
        raise InputError("--prices: name the campaign that is to be projected", remedy=USAGE)
    if arguments.here:
        _measure(arguments, progress)
    elif arguments.list:
        _list(as_json=arguments.json)
    elif arguments.prices or arguments.ipc:
        _project(arguments, progress)
    else:
        _of_campaign(arguments, progress)
    return 0


def _of_campaign(arguments: argparse.Namespace, progress: Progress) -> None:
    from kmlbench.analysis import cost_model
    from kmlbench.results import reader

    if arguments.json:
        raise InputError("--json: the costs of a campaign are JSON already", remedy=USAGE)
    progress.stage(f"costs of {arguments.directory}")
    print(
        cost_model.cost_model_json(cost_model.cost_model_of(reader.read_campaign(arguments.directory))),
        end="",
    )


def _measure(arguments: argparse.Namespace, progress: Progress) -> None:
    from kmlbench.prices import here, pricelist
    from kmlbench.report import pricing

    here.require_machine()
    progress.stage("measuring the prices of this machine")
    prices = here.measure()
    if arguments.output is not None:
        _write(arguments.output, pricelist.toml(prices))
    if arguments.json:
        _print_json(prices)
        return
    machine = prices.measured
    assert machine is not None
    _print([prices.name, pricing.measured_on(machine), pricing.CYCLES[prices.cycles], pricing.FIGURES])
    _print(table_lines(pricing.price_table(prices, sources=False)))
    _print([f"not measured: {each}" for each in machine.left_out])


def _list(*, as_json: bool) -> None:
    from kmlbench.prices import pricelist
    from kmlbench.report import pricing

    known = {name: pricelist.read(path) for name, path in pricelist.published().items()}
    if as_json:
        _print_json(known)
        return
    for name, prices in known.items():
        _print([f"{name}: {prices.processor}"])
        for price in prices.price:
            _print([f"  {price.of}: {pricing.price_text(price)} ({pricing.source_text(prices, price)})"])


def _project(arguments: argparse.Namespace, progress: Progress) -> None:
    from kmlbench.analysis import measurements
    from kmlbench.report import pricing
    from kmlbench.results import reader

    lists = options.lists(arguments.prices, arguments.ipc)
    progress.stage(f"projection of {arguments.directory}")
    stored = reader.read_campaign(arguments.directory)
    for note in stored.notes:
        progress.note(note)
    source = measurements.source(stored)
    if arguments.json:
        from kmlbench.api.projection import rows

        print(json.dumps([row for prices in lists for row in rows(stored.name, source, prices)], indent=2))
        return
    for section in pricing.pricing_sections(source, lists):
        _print([section.title, "", section.note, ""])
        for table in section.tables:
            _print([table.caption, *table_lines(table), ""])


def table_lines(table: Table) -> Iterator[str]:
    """A table of the report as lines of text."""
    rows = [(table.heading, *table.columns)]
    for group in table.groups:
        if len(table.groups) > 1:
            rows.append((group.title, *[""] * len(table.columns)))
        for row in group.rows:
            rows.append((row.label, *(f"{cell.text} {cell.aside}".rstrip() for cell in row.cells)))
    # A title of rows may be longer than its column.
    widths = [max(len(row[column]) for row in rows if any(row[1:])) for column in range(len(rows[0]))]
    for first, *others in rows:
        cells = (text.rjust(width) for text, width in zip(others, widths[1:], strict=True))
        yield "  ".join([f"  {first.ljust(widths[0])}", *cells]).rstrip()


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise MachineError(
            f"{path} could not be written: {error.strerror or error}",
            remedy="name a file in a directory that you can write to",
        ) from error


def _print(lines: Sequence[str] | Iterator[str]) -> None:
    for line in lines:
        print(printable(line))


def _print_json(value: object) -> None:
    import msgspec

    print(json.dumps(msgspec.to_builtins(value), indent=2))
