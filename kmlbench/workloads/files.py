# SPDX-License-Identifier: MIT
"""The workloads' data files: where they lie, read once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from kmlbench.errors import MachineError
from kmlbench.paths import WORKLOADS


def require_data() -> None:
    """Raises MachineError if the package was copied without its data."""
    if not WORKLOADS.is_dir():
        raise _incomplete(f"{WORKLOADS} is missing")


@cache
def read_data(relative: str) -> str:
    """The text of a file below workloads/. Raises MachineError if the package was copied without its data."""
    try:
        return (WORKLOADS / relative).read_text(encoding="utf-8")
    except OSError as error:
        raise _incomplete(str(error)) from error


@cache
def definitions() -> Mapping[str, str]:
    """The workload files that come with the package: their texts, by name."""
    return {path.stem: path.read_text(encoding="utf-8") for path in sorted(WORKLOADS.glob("*.toml"))}


def _incomplete(reason: str) -> MachineError:
    return MachineError(
        f"this copy of the package lacks its data: {reason}",
        remedy="install kmlbench from its wheel or its checkout (pip install), or run it in a checkout",
    )
