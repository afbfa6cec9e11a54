# SPDX-License-Identifier: MIT
"""One thing that was found about a machine, and what it means for a result."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """What a finding means: fine; changes figures or their spread; no campaign can run; nobody said."""

    GOOD = "good"
    MATTERS = "matters"
    PREVENTS = "prevents"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing about a machine: what it is, what that means for a result, and how to change it."""

    name: str
    value: str
    state: State
    meaning: str
    change: str = ""


def told(name: str, value: str | None, meaning: str) -> Finding:
    """A finding without a judgement, or that nobody answered."""
    state = State.UNKNOWN if value is None else State.GOOD
    return Finding(name=name, value=value or "not told", state=state, meaning=meaning)
