# SPDX-License-Identifier: GPL-2.0
"""The results as JSON and as a table. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from conformance.outcomes import Outcome, Part, Result
from conformance.verdict import Difference

Results = Mapping[str, Mapping[str, Outcome]]
MARKS = {
    Result.PASS: "pass",
    Result.SKIP: "skip",
    Result.FAIL: "FAIL",
    Result.TIMEOUT: "TIMEOUT",
    Result.HANG: "HANG",
}


def record(facts: Mapping[str, Any], results: Results, found: Sequence[Difference]) -> dict[str, Any]:
    """Everything but the outputs, for JSON."""
    return {
        "facts": dict(facts),
        "differences": [asdict(one) for one in found],
        "results": {
            cell: {test: _plain(outcome) for test, outcome in outcomes.items()}
            for cell, outcomes in results.items()
        },
    }


def _plain(outcome: Outcome) -> dict[str, Any]:
    return {
        "result": str(outcome.result),
        "status": outcome.status,
        "elapsed_s": round(outcome.elapsed_s, 1),
        "attempts": outcome.attempts,
        "kernel_log": list(outcome.kernel_log),
        "parts": {part.name: str(part.result) for part in outcome.parts},
    }


def outcomes_of(plain: Mapping[str, Any]) -> dict[str, Outcome]:
    """What `record` wrote about one cell, without the outputs."""
    return {
        test: Outcome(
            result=Result(one["result"]),
            status=one["status"],
            parts=tuple(Part(name=name, result=Result(result)) for name, result in one["parts"].items()),
            elapsed_s=one["elapsed_s"],
            output="",
            kernel_log=tuple(one["kernel_log"]),
            attempts=one["attempts"],
        )
        for test, one in plain.items()
    }


def markdown(
    facts: Mapping[str, Any], results: Results, unexcused: Sequence[Difference], excused: Sequence[Difference]
) -> str:
    """The counts, what differs, and a table of all tests."""
    lines = ["# Conformance", "", *(f"* {name}: {value}" for name, value in facts.items()), ""]
    lines += [*_counts(results), "", f"Differences without a reason: {len(unexcused)}", ""]
    lines += [f"* {one.cell} {one.test}: {one.part or '(the test)'}: {one.result}" for one in unexcused]
    if excused:
        lines += [
            "",
            "## With a reason",
            "",
            "| cell | test | part | result | reason |",
            "|---|---|---|---|---|",
        ]
        lines += [
            f"| {one.cell} | {one.test} | {_cell(one.part)} | {_cell(one.result)} | {one.reason} |"
            for one in excused
        ]
    return "\n".join([*lines, "", *_table(results), ""])


def _counts(results: Results) -> list[str]:
    heads = [str(result) for result in Result]
    lines = [f"| tests / sub-tests | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    for cell, outcomes in results.items():
        tests = Counter(outcome.result for outcome in outcomes.values())
        parts = Counter(part.result for outcome in outcomes.values() for part in outcome.parts)
        lines.append(f"| {cell} | " + " | ".join(f"{tests[one]} / {parts[one]}" for one in Result) + " |")
    return lines


def _table(results: Results) -> list[str]:
    cells = list(results)
    names = list(dict.fromkeys(test for outcomes in results.values() for test in outcomes))
    lines = [f"| test | {' | '.join(cells)} |", "|---" * (len(cells) + 1) + "|"]
    for name in names:
        marks = [_mark(results[cell].get(name)) for cell in cells]
        lines.append(f"| {_cell(name)} | {' | '.join(marks)} |")
    return lines


def _mark(outcome: Outcome | None) -> str:
    """The result, and of the sub-tests those that passed, failed and were skipped."""
    if outcome is None:
        return ""
    counts = Counter(part.result for part in outcome.parts)
    parts = f" {counts[Result.PASS]}/{counts[Result.FAIL]}/{counts[Result.SKIP]}" if outcome.parts else ""
    again = f" (attempt {outcome.attempts})" if outcome.attempts > 1 else ""
    return MARKS[outcome.result] + parts + again


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
