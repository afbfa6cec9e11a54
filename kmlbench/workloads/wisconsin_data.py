# SPDX-License-Identifier: MIT
"""The Wisconsin benchmark: its tables, its data, its statements and its golden end.

Source: Bitton, DeWitt, Turbyfill, "Benchmarking Database Systems" (VLDB 1983); the generator is DeWitt's
(The Benchmark Handbook). The 24 statements are those of MySQL's sql-bench 4.x, the 32 queries those of
PostgreSQL's old src/test/bench and, for MIN and SUM by groups, of the Handbook.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from kmlbench.errors import InputError
from kmlbench.workloads import files

DATASET = "wisconsin"

NOT_NULL = ("unique1", "unique2", "hundred")

INTEGERS = (
    *("unique1", "unique2", "two", "four", "ten", "twenty", "hundred"),
    *("thousand", "twothousand", "fivethous", "tenthous", "odd", "even"),
)

STRINGS = ("stringu1", "stringu2", "string4")

COLUMNS = INTEGERS + STRINGS

BPRIME_ROWS = 1000

Row = tuple[int | str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Generator:
    """Constants of one permutation: unique1 walks the powers of `generator` modulo the prime `modulus`.

    The remainders of hundred, thousand, twothousand, fivethous and tenthous are by 100 ... 10000, divided
    by `divisor`.
    """

    rows: int
    generator: int
    modulus: int
    divisor: int


ONEK = Generator(rows=1000, generator=279, modulus=1009, divisor=10)

TENK = Generator(rows=10000, generator=2969, modulus=10007, divisor=1)

TABLES = {"onek": ONEK, "tenk1": TENK, "tenk2": TENK, "Bprime": TENK}


def rows(spec: Generator) -> Iterator[Row]:
    """The rows in the order of unique2, each in the order of COLUMNS."""
    seed = spec.generator
    for unique2 in range(spec.rows):
        seed = _next(seed, spec)
        yield _row(seed - 1, unique2, spec.divisor)


def csv_line(row: Row) -> str:
    """One row as the reference files have it: strings in single quotes, integers bare, a newline."""
    return ",".join(f"'{cell}'" if isinstance(cell, str) else str(cell) for cell in row) + "\n"


def _next(seed: int, spec: Generator) -> int:
    seed = seed * spec.generator % spec.modulus
    while seed > spec.rows:
        seed = seed * spec.generator % spec.modulus
    return seed


def _row(unique1: int, unique2: int, divisor: int) -> Row:
    small = tuple(unique1 % modulus for modulus in (2, 4, 10, 20))
    large = tuple(unique1 % (modulus // divisor) for modulus in (100, 1000, 2000, 5000, 10000))
    # The names odd and even are swapped with the parity in the original too.
    parity = (2 * large[0], 2 * large[0] + 1)
    strings = (_letters(unique1 % 676), _letters(unique2), "AHOV"[unique2 % 4] * 4 + "xx")
    return (unique1, unique2, *small, *large, *parity, *strings)


def _letters(number: int) -> str:
    """Base 26 with A as 0, least significant letter first, six letters."""
    letters = ""
    for _ in range(6):
        number, digit = divmod(number, 26)
        letters += chr(ord("A") + digit)
    return letters


class StatementKind(StrEnum):
    """A query runs `loops` times and returns rows; a modification runs once and changes rows."""

    QUERY = "query"
    MODIFY = "modify"


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One of the 24, and the rows it returns or changes each time."""

    kind: StatementKind
    rows: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """What tenk1 holds after one run."""

    rows: int
    sum_unique1: int
    sum_unique2: int


GOLDEN_END = End(rows=10000, sum_unique1=50_069_518, sum_unique2=50_284_216)

END_QUERY = "SELECT COUNT(*), SUM(unique1), SUM(unique2) FROM tenk1"

_STATEMENT = re.compile(r'   \{kind = "(query|modify)", rows = (\d+), text = \[\[([^\n\]]+)\]\]\},')


class Form(StrEnum):
    """The two forms, by their files beside workloads/wisconsin/wisconsin.lua."""

    STATEMENTS_24 = "statements.lua"
    QUERIES_32 = "statements32.lua"


def statements(form: Form = Form.STATEMENTS_24) -> tuple[Statement, ...]:
    """The statements of a form, in order."""
    return parse_statements(files.read_data(f"wisconsin/{form}"))


def parse_statements(text: str) -> tuple[Statement, ...]:
    """Read the statement file, a Lua table. Raises InputError when a line is not one whole entry of it."""
    _, opening, rest = text.partition("\nreturn {\n")
    lines, closing = rest.removesuffix("}\n").splitlines(), rest.endswith("}\n")
    if not opening or not closing or not lines:
        raise InputError("statements.lua: not a Lua table of one statement a line")
    return tuple(_statement(line) for line in lines)


def _statement(line: str) -> Statement:
    match = _STATEMENT.fullmatch(line)
    if match is None:
        raise InputError(f"statements.lua: not a statement with its kind and its rows: {line.strip()[:60]}")
    kind, count, text = match.groups()
    return Statement(kind=StatementKind(kind), rows=int(count), text=text)
