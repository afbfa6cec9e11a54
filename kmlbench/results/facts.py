# SPDX-License-Identifier: MIT
"""The facts of a boot, and whether the boots of a campaign may be compared.

Every fact must be the same in all boots, with two exceptions: what names the kernel must differ between
the kernels and only there (BY_KERNEL), and the memory that a kernel leaves free must be equal to within a
percent (NEAR), since the kernels' own sizes differ. The kernels' configurations are split: the options of
Kernel Mode Linux and the release's suffix must differ, the rest must be equal. All this holds within a pair
of hosts: comparisons are made within a pair, and two pairs may be different machines.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from kmlbench.errors import ProofError
from kmlbench.kconfig import KML_OPTION, parse_options
from kmlbench.model import BootFacts, Kernel

NEAR_SHARE = 0.01

BY_KERNEL_FACTS = frozenset({"kernel_release", "kernel_build", "kernel_key", "config_kml"})

NEAR_FACTS = frozenset({"memory_kib"})


class Expectation(StrEnum):
    """What a fact must be over the boots of a campaign."""

    EQUAL = "equal"
    NEAR = "equal within 1 %"
    BY_KERNEL = "one value for each kernel"


@dataclass(frozen=True, slots=True, kw_only=True)
class FactRow:
    """One fact over all boots. `values` holds the distinct values of each kernel, in order of boots."""

    name: str
    expectation: Expectation
    values: Mapping[Kernel, tuple[str, ...]]
    agrees: bool


def compare_boots(boots: Sequence[BootFacts]) -> tuple[FactRow, ...]:
    """All facts of these boots, sorted by name. A fact that a boot lacks does not agree."""
    names = sorted({name for boot in boots for name in boot.facts})
    return tuple(_row(name, boots) for name in names)


def require_agreement(boots: Sequence[BootFacts]) -> None:
    """Raises ProofError that lists every fact that is not as it must be."""
    wrong = [row for row in compare_boots(boots) if not row.agrees]
    if wrong:
        listed = "\n".join(f"  {row.name} ({row.expectation}): {_describe(row)}" for row in wrong)
        raise ProofError(
            f"the boots of this campaign differ in facts that must agree:\n{listed}",
            remedy="compare raw/boot-*/facts.json and raw/boot-*/config in the campaign's directory",
        )


def _row(name: str, boots: Sequence[BootFacts]) -> FactRow:
    expectation = _expectation(name)
    pairs = [[boot for boot in boots if boot.pair == pair] for pair in {boot.pair for boot in boots}]
    return FactRow(
        name=name,
        expectation=expectation,
        values=_values(name, boots),
        agrees=all(_agree_on(name, pair) for pair in pairs),
    )


def _values(name: str, boots: Sequence[BootFacts]) -> Mapping[Kernel, tuple[str, ...]]:
    return {
        kernel: tuple(dict.fromkeys(boot.facts[name] for boot in boots if _has(boot, kernel, name)))
        for kernel in dict.fromkeys(boot.kernel for boot in boots)
    }


def _agree_on(name: str, pair: Sequence[BootFacts]) -> bool:
    """Whether the boots of one pair agree on a fact, or none of them has it."""
    having = [boot for boot in pair if name in boot.facts]
    return not having or (len(having) == len(pair) and _agrees(_expectation(name), _values(name, pair)))


def _has(boot: BootFacts, kernel: Kernel, name: str) -> bool:
    return boot.kernel is kernel and name in boot.facts


def _expectation(name: str) -> Expectation:
    if name in BY_KERNEL_FACTS:
        return Expectation.BY_KERNEL
    return Expectation.NEAR if name in NEAR_FACTS else Expectation.EQUAL


def _agrees(expectation: Expectation, values: Mapping[Kernel, tuple[str, ...]]) -> bool:
    seen = [value for distinct in values.values() for value in distinct]
    match expectation:
        case Expectation.EQUAL:
            return len(set(seen)) == 1
        case Expectation.NEAR:
            if not all(value.isascii() and value.isdigit() for value in seen):
                return False
            numbers = [int(value) for value in seen]
            return max(numbers) - min(numbers) <= NEAR_SHARE * max(numbers)
        case Expectation.BY_KERNEL:
            return all(len(distinct) == 1 for distinct in values.values()) and len(set(seen)) == len(values)


def _describe(row: FactRow) -> str:
    return "; ".join(f"{kernel}: {' and '.join(values) or 'absent'}" for kernel, values in row.values.items())


def configuration_facts(text: str) -> Mapping[str, str]:
    """The two halves of a configuration: what must be equal, as a hash, and what makes the kernel KML."""
    lines = sorted(f"{name}={value}" for name, value in parse_options(text).items() if value != "n")
    own = [line for line in lines if KML_OPTION.fullmatch(line.partition("=")[0])]
    common = [line for line in lines if line not in own]
    return {"config_common_sha256": digest("\n".join(common)), "config_kml": " ".join(own)}


def digest(text: str) -> str:
    """The SHA-256 of a text, in hexadecimal."""
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()


def processor_facts(cpuinfo: str) -> Mapping[str, str]:
    """The facts in the text of /proc/cpuinfo: the first processor's model and flags, and their number."""
    flags = sorted(proc_field(cpuinfo, "flags").split())
    return {
        "cpu_model": proc_field(cpuinfo, "model name"),
        "cpu_flags_sha256": digest(" ".join(flags)),
        "cpus": str(len(re.findall(r"^processor\s*:", cpuinfo, re.MULTILINE))),
    }


def proc_field(text: str, name: str) -> str:
    match = re.search(rf"^{re.escape(name)}\s*:\s*(.*)$", text, re.MULTILINE)
    return match.group(1) if match else "unknown"
