# SPDX-License-Identifier: MIT
"""The parsers of the two commands, and how what they say is done, watched and ended."""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress

from kmlbench.cli import completion
from kmlbench.cli.commands import compare, costs, doctor, guest, host, kernel, plan, report, verify
from kmlbench.cli.commands import run_benchmark as benchmark
from kmlbench.cli.interrupts import INTERRUPTED, Interruption, interruptible
from kmlbench.cli.output import guarded
from kmlbench.cli.parser import Parser, Version, parse, printable
from kmlbench.cli.progress.display import shown
from kmlbench.cli.progress.jsonlines import OPTION, JsonLines
from kmlbench.cli.progress.plain import Plain
from kmlbench.errors import KmlbenchError, MachineError
from kmlbench.progress import Progress

HUNG_UP = 141

Watch = Callable[[Interruption], AbstractContextManager[Progress]]


def main(argv: Sequence[str]) -> int:
    """`kmlbench`."""
    with guarded():
        return _run(kmlbench_parser(), argv, _shown)[0]


def run_benchmark(argv: Sequence[str]) -> int:
    """`run-benchmark`."""
    with guarded():
        parser = benchmark_parser()
        return _run_for_programs(parser, argv) if OPTION in argv else _run(parser, argv, _shown)[0]


def _run_for_programs(parser: argparse.ArgumentParser, words: Sequence[str]) -> int:
    lines = JsonLines(sys.stdout, notes=Plain(sys.stderr))
    try:
        code, error = _run(parser, words, lambda _: nullcontext(lines))
    except Exception as bug:
        lines.end(KmlbenchError.exit_code, traceback.format_exception_only(bug)[-1].strip())
        raise
    unwritten, _ = _ending(parser, lambda: lines.end(code, error))
    return code or unwritten


def kmlbench_parser() -> argparse.ArgumentParser:
    """The parser of `kmlbench`."""
    parser = Parser(prog="kmlbench", description="Kernels, guests and reports of Kernel Mode Linux.")
    parser.add_argument("--version", action=Version)
    verbs = parser.add_subparsers(dest="command", required=True, parser_class=Parser)
    for module in (kernel, guest, host, doctor, report, costs, plan, compare, verify):
        module.register(verbs)
    completion.register(verbs, lambda: {one.prog: one for one in (benchmark_parser(), kmlbench_parser())})
    return parser


def benchmark_parser() -> argparse.ArgumentParser:
    """The parser of `run-benchmark`."""
    parser = Parser(
        prog="run-benchmark",
        description="Measure programs in user mode and in kernel mode, and write a report.",
    )
    parser.add_argument("--version", action=Version)
    benchmark.configure(parser)
    return parser


def _shown(interruption: Interruption) -> AbstractContextManager[Progress]:
    return shown(interruption=interruption)


def _run(parser: argparse.ArgumentParser, words: Sequence[str], watch: Watch) -> tuple[int, str]:
    """Do what `words` say; the exit code, and what went wrong, which standard error has been told."""

    def run() -> int:
        arguments = parse(parser, words)
        with interruptible() as interruption, watch(interruption) as progress:
            code: int = arguments.run(arguments, progress)
        sys.stdout.flush()
        return code

    return _ending(parser, run)


def _ending(parser: argparse.ArgumentParser, do: Callable[[], int | None]) -> tuple[int, str]:
    """Do something; the exit code, and what went wrong."""
    try:
        return do() or 0, ""
    except KmlbenchError as error:
        return error.exit_code, _complain(f"{parser.prog}: {error}")
    except BrokenPipeError:
        return HUNG_UP, "whoever read the output has gone"
    except KeyboardInterrupt as interrupt:
        told = str(interrupt)
        return INTERRUPTED, _complain(f"{parser.prog}: interrupted{f'; {told}' if told else ''}")


def _complain(text: str) -> str:
    with suppress(MachineError, BrokenPipeError):
        print(printable(text), file=sys.stderr)
    return text
