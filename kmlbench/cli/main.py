# SPDX-License-Identifier: MIT
"""The two commands: arguments, progress, exit codes. The only place that prints or exits."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

from kmlbench.errors import MachineError


def main(argv: Sequence[str] | None = None) -> int:
    """`kmlbench`: everything but the campaign itself."""
    return _program("main", argv)


def run_benchmark(argv: Sequence[str] | None = None) -> int:
    """`run-benchmark`: a campaign, from hosts.yaml to the report."""
    return _program("run_benchmark", argv)


def _program(name: str, argv: Sequence[str] | None) -> int:
    """Workloads are read when the modules that know them are imported, and may not be there."""
    try:
        programs = import_module("kmlbench.cli.programs")
    except MachineError as error:
        print(f"kmlbench: {error}", file=sys.stderr)
        return error.exit_code
    code: int = getattr(programs, name)(sys.argv[1:] if argv is None else argv)
    return code
