# SPDX-License-Identifier: MIT
"""A page as HTML, and the place of each of its texts."""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from functools import cache
from itertools import accumulate

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from kmlbench.report.page import Page

_MARK = re.compile("\0(\\d+)\0")


class Mark(StrEnum):
    """What begins at a mark of the template."""

    SECTION = "section"
    TABLE = "table"
    ROW = "row"
    COLUMN = "column"
    PART = "part"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A place on a page; what is empty does not apply. `part` is that of a figure."""

    section: str = ""
    table: str = ""
    row: str = ""
    column: str = ""
    part: str = ""

    def __str__(self) -> str:
        named = ((name, getattr(self, name)) for name in (Mark.TABLE, Mark.ROW, Mark.COLUMN))
        parts = [self.section or "the page's head", *(f"{what} {text!r}" for what, text in named if text)]
        return ", ".join([*parts, *filter(None, [self.part])])

    def at(self, mark: Mark, text: str) -> Place:
        """The place after a mark of this text; marks further inside are cleared."""
        marks = list(Mark)
        inner = {str(inner_mark): "" for inner_mark in marks[marks.index(mark) + 1 :]}
        return replace(self, **{str(mark): text}, **inner)


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """The text of a page from one mark to the next."""

    place: Place
    text: str


def html(page: Page) -> str:
    """The page, for a browser that is offline."""
    return _render(page, lambda *_: Markup())


def pieces(page: Page) -> list[Piece]:
    """The same page in pieces, each with its place."""
    marks: list[tuple[Mark, str]] = []

    def mark(name: str, text: object) -> Markup:
        marks.append((Mark(name), str(text)))
        return Markup(f"\0{len(marks) - 1}\0")

    head, *rest = _MARK.split(_render(page, mark))
    reached = [marks[int(number)] for number in rest[::2]]
    places = accumulate(reached, lambda place, mark: place.at(*mark), initial=Place())
    return [Piece(place=place, text=text) for place, text in zip(places, (head, *rest[1::2]), strict=True)]


def _render(page: Page, mark: Callable[[str, object], Markup]) -> str:
    environment = _environment()
    shown = {field.name: getattr(page, field.name) for field in fields(page)}
    text = environment.get_template("report.html.j2").render(**shown, mark=mark, **_look(environment))
    # A command's output may contain bytes that are not text; they are shown as \udcXX.
    return text.encode(errors="backslashreplace").decode()


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("kmlbench.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _look(environment: Environment) -> dict[str, str]:
    """Style and script of the page, byte for byte: its policy has their hashes."""
    loader = environment.loader
    assert loader is not None  # this environment was made with one
    style, script = (loader.get_source(environment, name)[0] for name in ("report.css", "report.js"))
    return {"style": style, "script": script, "policy": _policy((style, script))}


def _policy(texts: Sequence[str]) -> str:
    """The page's policy: this style and this script, nothing else. Host output can neither load nor run."""
    styled, scripted = (b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in texts)
    return (
        f"default-src 'none'; img-src data:; style-src 'sha256-{styled}'; script-src 'sha256-{scripted}'; "
        "base-uri 'none'; form-action 'none'"
    )
