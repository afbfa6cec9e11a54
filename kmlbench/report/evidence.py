# SPDX-License-Identifier: MIT
"""The evidence for a campaign's numbers: proofs by cell, missing trials, and how to run it again."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from kmlbench.interruptions import LostBlock
from kmlbench.model import BootFacts, Completed, Failed, PlannedCampaign, Process, Sample, Trial, Variant
from kmlbench.plan import stopping
from kmlbench.plan.comparisons import cell_of, planned_cells
from kmlbench.results.confinement import FREE
from kmlbench.results.reader import StoredCampaign, boot_path, lost_block_path, raw_path
from kmlbench.results.samples import Samples
from kmlbench.workloads import probe, transports
from kmlbench.workloads.attempt import TRY
from kmlbench.workloads.levels import Transport

LONGEST_CAUSE = 4000

CALLS = ("syscalls_direct", "syscalls_trap")


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofRow:
    """What the completed trials of one cell recorded. `agrees`: all of them match the cell.

    `direct` is the share of system calls that were direct calls, where the kernel counted them.
    """

    cell: Variant
    releases: str
    cpls: str
    client: str
    server: str
    direct: str
    trials: int
    agrees: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Hole:
    """A planned trial without numbers, and why."""

    trial: Trial
    state: str
    cause: str


def proofs(stored: StoredCampaign) -> tuple[ProofRow, ...]:
    """One row for each planned cell, or arm of a control."""
    control = stored.campaign.control
    return tuple(
        _proof_row(
            cell, [outcome for outcome in stored.completed if cell_of(outcome.trial, control=control) == cell]
        )
        for cell in planned_cells(stored.campaign.plan, control=control)
    )


def connections(stored: StoredCampaign) -> tuple[str, ...]:
    """What the connections of each workload went through, where its clients asked their server."""
    counts: Counter[tuple[str, Transport]] = Counter()
    names = {transports.metric_name(transport): transport for transport in Transport}
    for outcome in stored.completed:
        for sample in Samples.of(outcome.samples).having(tuple(names)):
            counts[outcome.trial.workload, names[sample.metric]] += round(sample.value)
    return tuple(
        f"{count} of {workload} through {transports.WORDS[transport]}"
        for (workload, transport), count in sorted(counts.items())
    )


def holes(stored: StoredCampaign) -> tuple[Hole, ...]:
    """The trials that failed and the ones that never ended, in the order of the plan."""
    failed = [_failure(outcome) for outcome in stored.failed]
    never = [
        Hole(trial=trial, state="never ended", cause="the campaign ended before it did")
        for trial in missing(stored)
    ]
    return tuple(sorted((*failed, *never), key=lambda hole: hole.trial.position))


def losses(stored: StoredCampaign) -> tuple[Hole, ...]:
    """What resumptions repeated: trials that failed, and trials that ended with their controller."""
    failed = [
        replace(hole, state=f"{hole.state}, before resumption {outcome.resumption + 1}")
        for outcome, hole in ((outcome, _failure(outcome)) for outcome in stored.superseded)
    ]
    cut = [
        Hole(
            trial=trial,
            state=f"cut off, before resumption {resumption.number}",
            cause="its controller ended before it did",
        )
        for resumption in stored.resumptions
        for trial in resumption.trials
    ]
    return tuple(sorted((*failed, *cut), key=lambda hole: hole.trial.position))


def repeated_blocks(stored: StoredCampaign) -> tuple[str, ...]:
    """A sentence for each block of a cluster that its worker did not end."""
    return tuple(
        f"block {lost.block + 1} ran again as a whole ({_cause(lost)}); {len(lost.trials)} of its trials had "
        f"ended and do not count: {lost_block_path(stored.directory, lost).relative_to(stored.directory)}"
        for lost in stored.lost_blocks
    )


def _cause(lost: LostBlock) -> str:
    first = lost.cause.splitlines()[0]
    return f"{first}, {lost.worker}" if lost.worker else first


def missing(stored: StoredCampaign) -> tuple[Trial, ...]:
    """The trials that should have ended and did not, without those that a stopping rule made unnecessary."""
    ended = stopping.ended_after(stored.campaign, stored.outcomes)
    return tuple(trial for trial in stored.missing if ended is None or trial.block < ended)


def confined(stored: StoredCampaign) -> tuple[str, ...]:
    """That a security module made the prefixes unequal, where a boot reported one."""
    seen = dict.fromkeys(boot.facts.get("server_confinement", FREE) for boot in stored.facts)
    return tuple(
        f"the server below /usr was confined and its copy below /trusted was not ({what}): the prefixes are "
        "not compared on equal terms"
        for what in seen
        if what != FREE
    )


def command(campaign: PlannedCampaign) -> str:
    """The command line that runs the same campaign again."""
    if TRY in campaign.options:
        return f"kmlbench try {campaign.options[TRY]}"
    words = ["run-benchmark"]
    for name, value in campaign.options.items():
        # A flag has no value.
        words += [f"--{name.replace('_', '-')}", *([value] if value else [])]
    return shlex.join(words)


def _proof_row(cell: Variant, completed: Sequence[Completed]) -> ProofRow:
    recorded = [outcome.proof for outcome in completed]
    return ProofRow(
        cell=cell,
        releases=_distinct(proof.kernel_release for proof in recorded),
        cpls=_distinct(str(proof.cpl) for proof in recorded),
        client=_modes(proof.client_kernel_mode for proof in recorded),
        server=_modes(proof.server_kernel_mode for proof in recorded),
        direct=_direct(
            sample for outcome in completed for sample in Samples.of(outcome.samples).having(CALLS)
        ),
        trials=len(recorded),
        agrees=bool(recorded)
        and not any(probe.contradiction(cell, proof, proof.kernel_release) for proof in recorded),
    )


def _direct(samples: Iterable[Sample]) -> str:
    calls: dict[Process, Counter[str]] = {part: Counter() for part in Process.TOGETHER.parts}
    for sample in samples:
        calls[sample.process][sample.metric] += round(sample.value)
    shares = (
        f"{process} {count['syscalls_direct'] / count.total():.2%}"
        for process, count in calls.items()
        if count.total()
    )
    return ", ".join(shares) or "–"


def _modes(modes: Iterable[bool | None]) -> str:
    return _distinct("kernel mode" if mode else "user mode" for mode in modes if mode is not None)


def _distinct(texts: Iterable[str]) -> str:
    return ", ".join(sorted(set(texts))) or "–"


def _failure(failed: Failed) -> Hole:
    cause = failed.cause
    if len(cause) > LONGEST_CAUSE:
        cause = f"… {cause[-LONGEST_CAUSE:]}"
    # A command's output may contain bytes that are not text; they are shown as \udcXX.
    shown = cause.encode(errors="backslashreplace").decode()
    return Hole(trial=failed.trial, state=f"failed: {failed.stage}", cause=shown)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialFiles:
    """A planned trial, how it ended, and the addresses of its raw output and its boot's; empty: not kept."""

    trial: Trial
    state: str
    raw: str
    boot: str


