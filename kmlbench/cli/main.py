# SPDX-License-Identifier: MIT
"""The two commands: arguments, progress, exit codes.

Only this package prints or exits. What a command needs is imported after its arguments are parsed.
"""

from __future__ import annotations

import argparse
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress

from kmlbench.cli import programs
from kmlbench.cli.interrupts import INTERRUPTED, Interruption, interruptible
from kmlbench.cli.output import guarded
from kmlbench.cli.parser import JSON, parse_arguments, printable
from kmlbench.errors import MEANINGS, KmlbenchError, MachineError
from kmlbench.progress import Progress
from kmlbench.workloads import files

HUNG_UP = 141

Watch = Callable[[Interruption], AbstractContextManager[Progress]]


def main(argv: Sequence[str] | None = None) -> int:
    """`kmlbench`: everything but the campaign itself."""
    words = sys.argv[1:] if argv is None else argv
    with guarded():
        return _ended("kmlbench", lambda: _run_verb(words))[0]


def run_benchmark(argv: Sequence[str] | None = None) -> int:
    """`run-benchmark`: a campaign, from hosts.yaml to the report."""
    words = sys.argv[1:] if argv is None else argv
    act = _run_for_programs if JSON in words else _run_for_people
    with guarded():
        return _ended("run-benchmark", lambda: act(words))[0]


def _run_verb(words: Sequence[str]) -> int:
    files.require_data()
    return _run(programs.kmlbench_parser(words), words, _shown)


def _run_for_people(words: Sequence[str]) -> int:
    return _run(programs.benchmark_parser(), words, _shown)


def _run_for_programs(words: Sequence[str]) -> int:
    """`run-benchmark --json`, whose last line is always `end`."""
    from kmlbench.cli.progress import jsonlines

    lines = jsonlines.on_standard_output()
    try:
        code, error = _ended(
            "run-benchmark", lambda: _run(programs.benchmark_parser(), words, lambda _: nullcontext(lines))
        )
    except Exception as bug:
        lines.end(KmlbenchError.exit_code, traceback.format_exception_only(bug)[-1].strip())
        raise
    unwritten, _ = _ended("run-benchmark", lambda: lines.end(code, error))
    return code or unwritten


def _run(parser: argparse.ArgumentParser, words: Sequence[str], watch: Watch) -> int:
    """Run the command; the exit code."""
    arguments = parse_arguments(parser, words)
    with interruptible() as interruption, watch(interruption) as progress:
        code: int = arguments.run(arguments, progress)
    sys.stdout.flush()
    return code


def _shown(interruption: Interruption) -> AbstractContextManager[Progress]:
    """Progress for people, on standard error."""
    from kmlbench.cli.progress import display

    return display.shown(interruption=interruption)


def _ended(program: str, act: Callable[[], int | None]) -> tuple[int, str]:
    """The exit code of `act`, and its error, which is already on standard error."""
    try:
        return act() or 0, ""
    except KmlbenchError as error:
        return error.exit_code, _complain(f"{program}: {error}")
    except BrokenPipeError:
        return HUNG_UP, MEANINGS[HUNG_UP]
    except KeyboardInterrupt as interrupt:
        reason = str(interrupt)
        return INTERRUPTED, _complain(f"{program}: interrupted{f'; {reason}' if reason else ''}")


def _complain(text: str) -> str:
    with suppress(MachineError, BrokenPipeError):
        print(printable(text), file=sys.stderr)
    return text
