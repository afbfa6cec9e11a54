# SPDX-License-Identifier: MIT
"""Proof of the kernel and of the privilege that a trial had, and what its measured step used."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from kmlbench.errors import ProofError, TrialError
from kmlbench.model import KERNEL_CPL, CommandResult, Host, Prefix, Process, Proof, Sample, Variant
from kmlbench.workloads.measure import MeasureReport, Usage, parse_report

__all__ = ["MeasureReport", "ask", "contradiction", "parse_report", "proof", "proof_in", "resources"]

_TIMEOUT_S = 60.0

_CALLS = {"syscalls_direct": "KernelModeCallsDirect", "syscalls_trap": "KernelModeCallsTrap"}

_COUNTS = ("voluntary_switches", "involuntary_switches", "minor_faults", "major_faults")


def proof(host: Host, prefix: Prefix, report: MeasureReport | None) -> Proof:
    """What a program of `prefix` and the measured processes of `report` say they ran as; see `proof_in`."""
    return proof_in(ask(host, prefix), report)


def ask(host: Host, prefix: Prefix) -> CommandResult:
    """What the probe below `prefix` answers."""
    return host.run([prefix.path("lib/kmlbench/cpl")], timeout_s=_TIMEOUT_S)


def proof_in(result: CommandResult, report: MeasureReport | None) -> Proof:
    """The proof in the probe's answer and in the report of the measured step.

    Raises TrialError(stage="proof") when the probe did not answer, ProofError when the kernel's own field
    disagrees with CS.
    """
    seen = parse_privilege(result)
    if seen.kernel_mode is not None and seen.kernel_mode is not (seen.cpl == KERNEL_CPL):
        raise ProofError(
            f"{result.argv[0]} ran at CPL {seen.cpl}, but its /proc/self/status says KernelMode "
            f"{int(seen.kernel_mode)}: the kernel's field is wrong"
        )
    return Proof(
        kernel_release=seen.release,
        cpl=seen.cpl,
        client_kernel_mode=None if report is None else bool(report.client.kernel_mode),
        server_kernel_mode=_server_kernel_mode(report),
    )


def contradiction(variant: Variant, proof: Proof, expected_release: str) -> str | None:
    """How this proof contradicts the cell, in a sentence; None if it does not."""
    if proof.kernel_release != expected_release:
        return f"{variant} ran on kernel {proof.kernel_release}, not on {expected_release}"
    if proof.cpl != variant.cpl:
        return f"{variant}: a program below {variant.prefix} ran at CPL {proof.cpl}, not {variant.cpl}"
    modes = {"client": proof.client_kernel_mode, "server": proof.server_kernel_mode}
    for process, mode in modes.items():
        if mode is not None and mode is not variant.kernel_mode:
            return f"{variant}: the {process} ran {'in' if mode else 'outside'} kernel mode"
    return None


def resources(
    report: MeasureReport | None, counted: Sequence[Sample] = (), *, driver: str = ""
) -> tuple[Sample, ...]:
    """What the measured step used, as samples of the client, the server and both together; none without one.

    Their driver is that of the adapter's samples in `counted`; without any, `driver` or the client's program.

    User and system time are left out where no timer tick fell. If the adapter's samples in `counted` have
    `passes`, there is pass_cpu (seconds per pass) too. Of a process in kernel mode on a kernel that counts
    them there are syscalls_direct and syscalls_trap: how many system calls it made by a direct call, and by
    the SYSCALL instruction.

    Raises TrialError(stage="parse") when the kernel's counters are not numbers.
    """
    if report is None:
        return ()
    named = driver or PurePosixPath(report.executable or "unknown").name
    driver = counted[0].driver if counted else named
    measured = {Process.CLIENT: report.client}
    if report.server is not None:
        measured[Process.SERVER] = report.server
    cpu = {process: _cpu_times(usage) for process, usage in measured.items()}
    if report.server is not None:
        cpu[Process.TOGETHER] = _sum([cpu[part] for part in Process.TOGETHER.parts])
    return (
        Sample(metric="wall", unit="s", value=report.wall_ns / 1e9, process=Process.TOGETHER, driver=driver),
        *_times(cpu, driver),
        *_counts(measured, driver),
        *_calls(measured, driver),
        *_pass_times(cpu, counted, driver),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Privilege:
    """What workloads/probe/cpl reports about itself; `kernel_mode` is None on a kernel without the field."""

    cpl: int
    kernel_mode: bool | None
    release: str


def parse_privilege(result: CommandResult) -> Privilege:
    """Read the probe's line. Raises TrialError(stage="proof") on anything else."""
    try:
        fields = json.loads(result.stdout) if result.returncode == 0 else {}
        seen = Privilege(cpl=fields["cpl"], kernel_mode=fields["kernel_mode"], release=fields["release"])
        if type(seen.cpl) is not int or not isinstance(seen.release, str) or not seen.release:
            raise ValueError("cpl or release is of another type")
        if seen.kernel_mode not in (None, True, False) or seen.cpl not in range(4):
            raise ValueError("kernel_mode or cpl is out of range")
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        output = (result.stderr or result.stdout)[-300:]
        raise TrialError(
            f"{result.argv[0]} did not report its privilege (exit {result.returncode}): {output!r}",
            stage="proof",
        ) from error
    return seen


def _server_kernel_mode(report: MeasureReport | None) -> bool | None:
    if report is None or report.server is None:
        return None
    return bool(report.server.kernel_mode)


def _cpu_times(usage: Usage) -> dict[str, float]:
    split = usage.split_s()
    times = {"cpu_total": usage.cpu_ns / 1e9}
    return times if split is None else times | {"cpu_user": split[0], "cpu_system": split[1]}


def _sum(parts: Sequence[dict[str, float]]) -> dict[str, float]:
    """The metrics that all parts have."""
    return {
        metric: sum(part[metric] for part in parts)
        for metric in parts[-1]
        if all(metric in part for part in parts)
    }


def _times(cpu: dict[Process, dict[str, float]], driver: str) -> tuple[Sample, ...]:
    return tuple(
        Sample(metric=metric, unit="s", value=value, process=process, driver=driver)
        for process, times in cpu.items()
        for metric, value in times.items()
    )


def _counts(measured: dict[Process, Usage], driver: str) -> tuple[Sample, ...]:
    return tuple(
        Sample(metric=metric, unit="1", value=getattr(usage, metric), process=process, driver=driver)
        for process, usage in measured.items()
        for metric in _COUNTS
    )


def _calls(measured: dict[Process, Usage], driver: str) -> tuple[Sample, ...]:
    return tuple(
        Sample(metric=metric, unit="1", value=usage.counted(line), process=process, driver=driver)
        for process, usage in measured.items()
        for metric, line in _CALLS.items()
        if usage.kernel_mode and line in usage.counters
    )


def _pass_times(
    cpu: dict[Process, dict[str, float]], counted: Sequence[Sample], driver: str
) -> tuple[Sample, ...]:
    return tuple(
        Sample(
            metric="pass_cpu",
            unit="s",
            value=times["cpu_total"] / passes.value,
            process=process,
            driver=driver,
        )
        for passes in counted
        if passes.metric == "passes"
        for process, times in cpu.items()
    )
