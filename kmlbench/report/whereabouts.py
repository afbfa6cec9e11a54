# SPDX-License-Identifier: MIT
"""Where the instructions went, as a part of the report: a bar chart and two tables for each workload."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from kmlbench.analysis.whereabouts import Part, Whereabouts
from kmlbench.instrument.subsystems import UNKNOWN
from kmlbench.report import plots
from kmlbench.report.figures import BarPlot, Picture, picture
from kmlbench.report.plots import Bar
from kmlbench.report.sections import PageSection
from kmlbench.report.tables import Table, TableGroup, TableRow
from kmlbench.stats import format
from kmlbench.stats.format import Cell

FUNCTIONS = 20

NOTE = (
    "Every instruction of server and client between the marks, in a round, as means over the trials of a "
    "cell. The parts add up to the whole: nothing is left over. Functions of the kernel are grouped by their "
    f"names; “{UNKNOWN}” are those that no pattern knows."
)


def whereabouts_sections(shown: Sequence[Whereabouts], directory: Path) -> tuple[PageSection, ...]:
    """A part of each of these workloads."""
    return tuple(
        PageSection(
            identifier="whereabouts",
            title="Where the instructions went",
            note=NOTE,
            tables=(_subsystems(workload), _functions(workload)),
            pictures=(_picture(workload, directory),),
            workload=workload.workload,
            side_by_side=True,
        )
        for workload in shown
    )


def _subsystems(workload: Whereabouts) -> Table:
    parts = (*workload.subsystems, workload.whole)
    return _table(workload, parts, caption=f"{workload.workload}: by subsystem", heading="subsystem")


def _functions(workload: Whereabouts) -> Table:
    shown, rest = workload.functions[:FUNCTIONS], workload.functions[FUNCTIONS:]
    remaining = Part(
        name=f"the other {len(rest)} functions",
        control=sum(part.control for part in rest),
        treated=sum(part.treated for part in rest),
    )
    caption = f"{workload.workload}: the {len(shown)} functions that changed most"
    table = _table(
        workload,
        (*shown, *([remaining] if rest else ()), workload.whole),
        caption=caption,
        heading="function",
    )
    return replace(table, fold="By function")


def _table(workload: Whereabouts, parts: tuple[Part, ...], *, caption: str, heading: str) -> Table:
    comparison = workload.comparison
    columns = (str(comparison.control), str(comparison.treated), "change", "of the control's whole")
    rows = tuple(TableRow(label=part.name, cells=_cells(part, workload.whole)) for part in parts)
    return Table(
        caption=caption,
        columns=columns,
        groups=(TableGroup(title="instructions of a round", rows=rows),),
        heading=heading,
        first_change=2,
    )


def _cells(part: Part, whole: Part) -> tuple[Cell, ...]:
    places = 1
    share = 1 + part.change / whole.control if whole.control else 1.0
    return (
        Cell(text=format.plain(part.control, places)),
        Cell(text=format.plain(part.treated, places)),
        Cell(text=_signed(part.change, places)),
        Cell(text=f"{format.percent(share)} %"),
    )


def _signed(number: float, places: int) -> str:
    rounded = round(number, places) or 0.0  # no negative zero
    text = format.plain(rounded, places)
    return f"+{text}" if rounded > 0 else text


def _picture(workload: Whereabouts, directory: Path) -> Picture:
    bars = [Bar(label=part.name, value=part.change) for part in (*workload.subsystems, workload.whole)]
    title, axis = f"{workload.workload}: where the instructions went", "instructions of a round"
    in_words = "; ".join(f"{bar.label} {_signed(bar.value, 1)}" for bar in bars)
    plot = BarPlot(
        name=f"{workload.workload}-whereabouts",
        caption=f"Instructions of a round, {workload.comparison}, by subsystem; below, the sum of all bars.",
        alternative=f"{title}. {in_words}.",
        bars=bars,
        draw=lambda theme: plots.draw_bars(bars, title=title, axis=axis, theme=theme),
    )
    return picture(plot, directory)
