# SPDX-License-Identifier: MIT
"""The two commands: arguments, progress, exit codes. The only place that prints or exits."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from kmlbench.cli import benchmark, compare, costs, doctor, guest, host, kernel, plan, report, verify
from kmlbench.cli.interrupts import INTERRUPTED, interruptible
from kmlbench.cli.parser import Parser, parse, printable
from kmlbench.cli.progress import shown
from kmlbench.errors import KmlbenchError

HUNG_UP = 141


def main(argv: Sequence[str] | None = None) -> int:
    """`kmlbench`: everything but the campaign itself."""
    return _run(kmlbench_parser(), argv)


def run_benchmark(argv: Sequence[str] | None = None) -> int:
    """`run-benchmark`: a campaign, from hosts.yaml to the report."""
    return _run(benchmark_parser(), argv)


def kmlbench_parser() -> argparse.ArgumentParser:
    """The parser of `kmlbench`."""
    parser = Parser(prog="kmlbench", description="Kernels, guests and reports of Kernel Mode Linux.")
    verbs = parser.add_subparsers(dest="command", required=True, parser_class=Parser)
    for module in (kernel, guest, host, doctor, report, costs, plan, compare, verify):
        module.register(verbs)
    return parser


def benchmark_parser() -> argparse.ArgumentParser:
    """The parser of `run-benchmark`."""
    parser = Parser(
        prog="run-benchmark",
        description="Measure programs in user mode and in kernel mode, and write a report.",
    )
    benchmark.configure(parser)
    return parser


def _run(parser: argparse.ArgumentParser, argv: Sequence[str] | None) -> int:
    try:
        arguments = parse(parser, sys.argv[1:] if argv is None else argv)
        with interruptible(), shown() as progress:
            code: int = arguments.run(arguments, progress)
    except KmlbenchError as error:
        print(printable(f"{parser.prog}: {error}"), file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:
        # Whoever read our output has gone; Python would complain once more when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return HUNG_UP
    except KeyboardInterrupt as interrupt:
        told = str(interrupt)
        print(f"{parser.prog}: interrupted{f'; {told}' if told else ''}", file=sys.stderr)
        return INTERRUPTED
    return code
