# SPDX-License-Identifier: MIT
"""Every error the suite raises on purpose, and the exit code each one ends the program with.

KmlbenchError                     1   a failure that is not due to input
├── InputError                    2   hosts.yaml, the command line, a stored campaign: the user can fix it
├── MachineError                  3   this machine lacks something (QEMU, disk space, network) or is in use
│   └── BuildError                3   a kernel or an image could not be built
├── HostError                     4   a host did not answer, went away, or is not the expected one
│   └── CommandTimeout            4   a command on a host exceeded its deadline
├── TrialError                    5   one trial failed; the campaign records it and continues
├── ProofError                    6   a trial's proof contradicts its cell; the campaign stops
└── DifferenceError               7   a number differs from its source: `kmlbench verify`

A message says what happened, when, and what to do about it. A traceback is a bug.
"""

from __future__ import annotations


class KmlbenchError(Exception):
    """Base of all errors raised on purpose. `remedy` is a sentence for the user, or empty."""

    exit_code = 1

    def __init__(self, message: str, *, remedy: str = "") -> None:
        super().__init__(message)
        self.remedy = remedy

    def __str__(self) -> str:
        message = super().__str__()
        return f"{message}\n  remedy: {self.remedy}" if self.remedy else message


class InputError(KmlbenchError):
    """Bad input. `faults` holds every fault, each with its location."""

    exit_code = 2

    def __init__(self, *faults: str, remedy: str = "") -> None:
        super().__init__("\n".join(faults), remedy=remedy)
        self.faults = faults


class MachineError(KmlbenchError):
    """This machine lacks something the suite needs, or another campaign is using it."""

    exit_code = 3


class BuildError(MachineError):
    """A kernel or a guest image could not be built."""


class HostError(KmlbenchError):
    """A host did not answer, went away, or is not the expected one."""

    exit_code = 4


class CommandTimeout(HostError):
    """A command on a host exceeded its deadline."""


class TrialError(KmlbenchError):
    """One trial failed. `stage` names the step (start server, prepare, measure, parse, ...)."""

    exit_code = 5

    def __init__(self, message: str, *, stage: str, remedy: str = "") -> None:
        super().__init__(message, remedy=remedy)
        self.stage = stage


class ProofError(KmlbenchError):
    """A trial's proof contradicts its cell: its numbers would be wrong, so the campaign stops."""

    exit_code = 6


class DifferenceError(KmlbenchError):
    """A number or a figure differs from what is derived from its source."""

    exit_code = 7


class ThresholdError(KmlbenchError):
    """A measure changed by more than a threshold allows, with its whole interval."""

    exit_code = 8


MEANINGS = {
    0: "done",
    1: "failed",
    2: "bad input: every fault is listed, nothing was started",
    3: "this machine lacks something, or another campaign is using it",
    4: "a host did not answer, or is not the expected one",
    5: "a trial failed",
    6: "a proof contradicts its cell",
    7: "a number or figure differs from its source",
    8: "a threshold of --fail-if holds",
    130: "interrupted",
    141: "broken pipe: nothing reads the output any more",
}

AFTER = "After 3 to 6, 130 and 141 a campaign that had started can be resumed (run-benchmark --resume)."
