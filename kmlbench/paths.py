# SPDX-License-Identifier: MIT
"""Where the parts of the repository are that are not Python modules."""

from __future__ import annotations

from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]

KERNEL = PROJECT / "kernel"

INSTRUMENT = PROJECT / "instrument"

WORKLOADS = PROJECT / "workloads"
