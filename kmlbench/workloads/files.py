# SPDX-License-Identifier: MIT
"""The workloads' data files: where they lie, read once."""

from __future__ import annotations

from functools import cache

from kmlbench.errors import MachineError
from kmlbench.paths import WORKLOADS


def require_checkout() -> None:
    """Raises MachineError outside of the package's checkout."""
    if not WORKLOADS.is_dir():
        raise _no_checkout(f"{WORKLOADS} is missing")


@cache
def read_data(relative: str) -> str:
    """The text of a file below workloads/. Raises MachineError outside of the package's checkout."""
    try:
        return (WORKLOADS / relative).read_text(encoding="utf-8")
    except OSError as error:
        raise _no_checkout(str(error)) from error


def _no_checkout(reason: str) -> MachineError:
    return MachineError(
        f"the package only runs from its checkout, and this is not one: {reason}",
        remedy="clone the repository and run `make setup` there",
    )
