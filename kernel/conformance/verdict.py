# SPDX-License-Identifier: GPL-2.0
"""Whether everything that passes on stock:/usr passes everywhere, but for the exceptions. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase

from conformance.outcomes import Outcome, Result
from kmlbench.errors import InputError

REFERENCE = "stock:/usr"
WORDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Excuse:
    """What may differ, and why. The first three are shell patterns."""

    cell: str
    test: str
    part: str
    reason: str

    def covers(self, difference: Difference) -> bool:
        """Whether it excuses this difference."""
        wanted = (self.cell, self.test, self.part)
        return all(map(fnmatchcase, (difference.cell, difference.test, difference.part), wanted))


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Something that passes in the reference and not in this cell. `part` is empty for the test itself."""

    cell: str
    test: str
    part: str
    result: str
    reason: str = ""


def parse_exceptions(lines: Iterable[str]) -> tuple[Excuse, ...]:
    """Lines `CELL TEST PART -- reason`, words quoted as in a shell. Raises InputError with every fault."""
    exceptions: list[Excuse] = []
    faults: list[str] = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        before, dashes, reason = line.partition(" -- ")
        words = shlex.split(before)
        if dashes and reason.strip() and len(words) == WORDS:
            exceptions.append(Excuse(cell=words[0], test=words[1], part=words[2], reason=reason.strip()))
        else:
            faults.append(f"exceptions, line {number}: not CELL TEST PART -- reason: {line!r}")
    if faults:
        raise InputError(*faults)
    return tuple(exceptions)


def differences(cell: str, test: str, reference: Outcome, other: Outcome) -> tuple[Difference, ...]:
    """What passes in the reference and not in `other`: the test itself, and each of its parts.

    A part that the other run did not reach counts, if the reference passed it; of a test that failed,
    all of these together count once.
    """

    def differ(part: str, result: str) -> Difference:
        return Difference(cell=cell, test=test, part=part, result=result)

    found = []
    if reference.result is Result.PASS and other.result is not Result.PASS:
        found.append(differ("", other.result))
    theirs = {part.name: part.result for part in other.parts}
    passed = [part.name for part in reference.parts if part.result is Result.PASS]
    found += [
        differ(name, theirs[name]) for name in passed if theirs.get(name, Result.PASS) is not Result.PASS
    ]
    missing = [name for name in passed if name not in theirs]
    if found and missing:
        found.append(differ(f"{len(missing)} parts from {missing[0]!r} on", "missing"))
    else:
        found += [differ(name, "missing") for name in missing]
    if other.kernel_log and not reference.kernel_log:
        found.append(differ("", f"kernel log: {other.kernel_log[0]}"))
    return tuple(found)


def judge(
    found: Iterable[Difference], exceptions: Iterable[Excuse]
) -> tuple[tuple[Difference, ...], tuple[Difference, ...]]:
    """The differences without an excuse, and those with one."""
    known = tuple(exceptions)
    open_, excused = [], []
    for difference in found:
        reasons = [one.reason for one in known if one.covers(difference)]
        if reasons:
            excused.append(
                Difference(
                    cell=difference.cell,
                    test=difference.test,
                    part=difference.part,
                    result=difference.result,
                    reason=reasons[0],
                )
            )
        else:
            open_.append(difference)
    return tuple(open_), tuple(excused)


def all_differences(results: Mapping[str, Mapping[str, Outcome]]) -> tuple[Difference, ...]:
    """Over all cells and tests (cell to test to outcome), against the reference."""
    reference = results[REFERENCE]
    return tuple(
        difference
        for cell, outcomes in results.items()
        if cell != REFERENCE
        for test, outcome in outcomes.items()
        if test in reference
        for difference in differences(cell, test, reference[test], outcome)
    )
