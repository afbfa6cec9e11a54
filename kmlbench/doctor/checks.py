# SPDX-License-Identifier: MIT
"""The conditions on a machine: what each means for a result, and how to change it. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

QUIET_PERCENT = 5.0

NEED_MIB = 512

VULNERABILITY = "vulnerability_"

STEADY_CLOCKS = ("tsc", "kvm-clock")


def conditions(said: Mapping[str, str]) -> tuple[Finding, ...]:
    """The findings for every machine, from the answers to kmlbench.doctor.questions."""
    return tuple(find(said) for find in _FINDERS)


def _kernel(said: Mapping[str, str]) -> Finding:
    return finding(
        "kernel", said.get("release"), "both hosts need the same source and configuration, except for KML"
    )


def _mitigations(said: Mapping[str, str]) -> Finding:
    listed = {name: text for name, text in said.items() if name.startswith(VULNERABILITY)}
    found = {name.removeprefix(VULNERABILITY): text for name, text in listed.items()}
    open_ones = sorted(name for name, text in found.items() if text.startswith("Vulnerable"))
    off = "mitigations=off" in said.get("command_line", "").split()
    if not found:
        return finding("mitigations", None, _MITIGATIONS)
    return Finding(
        name="mitigations",
        value="off" if off else f"without {', '.join(open_ones)}" if open_ones else "the kernel's defaults",
        state=FindingState.MATTERS if off or open_ones else FindingState.GOOD,
        meaning=_MITIGATIONS,
        change="install the newest microcode and drop mitigations=, or state it with each figure"
        if off or open_ones
        else "",
    )


_MITIGATIONS = "they are a large part of the cost of a system call, and so of what kernel mode saves"


def _governor(said: Mapping[str, str]) -> Finding:
    value = said.get("governors")
    if value is None:
        return finding(
            "governor", None, "without a governor, the firmware or the hypervisor sets the frequency"
        )
    return Finding(
        name="governor",
        value=value,
        state=FindingState.GOOD if value == "performance" else FindingState.MATTERS,
        meaning="any governor but performance changes the frequency with the load, so times vary",
        change="" if value == "performance" else "cpupower frequency-set --governor performance",
    )


def _turbo(said: Mapping[str, str]) -> Finding:
    intel, other = said.get("no_turbo"), said.get("boost")
    on = {("0", None): True, ("1", None): False, (None, "1"): True, (None, "0"): False}.get((intel, other))
    meaning = (
        "turbo depends on temperature and on the number of active processors: times drift within a campaign"
    )
    if on is None:
        return finding("turbo", None, meaning)
    path, off = ("intel_pstate/no_turbo", 1) if intel is not None else ("cpufreq/boost", 0)
    return Finding(
        name="turbo",
        value="on" if on else "off",
        state=FindingState.MATTERS if on else FindingState.GOOD,
        meaning=meaning,
        change=f"echo {off} > /sys/devices/system/cpu/{path}" if on else "",
    )


def _smt(said: Mapping[str, str]) -> Finding:
    value = {"1": "on", "0": "off"}.get(said.get("smt", ""))
    meaning = "with SMT the server and its client may share a core, in one boot and not in the next"
    if value is None:
        return finding("smt", None, meaning)
    return Finding(
        name="smt",
        value=value,
        state=FindingState.MATTERS if value == "on" else FindingState.GOOD,
        meaning=meaning,
        change="echo off > /sys/devices/system/cpu/smt/control" if value == "on" else "",
    )


def _swap(said: Mapping[str, str]) -> Finding:
    count = said.get("swaps")
    if count is None:
        return finding("swap", None, _SWAP)
    return Finding(
        name="swap",
        value="none" if count == "0" else f"{count} areas",
        state=FindingState.GOOD if count == "0" else FindingState.MATTERS,
        meaning=_SWAP,
        change="" if count == "0" else "swapoff --all during the campaign",
    )


_SWAP = "the server's data is in memory; once it is swapped out, a trial measures the disk"


def _load(said: Mapping[str, str]) -> Finding:
    words = said.get("ticks", "").split()
    meaning = "other load takes cache and CPU time; under the instruction clock it only takes longer"
    if len(words) != 4 or not all(re.fullmatch("[0-9]{1,18}", word) for word in words):
        return finding("load", None, meaning)
    busy, idle = int(words[2]) - int(words[0]), int(words[3]) - int(words[1])
    percent = 100 * busy / (busy + idle) if busy + idle > 0 else 0.0
    quiet, most = percent <= QUIET_PERCENT, f"; most: {said.get('busiest', 'not told')}"
    return Finding(
        name="load",
        value=f"{percent:.0f} % of all processors busy{'' if quiet else most}",
        state=FindingState.GOOD if quiet else FindingState.MATTERS,
        meaning=meaning,
        change="" if quiet else "stop other programs, including timers (systemctl list-timers)",
    )


def _clock(said: Mapping[str, str]) -> Finding:
    source, synchronised = said.get("clocksource"), said.get("synchronised")
    if source is None:
        return finding("time source", None, _CLOCK)
    good = source in STEADY_CLOCKS
    return Finding(
        name="time source",
        value=f"{source}{'' if synchronised is None else f', set by NTP: {synchronised}'}",
        state=FindingState.GOOD if good else FindingState.MATTERS,
        meaning=_CLOCK,
        change=""
        if good
        else "find out why the kernel rejected tsc (dmesg | grep -i tsc); often it is the firmware",
    )


_CLOCK = "reading any source but tsc is a system call or a slow register, also for the server"


def _memory(said: Mapping[str, str]) -> Finding:
    value = said.get("memory", "")
    meaning = f"server, data and client need {NEED_MIB} MiB; a guest needs its memory_mb"
    if not re.fullmatch("[0-9]{1,15}", value):
        return finding("memory", None, meaning)
    mib = int(value) >> 10
    good = mib >= NEED_MIB
    return Finding(
        name="memory",
        value=f"{mib} MiB available",
        state=FindingState.GOOD if good else FindingState.PREVENTS,
        meaning=meaning,
        change="" if good else "end other programs",
    )


def _versions(said: Mapping[str, str]) -> Finding:
    found = [text for name, text in sorted(said.items()) if name.startswith("version_")]
    meaning = "both hosts need the same; the campaign compares the programs' checksums"
    return finding("versions", "; ".join(found) or None, meaning)


_FINDERS: Sequence[Callable[[Mapping[str, str]], Finding]] = (
    *(_kernel, _mitigations, _governor, _turbo, _smt, _swap, _load, _clock, _memory, _versions),
)


class FindingState(StrEnum):
    """What a finding means: fine; affects figures or their spread; prevents campaigns; unknown."""

    GOOD = "good"
    MATTERS = "matters"
    PREVENTS = "prevents"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One fact about a machine: its value, what that means for a result, and how to change it."""

    name: str
    value: str
    state: FindingState
    meaning: str
    change: str = ""


def finding(name: str, value: str | None, meaning: str) -> Finding:
    """A finding without a judgement, or without an answer."""
    state = FindingState.UNKNOWN if value is None else FindingState.GOOD
    return Finding(name=name, value=value or "not told", state=state, meaning=meaning)
