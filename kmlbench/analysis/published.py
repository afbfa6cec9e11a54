# SPDX-License-Identifier: MIT
"""What others published of the same loads: effects, each with its platform and the words of its source.

One TOML file for each of them in data/published/ (data/published/README.md describes it). Nothing here takes
part in an estimate or a verdict.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Annotated, Literal

from msgspec import Meta, Struct

from kmlbench.errors import MachineError
from kmlbench.paths import PUBLISHED, PUBLISHED_PAGE
from kmlbench.prices.pricelist import MOST, Source, Text
from kmlbench.results import datafile
from kmlbench.results.datafile import repeated
from kmlbench.results.lines import Word
from kmlbench.workloads.levels import split_level
from kmlbench.workloads.registry import METRICS

REMEDY = f"{PUBLISHED_PAGE} describes these files"

# A change in percent. Nothing falls by more than all of it.
Percent = Annotated[float, Meta(ge=-100, le=1e6)]

Amount = Annotated[float, Meta(gt=0, le=MOST)]


class Range(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The least and the greatest change, in percent, over the settings of a source."""

    low: Percent
    high: Percent

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError(f"low ({self.low:g}) is above high ({self.high:g})")


class Bounds(Range, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An interval of a change, in percent, and its level in percent."""

    level: Annotated[float, Meta(gt=0, lt=100)]


class Amounts(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was measured without and with the change."""

    control: Amount
    treated: Amount
    unit: Text

    @property
    def percent(self) -> float:
        """The change from the one to the other."""
        return (self.treated / self.control - 1) * 100


class Figure(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One effect: exactly one of `percent`, `range`, `at_most` and `amounts`.

    `workloads` name the same load here. `at_most` is the largest change, in percent, of a source that says
    "up to". `quote` has the source's own words; `computed` says how the figure was derived from its data. A
    figure that Table 2 has names the metric of that row in `beside`.
    """

    workloads: Annotated[tuple[Word, ...], Meta(min_length=1)]
    load: Text
    measure: Text
    against: Text
    platform: Text
    source: Text
    place: Text | None = None
    quote: Text | None = None
    computed: Text | None = None
    percent: Percent | None = None
    interval: Bounds | None = None
    range: Range | None = None
    at_most: Percent | None = None
    amounts: Amounts | None = None
    beside: str | None = None

    def __post_init__(self) -> None:
        effects = {"percent", "range", "at_most", "amounts"}
        given = sorted(name for name in effects if getattr(self, name) is not None)
        if len(given) != 1:
            raise ValueError(
                f"a figure has one of {', '.join(sorted(effects))}; this has {' and '.join(given) or 'none'}"
            )
        if self.quote is None and self.computed is None:
            raise ValueError("a figure has the words of its source (quote), or how it was computed from it")
        self._check_interval()
        if self.beside is not None and (self.beside not in METRICS or self.amounts is None):
            raise ValueError(f'beside is "{self.beside}": it takes a metric, and a figure of amounts')

    def _check_interval(self) -> None:
        if self.interval is None:
            return
        if self.percent is None:
            raise ValueError("an interval is that of a percent")
        if not self.interval.low <= self.percent <= self.interval.high:
            raise ValueError(f"percent ({self.percent:g}) is not in its interval")


class Peer(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A project and what it published; `about` says what it is."""

    format: Literal[1]
    name: Text
    about: Text
    source: Annotated[tuple[Source, ...], Meta(min_length=1)]
    figure: Annotated[tuple[Figure, ...], Meta(min_length=1)]

    def __post_init__(self) -> None:
        known = [source.id for source in self.source]
        if twice := repeated(known):
            raise ValueError(f'source "{twice}" is listed twice')
        for figure in self.figure:
            if figure.source not in known:
                raise ValueError(f'a figure has the source "{figure.source}", which is not listed')

    def source_of(self, figure: Figure) -> Source:
        """Where a figure comes from."""
        return next(source for source in self.source if source.id == figure.source)

    def of(self, workload: str) -> tuple[Figure, ...]:
        """The figures of a workload, at any level of threads, that stand nowhere else."""
        name, _ = split_level(workload)
        return tuple(figure for figure in self.figure if name in figure.workloads and not figure.beside)


@cache
def peers() -> tuple[Peer, ...]:
    """Everyone whose figures come with the program, by name.

    Raises InputError where a file has a fault, MachineError if the package was copied without its data.
    """
    paths = sorted(PUBLISHED.glob("*.toml"))
    if not paths:
        raise MachineError(
            f"this copy of the package lacks its data: {PUBLISHED} has no published figures",
            remedy="install kmlbench from its wheel or its checkout (pip install), or run it in a checkout",
        )
    found = (datafile.read(path, Peer, remedy=REMEDY) for path in paths)
    return tuple(sorted(found, key=lambda peer: peer.name))


def parse(text: str, *, name: str) -> Peer:
    """What a file with this text says; it is called `name` in messages. Raises InputError."""
    return datafile.parse(text, Peer, name=name, remedy=REMEDY)


def elsewhere(workload: str) -> Iterator[tuple[Peer, tuple[Figure, ...]]]:
    """Who published something of a workload, and what."""
    for peer in peers():
        if figures := peer.of(workload):
            yield peer, figures


def beside(metric: str) -> Amounts | None:
    """The amounts that Table 2 has beside a metric."""
    figures = (figure for peer in peers() for figure in peer.figure if figure.beside == metric)
    return next((figure.amounts for figure in figures if figure.amounts), None)
