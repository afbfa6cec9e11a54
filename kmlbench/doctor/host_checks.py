# SPDX-License-Identifier: MIT
"""The findings for this machine, for a guest that it would run, and for an SSH host. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from kmlbench import paths
from kmlbench.doctor.checks import Finding, FindingState, conditions, finding
from kmlbench.model import Kernel

# Below each of two directories of a host.
ROOM_MIB = 512


def machine_findings(answers: Mapping[str, str], *, guests: bool) -> tuple[Finding, ...]:
    """The findings for this machine, which needs QEMU if there are `guests`."""
    return (*conditions(answers), _qemu(answers, guests=guests))


def host_findings(answers: Mapping[str, str], kernel: Kernel) -> tuple[Finding, ...]:
    """The findings for an SSH host that should run this kernel."""
    return (_acceleration(answers), _kml(answers, kernel), *conditions(answers), _disk(answers))


def disk_room(name: str, path: Path, free_mib: int, *, need_mib: int, meaning: str) -> Finding:
    """Whether this machine has the disk space without which no campaign starts."""
    good = free_mib >= need_mib
    return Finding(
        name=name,
        value=f"{free_mib} MiB free in {path}",
        state=FindingState.GOOD if good else FindingState.PREVENTS,
        meaning=f"{meaning}: {need_mib} MiB",
        change="" if good else f"free space in {path}",
    )


def guest_findings(
    memory_mb: int, cpus: int, answers: Mapping[str, str], *, overhead_mb: int
) -> tuple[Finding, ...]:
    """The findings for a guest of this size plus `overhead_mb` for QEMU, given this machine's answers."""
    words = answers.get("memory", "")
    fits = not (words.isascii() and words.isdigit()) or int(words) >> 10 >= memory_mb + overhead_mb
    return (
        Finding(
            name="guest",
            value=f"{memory_mb} MiB, {cpus} processors",
            state=FindingState.GOOD if fits else FindingState.PREVENTS,
            meaning="created for each boot; the findings for this machine apply to it",
            change="" if fits else "end other programs, or lower memory_mb in hosts.yaml",
        ),
    )


def guest_acceleration(kvm: bool | None, reason: str) -> Finding:
    """What runs guests on this machine; `kvm` is None if it could not be tried."""
    states = {True: FindingState.GOOD, False: FindingState.MATTERS, None: FindingState.UNKNOWN}
    return Finding(
        name="acceleration",
        value={True: "KVM", False: "TCG", None: "not tried"}[kvm],
        state=states[kvm],
        meaning=f"{reason}; without KVM, guests count instructions and say nothing about time",
        change=""
        if kvm
        else f"use a machine with working KVM, or real machines ({paths.page('two-machines.md')})",
    )


def _acceleration(answers: Mapping[str, str]) -> Finding:
    return Finding(
        name="acceleration",
        value="a virtual machine" if "hypervisor" in answers else "bare metal",
        state=FindingState.MATTERS if "hypervisor" in answers else FindingState.GOOD,
        meaning="under a hypervisor, times are those of that hypervisor and of its other guests",
        change="measure on bare metal" if "hypervisor" in answers else "",
    )


def _disk(answers: Mapping[str, str]) -> Finding:
    free = {name: answers.get(f"{name}_free", "") for name in ("run", "var")}
    meaning = f"pristine data is below /var/lib, a trial's copy below /run: {ROOM_MIB} MiB each"
    if not all(re.fullmatch("[0-9]{1,15}", value) for value in free.values()):
        return finding("disk", None, meaning)
    good = all(int(value) >= ROOM_MIB for value in free.values())
    return Finding(
        name="disk",
        value=f"{free['var']} MiB free below /var/lib, {free['run']} below /run",
        state=FindingState.GOOD if good else FindingState.MATTERS,
        meaning=meaning,
        change="" if good else "free space, or mount -o remount,size=2G /run",
    )


def _kml(answers: Mapping[str, str], kernel: Kernel) -> Finding:
    armed, log = answers.get("kml"), answers.get("kml_log", "")
    states = {None: "the kernel has no KML", "1": "armed", "0": "not armed"}
    state = states.get(armed, f"unknown: {armed}")
    good = armed == "1" if kernel is Kernel.KML else armed != "1"
    arm = "add kernel_mode_linux=on to the kernel command line, or sysctl kernel.kernel_mode_linux=1"
    boot = f"boot the {kernel} kernel of `kmlbench kernel deb`"
    return Finding(
        name="kml",
        value=f"{state}; {log}" if log and not good else state,
        state=FindingState.GOOD if good else FindingState.PREVENTS,
        meaning="programs below /trusted must run at CPL 0 on the kml host, and none may on the stock host",
        change="" if good else arm if armed == "0" else boot,
    )


def _qemu(answers: Mapping[str, str], *, guests: bool) -> Finding:
    there = "version_qemu-system-x86_64" in answers
    return Finding(
        name="qemu",
        value="installed" if there else "missing",
        state=FindingState.GOOD if there or not guests else FindingState.PREVENTS,
        meaning="guests need it",
        change="" if there else paths.setup_remedy(),
    )
