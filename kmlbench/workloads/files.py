# SPDX-License-Identifier: MIT
"""The workloads' data files: where they lie, read once."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from kmlbench.errors import MachineError

WORKLOADS = Path(__file__).resolve().parents[2] / "workloads"


@cache
def read(relative: str) -> str:
    """The text of a file below workloads/. Raises MachineError outside of the package's checkout."""
    try:
        return (WORKLOADS / relative).read_text(encoding="utf-8")
    except OSError as error:
        raise MachineError(
            f"the package runs from its checkout alone, and this is none: {error}",
            remedy="`make setup` in a clone of its repository installs it there",
        ) from error
