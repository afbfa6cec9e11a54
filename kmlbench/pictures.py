# SPDX-License-Identifier: MIT
"""Figures as the page shows them: drawn for a light and for a dark page, their data in a file beside it."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path

from kmlbench import plots
from kmlbench.figures import Plot


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A figure for a light and for a dark page, as data URIs. `data` is the name of its CSV file."""

    caption: str
    alternative: str
    light: str
    dark: str
    data: str


def picture(plot: Plot, directory: Path) -> Picture:
    """Draw a figure and store its drawings and its data in `directory`."""
    drawn = {name: plots.svg(plot.draw(theme)) for name, theme in (("", plots.LIGHT), ("-dark", plots.DARK))}
    for suffix, text in drawn.items():
        (directory / f"{plot.name}{suffix}.svg").write_text(text, encoding="utf-8")
    data = f"{plot.name}.csv"
    (directory / data).write_text(plots.table(plot.series), encoding="utf-8")
    return Picture(
        caption=plot.caption,
        alternative=plot.alternative,
        light=_data_uri(drawn[""]),
        dark=_data_uri(drawn["-dark"]),
        data=data,
    )


def _data_uri(svg: str) -> str:
    return "data:image/svg+xml;base64," + b64encode(svg.encode()).decode()
