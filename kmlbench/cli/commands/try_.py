# SPDX-License-Identifier: MIT
"""`kmlbench try`: what kernel mode would do for a program, from its command line alone."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

from kmlbench.build.bases import DEFAULT, Base
from kmlbench.progress import Progress

BLOCKS, ROUNDS, TIMEOUT_S = 4, 5, 30


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add = parser.add_argument
    add("--server", metavar="CMD", help="a server that runs beside the program, in the foreground")
    ready = parser.add_mutually_exclusive_group()
    ready.add_argument(
        "--ready", metavar="PATTERN", help="the server is ready once a line that it prints matches"
    )
    ready.add_argument(
        "--port", metavar="N", type=_number(1, 65535), help="the server is ready once it listens on this port"
    )
    add(
        "--blocks",
        metavar="N",
        type=_number(1, 1000),
        default=BLOCKS,
        help=f"how often each kernel is booted ({BLOCKS})",
    )
    add(
        "--rounds",
        metavar="N",
        type=_number(1, 1000),
        default=ROUNDS,
        help=f"how often the program runs in each trial, after a first time ({ROUNDS})",
    )
    add(
        "--timeout",
        metavar="S",
        type=_number(1, 86400),
        default=TIMEOUT_S,
        help=f"the seconds that a run may take ({TIMEOUT_S})",
    )
    add("--hosts", type=Path, metavar="FILE", help="the hosts, instead of two guests")
    add("--kernel", type=Base, choices=list(Base), help=f"the version of Linux of the guests ({DEFAULT})")
    add("--results", type=Path, default=Path("results"), metavar="DIR", help="where campaigns are kept")
    add("argv", nargs="+", metavar="PROGRAM", help="after --, the program and its arguments")
    parser.epilog = "example: kmlbench try -- ls -l /usr/bin"
    parser.set_defaults(run=_run)


def _number(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is not a number from {low} to {high}")
        return int(text)

    return parse


def _run(arguments: argparse.Namespace, progress: Progress) -> int:
    # `--help` does not wait for what measures and draws.
    from kmlbench.cli import program

    with tempfile.TemporaryDirectory(prefix="kmlbench-try-") as directory:
        return program.try_program(arguments, Path(directory), progress)
