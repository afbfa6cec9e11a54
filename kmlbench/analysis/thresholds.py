# SPDX-License-Identifier: MIT
"""Thresholds for the change between two campaigns: rules such as "oltp_point_select.cpu_total > +1%"."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from kmlbench import paths
from kmlbench.analysis.compare import Both, ComparedGroup, ComparedRow
from kmlbench.config.yamlfile import suggestion
from kmlbench.errors import InputError
from kmlbench.model import Process
from kmlbench.stats.format import change
from kmlbench.stats.intervals import Interval

RULE = re.compile(
    r"""\s*(?P<workload>\w+)\.(?P<metric>\w+)(?:\.(?P<process>\w+))?
    (?:\s*@\s*(?P<subject>[^<>]+?))?
    \s*(?P<sign>[<>])\s*(?P<percent>[-+−]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d{1,2})?)\s*%\s*""",
    re.VERBOSE | re.ASCII,
)

# Of which process a rule that names none is: of the whole, if there is one.
WHOLE = (Process.TOGETHER, Process.CLIENT, Process.SERVER)

SYNTAX = f"write WORKLOAD.METRIC > +P%, or WORKLOAD.METRIC.PROCESS @ CELL < -P%; see {paths.page('gate.md')}"


class Outcome(StrEnum):
    """Whether the whole interval is beyond the threshold, or the exact change; undecided without either."""

    HOLDS = "holds"
    DOES_NOT_HOLD = "does not hold"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True, kw_only=True)
class Threshold:
    """A rule: by which ratio a measure of a subject may change from A to B; `above`: it may not be larger."""

    text: str
    workload: str
    metric: str
    process: str
    subject: str
    above: bool
    ratio: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A threshold, the row that it is about, and whether it holds."""

    threshold: Threshold
    row: ComparedRow
    outcome: Outcome

    @property
    def sentence(self) -> str:
        """The outcome with the change that decided it."""
        cell = change(self.row.ratio)
        return f"{self.threshold.text}: {self.outcome}: {self.row.subject}: {cell.text} {cell.aside}".strip()


def threshold(text: str) -> Threshold:
    """The rule in `text`. Raises InputError."""
    match = RULE.fullmatch(text)
    if match is None:
        raise InputError(f"--fail-if: {text!r} is not a rule", remedy=SYNTAX)
    percent = float(match["percent"].replace("−", "-"))
    if percent <= -100:
        raise InputError(f"--fail-if: {text!r}: nothing changes by {percent:g} %", remedy=SYNTAX)
    return Threshold(
        text=" ".join(text.split()),
        workload=match["workload"],
        metric=match["metric"],
        process=match["process"] or "",
        subject=" ".join((match["subject"] or "").split()),
        above=match["sign"] == ">",
        ratio=1 + percent / 100,
    )


def judge(rule: Threshold, compared: Both) -> Judged:
    """Whether the rule holds. Raises InputError for a measure or subject that the campaigns do not share."""
    row = _row(rule, _group(rule, compared))
    return Judged(threshold=rule, row=row, outcome=_outcome(rule, row))


def _outcome(rule: Threshold, row: ComparedRow) -> Outcome:
    ratio = row.ratio
    if not isinstance(ratio, Interval):
        return Outcome.UNDECIDED
    low, high = (ratio.estimate, ratio.estimate) if ratio.exact else (ratio.low, ratio.high)
    if low is None or high is None:
        return Outcome.UNDECIDED
    beyond = low > rule.ratio if rule.above else high < rule.ratio
    return Outcome.HOLDS if beyond else Outcome.DOES_NOT_HOLD


def _group(rule: Threshold, compared: Both) -> ComparedGroup:
    named = f"{rule.workload}.{rule.metric}"
    known = {f"{group.measure.workload}.{group.measure.metric}" for group in compared.groups}
    if named not in known:
        raise InputError(
            f"--fail-if: {rule.text!r}: the campaigns do not share {named!r}{suggestion(named, known)}",
            remedy=SYNTAX,
        )
    groups = {
        str(group.measure.process): group
        for group in compared.groups
        if f"{group.measure.workload}.{group.measure.metric}" == named
    }
    process = rule.process or next(str(process) for process in WHOLE if process in groups)
    if process not in groups:
        raise InputError(
            f"--fail-if: {rule.text!r}: {named} is not measured of {process!r}{suggestion(process, groups)}",
            remedy=SYNTAX,
        )
    return groups[process]


def _row(rule: Threshold, group: ComparedGroup) -> ComparedRow:
    """The row of the subject; by default the first, which is the effect that the campaigns are about."""
    rows = {str(row.subject): row for row in group.rows}
    if not rule.subject:
        return group.rows[0]
    if rule.subject not in rows:
        raise InputError(
            f"--fail-if: {rule.text!r}: the campaigns do not share {rule.subject!r}"
            f"{suggestion(rule.subject, rows)}",
            remedy=SYNTAX,
        )
    return rows[rule.subject]
