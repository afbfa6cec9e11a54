# SPDX-License-Identifier: MIT
"""What a program did in each cell: how its runs ended, what they printed, what the kernel logged."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import zip_longest

from kmlbench.model import Completed, Failed, Prefix, Trial, Variant
from kmlbench.plan.comparisons import CELLS, STOCK_USR, planned_cells
from kmlbench.results.raw import read_results, read_text
from kmlbench.results.reader import StoredCampaign, boot_path, raw_path
from kmlbench.workloads.attempt import MARK
from kmlbench.workloads.program import ProgramWorkload, Run, runs

DMESG = "dmesg"

_STAMP = re.compile(r"^\[[ 0-9.]+\] ")

# Addresses, process ids and times, which no two runs have in common.
_VARYING = re.compile(r"0x[0-9a-f]+|\b[0-9a-f]{8,}\b|\d+")

# What kernels log of themselves now and then.
_USUAL = re.compile(r"clocksource|hrtimer: interrupt|crng|interrupt took too long|hogged CPU|RT throttling")

QUOTED = 120


class Channel(StrEnum):
    """Where a program prints."""

    STDOUT = "standard output"
    STDERR = "standard error"


@dataclass(frozen=True, slots=True, kw_only=True)
class Printed:
    """What a run printed: its size in bytes, its digest, and the text as far as it was kept."""

    bytes: int
    digest: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Conduct:
    """The runs of a cell. `endings` are such as "exit status 0"; `log` are lines of the kernel's log.

    `failures` are the causes of trials that could not be measured.
    """

    cell: Variant
    runs: int
    endings: tuple[str, ...]
    printed: Mapping[Channel, tuple[Printed, ...]]
    log: tuple[str, ...]
    failures: tuple[str, ...]

    def steady(self, channel: Channel) -> bool:
        """Whether all runs printed the same."""
        return len({each.digest for each in self.printed[channel]}) == 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """How a cell's runs differ from those of stock:/usr, in a sentence."""

    cell: Variant
    text: str


def conducts(stored: StoredCampaign, adapter: ProgramWorkload) -> tuple[Conduct, ...]:
    """What the runs of a workload did, by cell. Raises InputError or TrialError on damage."""
    cells = [cell for cell in CELLS if cell in planned_cells(stored.campaign.plan)]
    return tuple(_conduct(stored, adapter, cell) for cell in cells)


def differences(found: Sequence[Conduct]) -> tuple[Difference, ...]:
    """How the other cells differ from stock:/usr; empty if the program works alike in all of them."""
    control = next(each for each in found if each.cell == STOCK_USR)
    return tuple(
        Difference(cell=each.cell, text=text)
        for each in found
        if each is not control
        for text in _differences(control, each)
    )


def unsteady(found: Sequence[Conduct]) -> tuple[Channel, ...]:
    """Where the program prints something else in each run by itself: there nothing can be compared."""
    control = next(each for each in found if each.cell == STOCK_USR)
    return tuple(channel for channel in Channel if control.runs and not control.steady(channel))


def _conduct(stored: StoredCampaign, adapter: ProgramWorkload, cell: Variant) -> Conduct:
    own = [outcome for outcome in stored.outcomes if _is(outcome.trial, adapter, cell)]
    completed = [outcome for outcome in own if isinstance(outcome, Completed)]
    done = [run for outcome in completed for run in _runs(stored, adapter, outcome.trial)]
    lines = [line for outcome in completed for line in _logged(stored, outcome)]
    return Conduct(
        cell=cell,
        runs=len(done),
        endings=tuple(dict.fromkeys(_ending(run) for run in done)),
        printed={channel: tuple(_printed(run, channel) for run in done) for channel in Channel},
        log=tuple(dict.fromkeys(lines)),
        failures=tuple(
            dict.fromkeys(f"{each.stage}: {each.cause}" for each in own if isinstance(each, Failed))
        ),
    )


def _is(trial: Trial, adapter: ProgramWorkload, cell: Variant) -> bool:
    return (trial.workload, trial.variant) == (adapter.name, cell)


def _runs(stored: StoredCampaign, adapter: ProgramWorkload, trial: Trial) -> tuple[Run, ...]:
    """Every run of a trial, the one that warms up too."""
    return runs(adapter.run_result(read_results(raw_path(stored.directory, trial))))


def _ending(run: Run) -> str:
    return f"signal {run.status}" if run.signaled else f"exit status {run.status}"


def _printed(run: Run, channel: Channel) -> Printed:
    """What is the same from both prefixes has the same digest, also where it names the program's own path."""
    size, digest, text = {
        Channel.STDOUT: (run.stdout_bytes, run.stdout_digest, run.stdout),
        Channel.STDERR: (run.stderr_bytes, run.stderr_digest, run.stderr),
    }[channel]
    plain = text.replace(f"{Prefix.TRUSTED}/", f"{Prefix.USR}/")
    if len(text.encode(errors="surrogateescape")) == size:
        digest = hashlib.sha256(plain.encode(errors="surrogateescape")).hexdigest()
    return Printed(bytes=size, digest=digest, text=plain)


def _logged(stored: StoredCampaign, outcome: Completed) -> Iterator[str]:
    """What the kernel logged during a trial, without what varies."""
    path = boot_path(stored.directory, outcome.trial.boot, outcome.resumption) / DMESG
    if not path.exists():
        return
    inside = False
    for line in read_text(path).splitlines():
        message = _STAMP.sub("", line)
        if message.startswith(MARK):
            inside = message == f"{MARK} {outcome.trial.variant.prefix}"
        elif inside and not _USUAL.search(message):
            yield _VARYING.sub("#", message)


def _differences(control: Conduct, other: Conduct) -> Iterator[str]:
    for cause in other.failures:
        if cause not in control.failures:
            yield f"could not be measured: {cause.splitlines()[0]}"
    if not control.runs or not other.runs:
        return
    if set(other.endings) != set(control.endings):
        yield f"ended with {' or '.join(other.endings)}, not {' or '.join(control.endings)}"
    for channel in Channel:
        if control.steady(channel) and (odd := _odd(control, other, channel)):
            yield f"printed something else on {channel}: {odd}"
    if new := [line for line in other.log if line not in control.log]:
        yield f"the kernel logged {len(new)} lines that it does not log elsewhere, the first: {new[0]}"


def _odd(control: Conduct, other: Conduct, channel: Channel) -> str:
    """The first line that differs; empty if none does."""
    usual = control.printed[channel][0]
    odd = next((each for each in other.printed[channel] if each.digest != usual.digest), None)
    if odd is None:
        return ""
    pairs = enumerate(zip_longest(usual.text.splitlines(), odd.text.splitlines(), fillvalue=""), start=1)
    sizes = f"{odd.bytes:,} and {usual.bytes:,} bytes"
    for number, (expected, line) in pairs:
        if line != expected:
            return f"{line[:QUOTED]!r} in line {number}, not {expected[:QUOTED]!r} ({sizes})"
    return f"the part that was kept is the same ({sizes})"
