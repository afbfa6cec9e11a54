# SPDX-License-Identifier: MIT
"""The platforms a campaign can run on, and what a figure measured there means. Never mixed, always named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kmlbench.errors import InputError
from kmlbench.model import Platform


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """What figures of a platform are.

    `warning` is the sentence that must be shown with every answer. `quantity`, `less` and `more`
    complete "took 3 % less CPU time". `claim` is false where a ratio says nothing about speed at all.
    `units` renames stored units for the reader; a metric's own name there goes before its unit's.
    `doubles` are the stored units that count what another one counts.
    """

    quantity: str
    less: str
    more: str
    claim: bool
    warning: str
    can: str
    cannot: str
    units: Mapping[str, str]
    doubles: frozenset[str] = frozenset()


_HARDWARE = Meaning(
    quantity="CPU time",
    less="less CPU time",
    more="more CPU time",
    claim=True,
    warning="These are figures of this hardware; costs differ on another processor.",
    can="Seconds, nanoseconds and cycles of this hardware, with its caches and mitigations.",
    cannot="What SYSCALL, SWAPGS and IRET cost on another processor, and hence what it would gain.",
    units={},
)

_INSTRUCTIONS = Meaning(
    quantity="instructions executed",
    less="fewer instructions",
    more="more instructions",
    claim=True,
    warning="This is a count of instructions, which says nothing about time: it is not a speed-up.",
    can=(
        "The guest's clock advances by one nanosecond with every instruction executed. While the guest is "
        "busy, its nanoseconds are instructions and its CPU seconds are 10⁹ instructions each: repeatable, "
        "and untouched by whatever else the machine was doing."
    ),
    cannot=(
        "What an instruction costs: SYSCALL, SWAPGS and IRET count one each, like an addition. So nothing "
        "here is a speed-up in time. Idle time (disk, network, sleeping clients) passes in real time, hence "
        "wall time, throughput and latency mix instructions with the speed of the emulator. The cycle "
        "counter follows the same clock and counts no hardware cycles."
    ),
    units={
        "s": "10⁹ instructions",
        "ns": "instructions",
        "cycles": "ticks of the emulated counter",
        "1/s": "per guest second",
        "ms": "guest ms",
        "wall": "guest s",
    },
    doubles=frozenset({"cycles"}),
)

_REAL_TIME = Meaning(
    quantity="emulated CPU time",
    less="less emulated CPU time",
    more="more emulated CPU time",
    claim=False,
    warning="Real time under emulation is the emulator's: no figure here says anything about speed.",
    can="That the kernels, the server and the workloads work, and that the suite measures them.",
    cannot=(
        "Anything about speed: real time under emulation is the time of the emulator, and varies by a factor "
        "of two from minute to minute."
    ),
    units={"s": "s, emulated", "ns": "ns, emulated", "cycles": "ticks, emulated", "1/s": "1/s, emulated"},
)

_MEANINGS: Mapping[Platform, Meaning] = {
    Platform.INSTRUCTIONS: _INSTRUCTIONS,
    Platform.REAL_TIME: _REAL_TIME,
    Platform.KVM: _HARDWARE,
    Platform.HOSTS: _HARDWARE,
}


def meaning(platform: str) -> Meaning:
    """What figures of `platform` mean. Raises InputError for an unknown platform."""
    try:
        return _MEANINGS[Platform(platform)]
    except ValueError as error:
        known = ", ".join(f'"{name}"' for name in Platform)
        raise InputError(
            f'campaign.json: platform "{platform}" is unknown', remedy=f"known: {known}"
        ) from error
