# SPDX-License-Identifier: MIT
"""`kmlbench manual`: the manual page of a command, made from its parser."""

from __future__ import annotations

import argparse

from argparse_manpage.manpage import Manpage

from kmlbench import errors, provenance
from kmlbench.cli import programs
from kmlbench.progress import Progress

PARSERS = {"run-benchmark": programs.benchmark_parser, "kmlbench": programs.kmlbench_parser}


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the argument."""
    parser.add_argument(
        "program", choices=tuple(PARSERS), help="for: kmlbench manual run-benchmark | man -l -"
    )
    parser.epilog = "example: kmlbench manual run-benchmark | man -l -"
    parser.set_defaults(run=_manual)


def _manual(arguments: argparse.Namespace, progress: Progress) -> int:
    del progress
    print(page(PARSERS[arguments.program]()), end="")
    return 0


def page(parser: argparse.ArgumentParser) -> str:
    """A manual page, for man."""
    described = parser.description or ""
    data = {
        "project_name": "kmlbench",
        "version": provenance.package_version(),
        "manual_title": "User Commands",
        "description": described[:1].lower() + described[1:].rstrip("."),
    }
    codes = "".join(f".TP\n.B {code}\n{meaning}\n" for code, meaning in errors.MEANINGS.items())
    return f"{Manpage(parser, data)}.SH EXIT STATUS\n{codes}.PP\n{_escaped(errors.AFTER)}\n"


def _escaped(text: str) -> str:
    return text.replace("-", r"\-")
