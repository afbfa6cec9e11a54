# SPDX-License-Identifier: MIT
"""How far the windows of the instrument vary, as a part of the report, with a warning of other modes."""

from __future__ import annotations

from collections.abc import Sequence

from kmlbench.analysis import modes
from kmlbench.analysis.modes import CellModes, Spread
from kmlbench.report.sections import PageSection
from kmlbench.report.tables import Table, TableGroup, TableRow
from kmlbench.results.reader import StoredCampaign
from kmlbench.stats import format
from kmlbench.stats.format import Cell

NOTE = (
    "Relative standard deviations of the instructions of server and client in a round. What all cells of a "
    "block share, such as the order of the trials, cancels in every comparison; what boots and starts of the "
    "server differ by does not. Windows at the same place of two trials did the same work. One is in another "
    f"mode when it is over {modes.OFF * 100:g} % from what its place and its cell say, and ten times as far "
    "as half of all windows are."
)

VARIES = ("between blocks", "between boots", "between starts", "between windows")


def window_sections(stored: StoredCampaign) -> tuple[PageSection, ...]:
    """A part of each workload whose trials the instrument recorded."""
    return tuple(map(_section, modes.spreads(stored)))


def _section(spread: Spread) -> PageSection:
    return PageSection(
        identifier="windows",
        title="Windows: spread and modes",
        note=NOTE,
        tables=(_varies(spread), _cells(spread)),
        pictures=(),
        workload=spread.workload,
        warnings=tuple(modes.warnings([spread])),
    )


def _varies(spread: Spread) -> Table:
    varies = spread.varies
    deviations = (varies.blocks, varies.boots, varies.starts, _typical(spread.cells))
    row = TableRow(label="instructions of a round", cells=tuple(map(_relative, deviations)))
    return Table(
        caption=f"{spread.workload}: what varies, told apart",
        columns=VARIES,
        groups=(TableGroup(title="standard deviation", rows=(row,)),),
    )


def _typical(cells: Sequence[CellModes]) -> float | None:
    """The root of the mean variance."""
    within = [cell.within for cell in cells if cell.within is not None]
    return (sum(each**2 for each in within) / len(within)) ** 0.5 if within else None


def _cells(spread: Spread) -> Table:
    rows = (
        ("windows", [Cell(text=str(cell.windows)) for cell in spread.cells]),
        ("standard deviation in a trial", [_relative(cell.within) for cell in spread.cells]),
        ("windows in another mode", [Cell(text=str(cell.off)) for cell in spread.cells]),
        ("their distance", list(map(_distance, spread.cells))),
    )
    return Table(
        caption=f"{spread.workload}: its windows",
        columns=tuple(str(cell.cell) for cell in spread.cells),
        groups=(
            TableGroup(
                title="instructions of a round",
                rows=tuple(TableRow(label=label, cells=tuple(cells)) for label, cells in rows),
            ),
        ),
    )


def _distance(cell: CellModes) -> Cell:
    return Cell(text=f"{format.percent(1 + cell.distance)} %" if cell.off else "–")


def _relative(spread: float | None) -> Cell:
    if spread is None:
        return Cell(text="–", aside="a single one")
    return Cell(text=f"{spread * 100:.3f} %")
