# SPDX-License-Identifier: MIT
"""What the exit codes mean, for the manual pages; the README has the same table."""

from __future__ import annotations

MEANINGS = {
    0: "done",
    1: "failed",
    2: "bad input: every fault is told at once, nothing was started",
    3: "this machine lacks something, or another campaign has it",
    4: "a host did not answer, or is not the one we know",
    5: "a trial failed",
    6: "a proof contradicts its cell",
    7: "a number or figure is not the one that its source says",
    130: "interrupted",
    141: "whoever read the output has gone",
}
AFTER = "After 3 to 6, 130 and 141 a campaign that had begun can be resumed (run-benchmark --resume)."
