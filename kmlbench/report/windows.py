# SPDX-License-Identifier: MIT
"""How far the windows of the instrument vary, as a section of the report, with a warning of two modes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from kmlbench.analysis import modes
from kmlbench.analysis.modes import Spread
from kmlbench.report.sections import PageSection
from kmlbench.report.tables import Table, TableGroup, TableRow
from kmlbench.results.reader import StoredCampaign
from kmlbench.stats import format
from kmlbench.stats.format import Cell

NOTE = (
    "Relative standard deviations of the instructions of server and client: of the windows within their "
    "trials, and of the trials, each of which is another boot and another start of the server. A window is "
    f"in another mode when it is over {modes.OFF * 100:g} % from the median of its cell, and ten times as "
    "far as half of all windows are."
)

COLUMNS = ("windows", "within trials", "between trials", "in another mode", "their distance")


def window_sections(stored: StoredCampaign) -> tuple[PageSection, ...]:
    """The section, where the instrument recorded trials."""
    spreads = modes.spreads(stored)
    if not spreads:
        return ()
    by_workload = groupby(spreads, key=lambda spread: spread.workload)
    return (
        PageSection(
            identifier="windows",
            title="Windows: spread and modes",
            note=" ".join([*warnings(spreads), NOTE]),
            tables=tuple(_table(workload, tuple(cells)) for workload, cells in by_workload),
            pictures=(),
        ),
    )


def warnings(spreads: Sequence[Spread]) -> list[str]:
    """A sentence for each workload with windows in another mode."""
    off = [spread for spread in spreads if spread.off]
    return [
        f"{workload} ran in more than one mode ({', '.join(map(_counted, cells))}): the means of its "
        "instructions contain both."
        for workload, cells in groupby(off, key=lambda spread: spread.workload)
    ]


def _counted(spread: Spread) -> str:
    return f"{spread.cell}: {spread.off} of {spread.windows} windows"


def _table(workload: str, cells: Sequence[Spread]) -> Table:
    rows = tuple(
        TableRow(
            label=str(spread.cell),
            kind="cell",
            cells=(
                Cell(text=str(spread.windows)),
                _relative(spread.within),
                _relative(spread.between),
                Cell(text=str(spread.off)),
                Cell(text=f"{format.percent(1 + spread.effect)} %" if spread.off else "–"),
            ),
        )
        for spread in sorted(cells, key=lambda spread: str(spread.cell), reverse=True)
    )
    return Table(
        caption=f"{workload}: how far windows vary",
        columns=COLUMNS,
        metrics=("instructions",) * len(COLUMNS),
        groups=(TableGroup(title="instructions of a round", rows=rows),),
    )


def _relative(spread: float | None) -> Cell:
    if spread is None:
        return Cell(text="–", aside="a single one")
    return Cell(text=f"{spread * 100:.3f} %")
