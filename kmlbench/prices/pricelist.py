# SPDX-License-Identifier: MIT
"""Price lists: what costly instructions and ways into the kernel cost on a processor, each with its source.

A TOML file, such as those in data/prices/ (data/prices/README.md describes it):

    format = 1
    name = "…"                                       # as shown with every figure
    processor = "…"
    cycles = "core"                                  # or "tsc": what a cycle is

    [[source]]
    id = "guide"
    title = "…"

    [[price]]
    of = "syscall"                                   # an instruction of the census, or an Operation
    source = "guide"
    place = "Table 13, page 300"
    cycles = { low = 27, high = 27 }
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

import msgspec
import tomli_w
from msgspec import Meta, Struct

from kmlbench.errors import InputError
from kmlbench.paths import PRICES, PRICES_PAGE
from kmlbench.results import datafile
from kmlbench.results.datafile import repeated
from kmlbench.workloads.metrics import COSTLY

REMEDY = f"{PRICES_PAGE} describes price lists; `kmlbench costs --list` names those that are there"

# Larger than any price that makes sense, small enough to compute with.
MOST = 1e12

LEAST_IPC = 0.01

Number = Annotated[float, Meta(ge=0, le=MOST)]

# What is shown in one line.
Text = Annotated[str, Meta(min_length=1, max_length=400, pattern=r"\A[^\x00-\x1f\x7f]*\Z")]


class Operation(StrEnum):
    """What a machine is also asked, none of which is one instruction of the census."""

    SYSTEM_CALL = "system_call"
    GETPID = "getpid"
    CALL_RETURN = "call_return"
    ADD = "add"
    PAGE_FAULT = "page_fault"
    SIGNAL = "signal"
    CONTEXT_SWITCH = "context_switch"


class CycleKind(StrEnum):
    """What a cycle of a list is: one of the core, or one of the time-stamp counter, whose rate is fixed."""

    CORE = "core"
    TSC = "tsc"


class Range(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A number that is known to lie between two."""

    low: Number
    high: Number

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError(f"low ({self.low:g}) is above high ({self.high:g})")


class Ipc(Range, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Instructions per cycle that are assumed of what has no price."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.low < LEAST_IPC:
            raise ValueError(f"low ({self.low:g}) is less than {LEAST_IPC:g} instructions a cycle")


class Figure(Range, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A price. Measured: a median with its interval (low, high), the least and the most of all batches."""

    median: Number | None = None
    least: Number | None = None
    most: Number | None = None


class Source(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Where figures come from."""

    id: Text
    title: Text
    author: Text | None = None
    date: Text | None = None
    url: Text | None = None


class Price(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What one instruction or operation costs.

    `instructions` are all that an operation executes, of user and kernel. `place` is in the source, `quote`
    its own words.
    """

    of: str
    source: str
    place: Text | None = None
    quote: Text | None = None
    cycles: Figure | None = None
    nanoseconds: Figure | None = None
    instructions: Range | None = None

    def __post_init__(self) -> None:
        if self.of not in {*COSTLY, *Operation}:
            raise ValueError(f'"{self.of}" is neither an instruction of the census nor an operation')
        if self.cycles is None and self.nanoseconds is None:
            raise ValueError(f'the price of "{self.of}" has neither cycles nor nanoseconds')


class Machine(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The machine that prices were measured on, as it said itself."""

    measured_utc: Text
    kernel: Text
    processor_id: Text
    microcode: Text
    virtual_machine: Text
    compiler: Text
    mitigations: tuple[Text, ...] = ()
    left_out: tuple[Text, ...] = ()


class PriceList(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The prices of a processor; `measured` where a machine was asked and nothing read."""

    format: Literal[1]
    name: Text
    processor: Text
    cycles: CycleKind
    source: Annotated[tuple[Source, ...], Meta(min_length=1)]
    price: Annotated[tuple[Price, ...], Meta(min_length=1)]
    ipc: Ipc = Ipc(low=0.5, high=2.0)
    remark: Text | None = None
    measured: Machine | None = None

    def __post_init__(self) -> None:
        known = [source.id for source in self.source]
        if twice := repeated(known):
            raise ValueError(f'source "{twice}" is listed twice')
        if twice := repeated([price.of for price in self.price]):
            raise ValueError(f'"{twice}" has two prices')
        for price in self.price:
            if price.source not in known:
                raise ValueError(
                    f'the price of "{price.of}" has the source "{price.source}", which is not listed'
                )

    def of(self, name: str) -> Price | None:
        """The price of an instruction of the census, or of an operation."""
        return next((price for price in self.price if price.of == name), None)

    def source_of(self, price: Price) -> Source:
        """Where a price comes from."""
        return next(source for source in self.source if source.id == price.source)


def published() -> Mapping[str, Path]:
    """The lists that come with the program, by their names on the command line."""
    return {path.stem: path for path in sorted(PRICES.glob("*.toml"))}


def find(name: str) -> Path:
    """The file of a name in `published`, or the file at this path. Raises InputError if there is neither."""
    known = published()
    if name in known:
        return known[name]
    if Path(name).exists():
        return Path(name)
    raise InputError(
        f"prices: {name!r} is no file, and no list that comes with the program",
        remedy=f"name a file that `kmlbench costs --here` wrote, or one of {', '.join(known)}",
    )


def read(path: Path) -> PriceList:
    """The list in a file. Raises InputError that names the file, the line and what is wrong there."""
    return datafile.read(path, PriceList, remedy=REMEDY)


def parse(text: str, *, name: str) -> PriceList:
    """The list in `text`, which is called `name` in messages. Raises InputError."""
    return datafile.parse(text, PriceList, name=name, remedy=REMEDY)


def toml(prices: PriceList) -> str:
    """The content of a file that `parse` reads as the same list."""
    return f"# SPDX-License-Identifier: MIT\n{tomli_w.dumps(msgspec.to_builtins(prices))}"
