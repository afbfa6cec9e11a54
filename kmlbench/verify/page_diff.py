# SPDX-License-Identifier: MIT
"""Where two reports first differ, as a reader would look it up: section, table, row, column."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

from kmlbench.report.render import Mark, Piece, Place

LONGEST = 60

DRAWING = re.compile(r"data:image/svg\+xml;base64,[A-Za-z0-9+/=]*")

FIGURE = "figure"

# Fields that are no columns of a row: what it holds, and what names it.
PARTS = {"tables", "groups", "rows", "pictures", "caption", "label"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A text or a number of a report, and its place."""

    place: Place
    value: object


def data_difference(stored: object, derived: object) -> str | None:
    """The first difference between two reports as data, in a sentence; None if they are the same."""
    if stored == derived:
        return None
    for ours, theirs in zip_longest(_items(stored, Place()), _items(derived, Place())):
        if ours is None:
            return f"{theirs.place}: {_short(theirs.value)} is derived and is not there"
        if theirs is None:
            return f"{ours.place}: {_short(ours.value)} is there and is not derived"
        if ours != theirs:
            return f"{theirs.place}: {_short(ours.value)} is there, {_short(theirs.value)} is derived"
    return "its fields are in another order"


def page_difference(stored: str, derived: Sequence[Piece], *, pictures: bool = True) -> str | None:
    """The first difference between a page and the pieces of the derived one; None if they are the same.

    Without `pictures` their drawings are not looked at, but their alternative texts are.
    """
    if not pictures:
        stored = DRAWING.sub("", stored)
        derived = [replace(piece, text=DRAWING.sub("", piece.text)) for piece in derived]
    whole = "".join(piece.text for piece in derived)
    if stored == whole:
        return None
    at = next(index for index, pair in enumerate(zip_longest(stored, whole)) if pair[0] != pair[1])
    place = _place(derived, at)
    if place.part == FIGURE:
        return f"{place}: one drawing is there, one drawing is derived"
    if place.part:
        ours, theirs = (_attribute(text, at) for text in (stored, whole))
        return f"{place}: {_short(ours)} is there, {_short(theirs)} is derived"
    (_, ours), (start, theirs) = (_text(text, at) for text in (stored, whole))
    if ours == theirs:
        return f"line {whole.count(chr(10), 0, at) + 1} differs in its mark-up"
    return f"{_place(derived, start)}: {_short(ours)} is there, {_short(theirs)} is derived"


def _place(pieces: Sequence[Piece], at: int) -> Place:
    """Where the character at this index stands."""
    end = 0
    for piece in pieces:
        end += len(piece.text)
        if at < end:
            return piece.place
    return pieces[-1].place


def _attribute(page: str, at: int) -> str:
    """The attribute around an index."""
    return page[page.rfind('"', 0, at) + 1 :].partition('"')[0]


def _text(page: str, at: int) -> tuple[int, str]:
    """The text at an index, or the first behind it where there is mark-up or nothing, and where it begins."""
    tag, text = page.rfind("<", 0, at), page.rfind(">", 0, at)
    start = text + 1 if text > tag else page.find(">", at) + 1 or len(page)
    while start < len(page):
        end = page.find("<", start) if "<" in page[start:] else len(page)
        if words := " ".join(page[start:end].split()):
            return start, words
        start = page.find(">", end) + 1 or len(page)
    return len(page), ""


def _items(data: object, place: Place, columns: Sequence[str] = ()) -> Iterator[Item]:
    """The values of a report as `page.as_data` has it, in order."""
    match data:
        case dict():
            place, named = _named(data, place), data.get("columns")
            columns = named if isinstance(named, list) else columns
            for name, value in data.items():
                if name == "cells" and isinstance(value, list):
                    for column, cell in zip_longest(columns, value, fillvalue=""):
                        yield from _items(cell, place.at(Mark.COLUMN, str(column)))
                else:
                    yield from _items(value, _inside(place, name), columns)
        case list():
            for value in data:
                yield from _items(value, place, columns)
        case _:
            yield Item(place=place, value=data)


def _named(data: Mapping[str, object], place: Place) -> Place:
    """The place of a mapping that has a name of its own."""
    match data:
        case {"identifier": _, "title": title, "workload": workload}:
            return place.at(Mark.SECTION, f"{workload}: {title}" if workload else str(title))
        case {"workload": workload, "answer": _}:
            return place.at(Mark.SECTION, str(workload))
        case {"caption": caption, "groups": _}:
            return place.at(Mark.TABLE, str(caption))
        case {"title": name, "rows": _} | {"label": name} | {"name": name, "agrees": _} | {"cell": name}:
            return place.at(Mark.ROW, str(name))
        case {"trial": {"position": position}}:
            return place.at(Mark.ROW, str(position))
    return place


def _inside(place: Place, name: str) -> Place:
    """The place of a field: a section of the page, a column of a row, or a part of neither."""
    if name in PARTS or place.column:
        return place
    if not place.section:
        return place.at(Mark.SECTION, name)
    return place.at(Mark.COLUMN if place.row else Mark.PART, name)


def _short(value: object) -> str:
    text = value if isinstance(value, str) else str(value)
    return repr(text if len(text) <= LONGEST else f"{text[:LONGEST]}…")
