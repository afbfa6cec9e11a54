# SPDX-License-Identifier: MIT
"""`kmlbench compare`: the effects and cells of two campaigns of one platform side by side."""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kmlbench.analysis import compare, thresholds
from kmlbench.analysis.compare import Both, ComparedGroup, ComparedRow
from kmlbench.analysis.platforms import meaning
from kmlbench.analysis.thresholds import Judged, Outcome
from kmlbench.cli.parser import printable
from kmlbench.errors import ThresholdError
from kmlbench.model import Variant
from kmlbench.progress import Progress
from kmlbench.results import reader
from kmlbench.results.reader import StoredCampaign
from kmlbench.stats.format import Cell
from kmlbench.stats.intervals import Estimate, Interval

COLUMNS = (
    *("workload", "process", "metric", "unit", "kind", "subject"),
    *(f"{side}_{part}" for side in ("a", "b") for part in ("estimate", "low", "high", "reason")),
    *("change_percent", "change_low", "change_high", "reason", "verdict"),
)


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument("first", type=Path, metavar="A", help="a campaign, such as a stored baseline")
    parser.add_argument("second", type=Path, metavar="B", help="the campaign to compare with it")
    parser.add_argument(
        "--fail-if",
        action="append",
        default=[],
        metavar="RULE",
        help="end with 8 if B differs from A by more than this, with its whole interval; may be given again",
    )
    formats = parser.add_mutually_exclusive_group()
    formats.add_argument("--json", action="store_true", help="print JSON, for programs")
    formats.add_argument("--csv", action="store_true", help="print one row for each effect and cell, as CSV")
    parser.epilog = "example: kmlbench compare baseline results/latest --fail-if 'wisconsin.cpu_total > +1%%'"
    parser.set_defaults(run=_compare)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """Everything that is printed."""

    campaigns: Sequence[StoredCampaign]
    both: Both
    judged: Sequence[Judged]

    @property
    def platform(self) -> str:
        """The platform of both."""
        return self.campaigns[0].campaign.platform


def _compare(arguments: argparse.Namespace, progress: Progress) -> int:
    rules = [thresholds.threshold(text) for text in arguments.fail_if]
    progress.stage(f"comparing {arguments.first} and {arguments.second}")
    stored = reader.read_campaign(arguments.first), reader.read_campaign(arguments.second)
    both = compare.compare_campaigns(*stored)
    judged = [thresholds.judge(rule, both) for rule in rules]
    compared = Compared(campaigns=stored, both=both, judged=judged)
    if arguments.json:
        print(json.dumps(_document(compared), indent=2))
    elif arguments.csv:
        _print_table(compared)
    else:
        print("\n".join(printable(line) for line in _text(compared)))
    _require_none(judged, progress)
    return 0


def _require_none(judged: Sequence[Judged], progress: Progress) -> None:
    """Raises ThresholdError for the rules that hold; one without an interval is noted."""
    for each in judged:
        if each.outcome is Outcome.UNDECIDED:
            progress.note(each.sentence)
    if holding := [each.sentence for each in judged if each.outcome is Outcome.HOLDS]:
        raise ThresholdError(
            "\n".join(holding),
            remedy="look for what changed between A and B; if it is meant to be so, B is the new baseline",
        )


def _document(compared: Compared) -> dict[str, object]:
    return {
        "a": compared.campaigns[0].name,
        "b": compared.campaigns[1].name,
        "platform": compared.platform,
        "notes": list(compared.both.notes),
        "rows": list(_rows(compared.both)),
        "rules": [
            {
                "rule": each.threshold.text,
                "outcome": str(each.outcome),
                "subject": str(each.row.subject),
                **_change(each.row.ratio),
            }
            for each in compared.judged
        ],
    }


def _print_table(compared: Compared) -> None:
    writer = csv.DictWriter(sys.stdout, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in _rows(compared.both):
        writer.writerow({name: "" if value is None else value for name, value in row.items()})


def _rows(both: Both) -> Iterator[Mapping[str, object]]:
    """One row for each effect and cell; what there is not is None, and `reason` says why."""
    for group in both.groups:
        for row in group.rows:
            a, b = row.estimates
            yield {
                "workload": group.measure.workload,
                "process": str(group.measure.process),
                "metric": group.measure.metric,
                "unit": group.unit,
                "kind": "cell" if isinstance(row.subject, Variant) else "effect",
                "subject": str(row.subject),
                **{f"a_{name}": value for name, value in _estimate(a).items()},
                **{f"b_{name}": value for name, value in _estimate(b).items()},
                **_change(row.ratio),
                "verdict": row.verdict,
            }


def _estimate(estimate: Estimate) -> Mapping[str, object]:
    """A mean in its unit, or an effect as a ratio."""
    if not isinstance(estimate, Interval):
        return {"estimate": None, "low": None, "high": None, "reason": estimate.reason}
    ends = {"estimate": estimate.estimate, "low": estimate.low, "high": estimate.high}
    return {**ends, "reason": estimate.unbounded or None}


def _change(ratio: Estimate) -> Mapping[str, object]:
    of_ratio = _estimate(ratio)
    names = {"change_percent": "estimate", "change_low": "low", "change_high": "high"}
    percents = {name: _percent(of_ratio[end]) for name, end in names.items()}
    return {**percents, "reason": of_ratio["reason"]}


def _percent(ratio: object) -> float | None:
    return 100 * (ratio - 1) if isinstance(ratio, float) else None


def _text(compared: Compared) -> Iterator[str]:
    for letter, campaign in zip("AB", compared.campaigns, strict=True):
        yield f"{letter}: {_campaign(campaign)}"
    yield f"platform: {compared.platform}. {meaning(compared.platform).warning}"
    yield from _lines(compared.both)
    if compared.judged:
        yield ""
        yield from (f"rule: {each.sentence}" for each in compared.judged)


def _campaign(stored: StoredCampaign) -> str:
    return f"{stored.name}, {stored.campaign.title}, {len(stored.completed)} completed trials"


def _lines(compared: Both) -> Iterator[str]:
    for note in compared.notes:
        yield f"differs: {note}"
    for group in compared.groups:
        yield ""
        yield _title(group)
        for row in group.rows:
            yield from _row(row)


def _title(group: ComparedGroup) -> str:
    measure = group.measure
    unit = "" if group.unit == "1" else f", {group.unit}"
    return f"{measure.workload}: {measure.metric} of {measure.process}{unit}"


def _row(row: ComparedRow) -> Iterator[str]:
    yield f"  {row.subject}"
    yield f"    A {_cell(row.first)}   B {_cell(row.second)}   B against A {_cell(row.change)}: {row.verdict}"


def _cell(cell: Cell) -> str:
    return f"{cell.text} {cell.aside}".strip()
