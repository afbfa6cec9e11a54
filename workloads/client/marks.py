# SPDX-License-Identifier: MIT
"""Marks for the instrument that may record the guest (instrument/README.md).

Without its library they do nothing.
"""

from __future__ import annotations

import ctypes
import os
from enum import IntEnum
from pathlib import Path

LIBRARY = "/usr/lib/kmlbench/libkmlbench-mark.so"


class Kind(IntEnum):
    """What begins, of the kinds in instrument/mark.h; FINISH only ends the window before."""

    FINISH = 0
    MEASURED = 2
    STATEMENT = 3
    PURGE = 4


class Marks:
    """The library of marks, loaded once."""

    def __init__(self, library: str = LIBRARY) -> None:
        self._mark = ctypes.CDLL(library).kmlbench_mark if Path(library).exists() else None

    def mark(self, kind: Kind, number: int = 0) -> None:
        """End the window before, and begin one unless `kind` is FINISH."""
        if self._mark is not None:
            self._mark(int(kind), number)

    @staticmethod
    def write_maps() -> None:
        """Where this program's code is, for whoever reads the windows; workloads/measure asks for it."""
        if path := os.environ.get("KMLBENCH_MAPS"):
            Path(path).write_bytes(Path("/proc/self/maps").read_bytes())
