# SPDX-License-Identifier: MIT
"""The parsers of the two commands.

A verb of `kmlbench` is a line in VERBS and a module of that name in `cli.commands`, imported when the verb
is used, so that no verb pays for another one's imports.
"""

from __future__ import annotations

import argparse
from collections.abc import Collection
from importlib import import_module
from keyword import iskeyword

from kmlbench.cli.parser import Parser, Version

COMMANDS = "kmlbench.cli.commands"

VERBS = {
    "try": "say what kernel mode does for a program of yours",
    "kernel": "build the kernels of the experiment",
    "guest": "build, boot and use guests",
    "host": "prepare, check and clean your machines",
    "doctor": "check what affects a result on this machine and each host, and change nothing",
    "report": "write the report of a stored campaign again",
    "costs": "print what calls and instructions cost, or project a campaign at the prices of a processor",
    "plan": "how many blocks a half-width needs, from a pilot campaign",
    "compare": "compare two campaigns of one platform",
    "worker": "run blocks of campaigns for a controller on another machine",
    "export": "print the numbers of a stored campaign for other programs",
    "verify": "derive every number of a stored campaign again and compare",
    "windows": "print a recording of the instrument",
    "completion": "print the shell completion of both commands",
    "manual": "print the manual page of a command",
}


def kmlbench_parser(words: Collection[str] = VERBS) -> argparse.ArgumentParser:
    """The parser of `kmlbench`; of verbs that are not in `words` it only knows the names."""
    parser = Parser(prog="kmlbench", description="Kernels, guests and reports of Kernel Mode Linux.")
    parser.add_argument("--version", action=Version)
    parser.epilog = "example: kmlbench report results/latest"
    verbs = parser.add_subparsers(dest="command", required=True, parser_class=Parser)
    for name, meaning in VERBS.items():
        verb = verbs.add_parser(name, help=meaning)
        if name in words:
            module = f"{name}_" if iskeyword(name) else name
            import_module(f"{COMMANDS}.{module}").configure(verb)
    return parser


def benchmark_parser() -> argparse.ArgumentParser:
    """The parser of `run-benchmark`."""
    parser = Parser(
        prog="run-benchmark",
        description="Measure programs in user mode and in kernel mode, and write a report.",
    )
    parser.add_argument("--version", action=Version)
    import_module(f"{COMMANDS}.run_benchmark").configure(parser)
    return parser
