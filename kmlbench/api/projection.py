# SPDX-License-Identifier: MIT
"""The public API: the counted instructions of a campaign, projected at a processor's prices, as a frame."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pandas as pd

from kmlbench.analysis import measurements, pricing
from kmlbench.analysis.measurements import Source
from kmlbench.analysis.pricing import Projection
from kmlbench.prices import pricelist
from kmlbench.prices.pricelist import Ipc, PriceList
from kmlbench.results import reader

TYPES = {
    "campaign": "str",
    "prices": "str",
    "workload": "str",
    "process": "str",
    "comparison": "str",
    "kind": "str",
    "part": "str",
    "control": "Float64",
    "treated": "Float64",
    "price_low": "Float64",
    "price_high": "Float64",
    "change_low": "Float64",
    "change_high": "Float64",
    "unit": "str",
}

SUM, RELATIVE, UNPRICED = "sum", "relative", "without a price"


def project(path: str | Path, prices: str | Path, *, ipc: tuple[float, float] | None = None) -> pd.DataFrame:
    """What the instructions of the campaign in `path` would take at the prices of a processor: a projection.

    `prices` is a name that `kmlbench costs --list` prints, or a file; `ipc` are the fewest and the most
    instructions per cycle that are assumed of what has no price (those of the list). One row for each part:
    `control` and `treated` are executions in a round of either cell, `price_…` the cycles of one, `change_…`
    the ends of what the difference costs in cycles. By `kind`, "instruction", "operation" and "rest" add up
    to "sum", end by end; "relative" has the change in percent of the control's cycles; "without a price" are
    counts of costly instructions that are in the rest. Empty where nothing was counted.

    Raises InputError on damage of either, and for an `ipc` that is no range.
    """
    read = pricelist.read(pricelist.find(str(prices)))
    if ipc is not None:
        read = msgspec.structs.replace(read, ipc=Ipc(low=ipc[0], high=ipc[1]))
    stored = reader.read_campaign(Path(path))
    found = list(rows(stored.name, measurements.source(stored), read))
    return pd.DataFrame(found, columns=list(TYPES)).astype(TYPES)


def rows(campaign: str, source: Source, prices: PriceList) -> Iterator[dict[str, object]]:
    """The same as rows of JSON."""
    for projection in pricing.project(source, prices):
        for row in _rows(projection):
            yield {
                "campaign": campaign,
                "prices": prices.name,
                "workload": projection.workload,
                "process": str(projection.process),
                "comparison": str(projection.comparison),
                **row,
            }


def _rows(projection: Projection) -> Iterator[dict[str, object]]:
    for part in projection.parts:
        price = {"price_low": part.price.low, "price_high": part.price.high}
        change = {"change_low": part.change.low, "change_high": part.change.high}
        yield {**_counts(str(part.kind), part.name, part.control, part.treated), **price, **change}
    control, treated = projection.instructions
    whole = projection.change
    yield {
        **_counts(SUM, "all instructions", control, treated),
        **{"price_low": None, "price_high": None, "change_low": whole.low, "change_high": whole.high},
    }
    ends = {f"change_{end}": 100 * (getattr(projection.relative, end) - 1) for end in ("low", "high")}
    relative = _counts(RELATIVE, "all instructions", control, treated, unit="percent")
    yield {**relative, "price_low": None, "price_high": None, **ends}
    for each in projection.unpriced:
        nothing = dict.fromkeys(("price_low", "price_high", "change_low", "change_high"))
        yield {**_counts(UNPRICED, each.name, each.control, each.treated), **nothing}


def _counts(
    kind: str, part: str, control: float, treated: float, *, unit: str = "cycles"
) -> dict[str, object]:
    return {"kind": kind, "part": part, "control": control, "treated": treated, "unit": unit}
