# SPDX-License-Identifier: MIT
"""What interrupted a campaign, as its record has it: resumptions, and blocks that a cluster lost."""

from __future__ import annotations

from dataclasses import dataclass

from kmlbench.model import Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class Resumption:
    """A campaign went on after its controller had ended. The first has `number` 1.

    `trials` had begun and have no outcome; `boots` (indices of the plan) had begun and did not finish
    their trials. Trials that had failed have their own lines.
    """

    number: int
    started_utc: str
    trials: tuple[Trial, ...]
    boots: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class LostBlock:
    """A block of a cluster that did not come to its end on `worker`, and runs again as a whole.

    `number` counts the losses of this block from 1. `trials` had ended: from here on they do not count.
    """

    block: int
    number: int
    worker: str
    cause: str
    lost_utc: str
    trials: tuple[Trial, ...]
