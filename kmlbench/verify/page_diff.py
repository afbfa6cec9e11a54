# SPDX-License-Identifier: MIT
"""Where two reports differ first, said as a reader would find it: heading, table, row, column."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from itertools import zip_longest

LONGEST = 60

PICTURES = ("src", "srcset")

MADE_WITH = "kmlbench-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """A piece of text or a picture of a page, and its place in words."""

    place: str
    text: str
    picture: bool = False


def difference(found: str, derived: str, *, pictures: bool = True) -> str | None:
    """The first difference between two pages in a sentence; None if they are the same.

    Without `pictures` their drawings are not looked at, but their alternative texts are.
    """
    if found == derived:
        return None
    for ours, theirs in zip_longest(_items(found, pictures), _items(derived, pictures)):
        if ours is None:
            return f"{theirs.place}: {_short(theirs)} is derived and is not there"
        if theirs is None:
            return f"{ours.place}: {_short(ours)} is there and is not derived"
        if (ours.place, ours.text) != (theirs.place, theirs.text):
            return f"{theirs.place}: {_short(ours)} is there, {_short(theirs)} is derived"
    return _line(found, derived) if pictures else None


def made_with(page: str, what: str) -> str | None:
    """What a page says it was made with, such as its "control"; empty: without. None: it does not say."""
    reader = _Reader()
    reader.feed(page.partition("<body>")[0])
    return reader.made_with.get(what)


def _items(page: str, pictures: bool) -> Iterator[Item]:
    reader = _Reader()
    reader.feed(page)
    reader.close()
    return (item for item in reader.items if pictures or not item.picture)


def _line(found: str, derived: str) -> str:
    pairs = zip_longest(found.splitlines(), derived.splitlines())
    number = next(number for number, (ours, theirs) in enumerate(pairs, start=1) if ours != theirs)
    return f"line {number} differs in its mark-up"


def _short(item: Item) -> str:
    if item.picture:
        return "one drawing"
    return repr(item.text if len(item.text) <= LONGEST else f"{item.text[:LONGEST]}…")


@dataclass
class _Place:
    """Where in the page the parser stands."""

    heading: str = ""
    caption: str = ""
    row: str = ""
    column: int = -1
    columns: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        column = self.columns[self.column] if 0 <= self.column < len(self.columns) else ""
        named = (("table", self.caption), ("row", self.row), ("column", column))
        parts = [self.heading or "the page's head", *(f"{what} {name!r}" for what, name in named if name)]
        return ", ".join(parts)


class _Reader(HTMLParser):
    """Collects the items of a page. Knows the marks of the report's template and no others."""

    def __init__(self) -> None:
        super().__init__()
        self.items: list[Item] = []
        self.made_with: dict[str, str] = {}
        self._place = _Place()
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open.append(tag)
        match tag:
            case "h2":
                self._place = _Place()
            case "table":
                self._place = _Place(heading=self._place.heading)
            case "tr":
                self._place.row, self._place.column = "", -1
            case "th" | "td":
                self._place.column += 1
            case "meta":
                self._meta(dict(attrs))
            case "img" | "source":
                self._picture(dict(attrs))

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass
        if tag == "table":
            self._place = _Place(heading=self._place.heading)

    def handle_data(self, data: str) -> None:
        text = " ".join(data.split())
        if not text:
            return
        self.items.append(Item(place=str(self._place), text=text))
        tag = next((tag for tag in reversed(self._open) if tag in ("h2", "caption", "th")), "")
        place = self._place
        if tag == "h2":
            place.heading = text
        elif tag == "caption":
            place.caption = text
        elif tag == "th" and "thead" in self._open:
            place.columns.append(text)
        elif tag == "th" and place.column == 0 and not place.row:
            place.row = text

    def _meta(self, attributes: dict[str, str | None]) -> None:
        name, content = attributes.get("name") or "", attributes.get("content") or ""
        if name.startswith(MADE_WITH):
            self.made_with[name.removeprefix(MADE_WITH)] = content

    def _picture(self, attributes: dict[str, str | None]) -> None:
        place = str(self._place)
        if alternative := attributes.get("alt"):
            self.items.append(Item(place=f"{place}, text of a figure", text=alternative))
        self.items += [
            Item(place=f"{place}, figure", text=attributes[name] or "", picture=True)
            for name in PICTURES
            if name in attributes
        ]
