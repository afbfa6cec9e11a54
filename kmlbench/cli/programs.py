# SPDX-License-Identifier: MIT
"""The parsers of the two commands, and how what they say is done, watched and ended."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext

from kmlbench.cli import benchmark, compare, costs, doctor, guest, host, kernel, plan, report, shell, verify
from kmlbench.cli.interrupts import INTERRUPTED, Interruption, interruptible
from kmlbench.cli.jsonlines import OPTION, JsonLines
from kmlbench.cli.parser import Parser, parse, printable
from kmlbench.cli.plain import Plain
from kmlbench.cli.progress import shown
from kmlbench.errors import KmlbenchError
from kmlbench.progress import Progress

HUNG_UP = 141
Watch = Callable[[Interruption], AbstractContextManager[Progress]]


def main(argv: Sequence[str]) -> int:
    """`kmlbench`."""
    return _run(kmlbench_parser(), argv, _shown)[0]


def run_benchmark(argv: Sequence[str]) -> int:
    """`run-benchmark`."""
    if OPTION not in argv:
        return _run(benchmark_parser(), argv, _shown)[0]
    lines = JsonLines(sys.stdout, notes=Plain(sys.stderr))
    code, error = _run(benchmark_parser(), argv, lambda _: nullcontext(lines))
    lines.end(code, error)
    return code


def kmlbench_parser() -> argparse.ArgumentParser:
    """The parser of `kmlbench`."""
    parser = Parser(prog="kmlbench", description="Kernels, guests and reports of Kernel Mode Linux.")
    verbs = parser.add_subparsers(dest="command", required=True, parser_class=Parser)
    for module in (kernel, guest, host, doctor, report, costs, plan, compare, verify):
        module.register(verbs)
    shell.register(verbs, lambda: {one.prog: one for one in (benchmark_parser(), kmlbench_parser())})
    return parser


def benchmark_parser() -> argparse.ArgumentParser:
    """The parser of `run-benchmark`."""
    parser = Parser(
        prog="run-benchmark",
        description="Measure programs in user mode and in kernel mode, and write a report.",
    )
    benchmark.configure(parser)
    return parser


def _shown(interruption: Interruption) -> AbstractContextManager[Progress]:
    return shown(interruption=interruption)


def _run(parser: argparse.ArgumentParser, words: Sequence[str], watch: Watch) -> tuple[int, str]:
    """Do what `words` say; the exit code, and what went wrong, which standard error has been told."""
    try:
        arguments = parse(parser, words)
        with interruptible() as interruption, watch(interruption) as progress:
            code: int = arguments.run(arguments, progress)
    except KmlbenchError as error:
        return error.exit_code, _complain(f"{parser.prog}: {error}")
    except BrokenPipeError:
        # Whoever read our output has gone; Python would complain once more when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return HUNG_UP, "whoever read the output has gone"
    except KeyboardInterrupt as interrupt:
        told = str(interrupt)
        return INTERRUPTED, _complain(f"{parser.prog}: interrupted{f'; {told}' if told else ''}")
    return code, ""


def _complain(text: str) -> str:
    print(printable(text), file=sys.stderr)
    return text