def trials(stored: StoredCampaign) -> tuple[TrialFiles, ...]:
    """Every planned trial, in the order of the plan."""
    states = _states(stored)
    boots = _boots(stored)
    return tuple(
        TrialFiles(
            trial=trial,
            state=states.get(trial, "not needed, by the stopping rule"),
            raw=_address(stored, raw_path(stored.directory, trial)),
            boot=boots.get(trial.boot, ""),
        )
        for trial in sorted(stored.campaign.plan, key=lambda trial: trial.position)
    )


def _states(stored: StoredCampaign) -> Mapping[Trial, str]:
    states = dict.fromkeys(missing(stored), "never ended")
    for outcome in stored.outcomes:
        match outcome:
            case Completed():
                states[outcome.trial] = "completed"
            case Failed():
                states[outcome.trial] = f"failed: {outcome.stage}"
    return states


def _boots(stored: StoredCampaign) -> Mapping[int, str]:
    """Where the last boot of each number left its output: that of the last resumption, if there was one."""

    def resumption(boot: BootFacts) -> int:
        return boot.resumption

    return {
        boot.boot: _address(stored, boot_path(stored.directory, boot.boot, boot.resumption))
        for boot in sorted(stored.facts, key=resumption)
    }


def _address(stored: StoredCampaign, path: Path) -> str:
    """The address of a directory relative to the report; empty if it does not exist."""
    return quote(f"{path.relative_to(stored.directory).as_posix()}/") if path.is_dir() else ""
