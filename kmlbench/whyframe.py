# SPDX-License-Identifier: MIT
"""The explanation of a campaign as a tidy frame, and the projection with another machine's costs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd

from kmlbench import costmodel, explanation, figures, projection, store
from kmlbench.explanation import UNITS, Explained
from kmlbench.projection import Projected
from kmlbench.stats import Absent, Estimate, Interval

TYPES = {
    "campaign": "str",
    "workload": "str",
    "comparison": "str",
    "process": "str",
    "costs": "str",
    "quantity": "str",
    "unit": "str",
    "estimate": "Float64",
    "low": "Float64",
    "high": "Float64",
    "blocks": "Int64",
    "reason": "str",
}


def explain(path: str | Path, *, cost_model: str | Path | None = None) -> pd.DataFrame:
    """Why the workloads of the campaign in `path` take less in kernel mode, one row a quantity.

    The quantities are those of kmlbench.explanation, with their stored units: nanoseconds (instructions under
    the instruction clock), shares of the CPU of the cell compared with, calls per CPU second. Where there is
    no estimate, or no interval, the numbers are missing and `reason` says why. `costs` is "measured"; with
    the file of `cost_model` there are further rows, whose `costs` is "projection: " and the name in the file.

    Raises InputError on damage of either.
    """
    stored = store.read(Path(path))
    source = figures.source(stored)
    rows = [*_rows(explanation.explained(source), stored.directory.name, "measured")]
    if cost_model is not None:
        model = costmodel.read(Path(cost_model))
        projected = projection.projected(source, model)
        rows += _rows(projected, stored.directory.name, f"projection: {model.name}")
    return pd.DataFrame(rows, columns=list(TYPES)).astype(TYPES)


def _rows(
    found: tuple[Explained, ...] | tuple[Projected, ...], campaign: str, costs: str
) -> Iterator[dict[str, object]]:
    for one in found:
        for quantity, estimate in one.found.items():
            yield {
                "campaign": campaign,
                "workload": one.workload,
                "comparison": str(one.comparison),
                "process": str(one.process),
                "costs": costs,
                "quantity": str(quantity),
                "unit": UNITS[quantity],
                **_numbers(estimate),
            }


def _numbers(estimate: Estimate) -> dict[str, object]:
    match estimate:
        case Absent():
            return {"blocks": 0, "reason": estimate.reason}
        case Interval():
            numbers = {"estimate": estimate.estimate, "low": estimate.low, "high": estimate.high}
            return {**numbers, "blocks": estimate.blocks, "reason": estimate.unbounded}
