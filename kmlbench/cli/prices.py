# SPDX-License-Identifier: MIT
"""The options that name price lists, and the lists that they name."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import msgspec

from kmlbench.errors import InputError
from kmlbench.prices import pricelist
from kmlbench.prices.pricelist import LEAST_IPC, Ipc, PriceList

# No processor retires as many.
MOST_IPC = 100.0


def add_options(parser: argparse.ArgumentParser, *, meaning: str) -> None:
    """Add --prices and --ipc."""
    parser.add_argument(
        "--prices",
        action="append",
        default=[],
        metavar="NAME",
        help=f"{meaning}: a list that `kmlbench costs --list` names, or a file that `kmlbench costs --here` "
        "wrote; may be given several times",
    )
    parser.add_argument(
        "--ipc",
        metavar="N[:N]",
        help="the instructions per cycle that --prices assumes of what has no price, or two between which "
        "they are (those of the list, 0.5:2)",
    )


def lists(names: Sequence[str], ipc: str | None) -> tuple[PriceList, ...]:
    """The price lists of the options, in order. Raises InputError."""
    if ipc is not None and not names:
        raise InputError("--ipc: it says something about --prices, which is not given")
    read = tuple(pricelist.read(pricelist.find(name)) for name in names)
    if ipc is None:
        return read
    assumed = _ipc(ipc)
    return tuple(msgspec.structs.replace(prices, ipc=assumed) for prices in read)


def _ipc(text: str) -> Ipc:
    low, _, high = text.partition(":")
    try:
        numbers = float(low), float(high or low)
    except ValueError:
        numbers = 0.0, 0.0
    if not LEAST_IPC <= numbers[0] <= numbers[1] <= MOST_IPC:
        raise InputError(
            f"--ipc: {text!r} is not a number of instructions per cycle from {LEAST_IPC:g} to {MOST_IPC:g}, "
            "or two, such as 0.5:2"
        )
    return Ipc(low=numbers[0], high=numbers[1])
