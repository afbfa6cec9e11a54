# SPDX-License-Identifier: MIT
"""What a workload file says: a program to measure, its server, and how to read what it prints.

docs/workload-files.md has every key. kmlbench.config.workloadfile reads files that people write, with their
faults; `load` reads what was checked before.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

import msgspec
import tomli_w

from kmlbench.errors import InputError
from kmlbench.rules import flag_field, number, plain_field, text_field
from kmlbench.workloads.base import Readiness

Argv = tuple[str, ...]

PREFIX = "{prefix}/"

PLACEHOLDERS = ("prefix", "directory", "socket", "port", "work", "seed", "threads")

# The whole name of a workload file, without its .toml, matches this.
NAME = "[a-z][a-z0-9_]{0,59}"

MOST_WORK = 1_000_000_000_000

_PLACEHOLDER = re.compile(rf"\{{({'|'.join(PLACEHOLDERS)})\}}")

_WORD = re.compile(r"\{([a-z_]+)\}")

_PROGRAM = re.compile(r"\{prefix\}/((?:bin|sbin|lib|libexec)/[^{}\s]+)")


class Quantity(StrEnum):
    """What a client may say about its run; each is a metric of the report."""

    UNITS = "units"
    THROUGHPUT = "throughput"
    LATENCY_MEAN = "latency_mean"
    LATENCY_P50 = "latency_p50"
    LATENCY_P90 = "latency_p90"
    LATENCY_P95 = "latency_p95"
    LATENCY_P99 = "latency_p99"
    LATENCY_MAX = "latency_max"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerProgram:
    """A server that runs beside the client, in the foreground, until SIGTERM."""

    argv: Argv = field(
        metadata=plain_field("the server's program and its arguments; it stays in the foreground")
    )
    ready: Readiness = field(metadata=plain_field("by what it is known to be ready: socket, port, or output"))
    pattern: str = field(
        default="", metadata=plain_field("for output: an expression of grep -E that a line it prints matches")
    )
    start_s: int = field(default=60, metadata=number("the seconds that it may take to become ready", 1, 3600))


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """The program that is measured.

    With two amounts of work the longer runs less the shorter ones are measured, without start-up; with one,
    whole runs. With `marks` the program marks its own windows, of so many units each (instrument/mark.h).
    """

    argv: Argv = field(metadata=plain_field("the measured program and its arguments"))
    work: tuple[int, ...] = field(
        default=(1,),
        metadata=plain_field("how much work a run does: one amount, or a shorter and a longer one"),
    )
    warm_up: int | None = field(
        default=None,
        metadata=number(
            "the work of the first run, which is not measured; by default the first amount", 1, MOST_WORK
        ),
    )
    rounds: int = field(default=5, metadata=number("how often each amount is measured in a trial", 1, 1000))
    threads: int = field(default=1, metadata=number("what {threads} stands for", 1, 1024))
    marks: int | None = field(
        default=None,
        metadata=number("the units of work in each window that the program marks itself", 1, MOST_WORK),
    )
    expect: tuple[str, ...] = field(
        default=(),
        metadata=plain_field(
            "regular expressions that match in what every run prints, or its answers are wrong"
        ),
    )
    any_status: bool = field(
        default=False, metadata=flag_field("whether a run that fails is measured like any other")
    )
    timeout_s: int = field(default=120, metadata=number("the seconds that a run may take", 1, 86400))


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A number in what a run prints: by a regular expression with one group, or by a path in its JSON."""

    metric: Quantity = field(
        metadata=plain_field("what the number is: units of work, throughput in 1/s, latency in ms")
    )
    pattern: str = field(
        default="", metadata=plain_field("a regular expression whose only group is the number")
    )
    json: str = field(
        default="",
        metadata=plain_field("the path of the number if the run prints JSON, such as results.0.rps"),
    )
    times: float = field(
        default=1.0,
        metadata=number("multiplies the number: 0.001 makes milliseconds of microseconds", 1e-12, 1e12),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A command after the measured runs, and what it must print."""

    argv: Argv = field(metadata=plain_field("a command that looks at what the runs left behind"))
    expect: str = field(metadata=plain_field("a regular expression that matches in what it prints"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A workload file. `name` is that of the file."""

    name: str = field(metadata=text_field("the name", pattern=NAME))
    about: str = field(default="", metadata=plain_field("one line: what it does"))
    unit: str = field(default="run", metadata=text_field("one unit of work: request, query, compilation"))
    packages: tuple[str, ...] = field(
        default=(), metadata=plain_field("the Debian packages that it needs in the guest image")
    )
    trusted: tuple[str, ...] = field(
        default=(),
        metadata=plain_field(
            "files below /usr, or patterns, that are copied below /trusted besides those named by {prefix}"
        ),
    )
    files: Mapping[str, str] = field(
        default_factory=dict,
        metadata=plain_field("text files by their names, written to {directory} before anything starts"),
    )
    prepare: tuple[Argv, ...] = field(
        default=(), metadata=plain_field("commands that run before the server starts")
    )
    server: ServerProgram | None = field(default=None, metadata=plain_field("the server"))
    load: tuple[Argv, ...] = field(
        default=(), metadata=plain_field("commands that run before the client, with the server")
    )
    client: Client = field(metadata=plain_field("the client, or the only program"))
    readings: tuple[Reading, ...] = field(
        default=(), metadata=plain_field("the numbers that the client prints")
    )
    checks: tuple[Check, ...] = field(
        default=(), metadata=plain_field("what is looked at after the measured runs")
    )

    @property
    def measured(self) -> tuple[str, ...]:
        """The programs that are measured, below a prefix; one may start another (`env`, `setpriv`)."""
        argvs = (self.client.argv, *(() if self.server is None else (self.server.argv,)))
        return tuple(dict.fromkeys(name for argv in argvs for name in _programs(argv)))

    @property
    def programs(self) -> tuple[str, ...]:
        """Everything named by {prefix}, and `trusted`: what must lie below both prefixes."""
        return tuple(dict.fromkeys((*_programs(self.words()), *self.trusted)))

    def words(self) -> Iterator[str]:
        """Every word of every command."""
        for argv in self.commands().values():
            yield from argv

    def commands(self) -> Mapping[tuple[str | int, ...], Argv]:
        """Every command by its place in the file."""
        found: dict[tuple[str | int, ...], Argv] = {("client", "argv"): self.client.argv}
        if self.server is not None:
            found["server", "argv"] = self.server.argv
        for name, argvs in (("prepare", self.prepare), ("load", self.load)):
            found |= {(name, index): argv for index, argv in enumerate(argvs)}
        return found | {("checks", index, "argv"): check.argv for index, check in enumerate(self.checks)}


def _programs(words: Iterable[str]) -> Iterator[str]:
    for word in words:
        if match := _PROGRAM.fullmatch(word):
            yield match[1]


def placeholders(text: str) -> frozenset[str]:
    """The words in braces of a text, known ones and others."""
    return frozenset(_WORD.findall(text))


def fill(text: str, values: Mapping[str, str]) -> str:
    """A text with the values of its placeholders; other words in braces stay."""
    return _PLACEHOLDER.sub(lambda match: values[match[1]], text)


def load(name: str, text: str) -> Definition:
    """The definition in a text that was read before. Raises InputError for another one."""
    try:
        return msgspec.convert({**tomllib.loads(text), "name": name}, Definition)
    except (tomllib.TOMLDecodeError, msgspec.ValidationError) as error:
        raise InputError(f"the workload {name}: {error}") from error


def dump(definition: Definition) -> str:
    """A text that `load` reads as this definition."""
    values = {key: value for key, value in asdict(definition).items() if key != "name"}
    return tomli_w.dumps(_plain(values), multiline_strings=True)


def _plain(value: Any) -> Any:
    """A value as TOML has it: without what is absent."""
    match value:
        case Mapping():
            return {key: _plain(inner) for key, inner in value.items() if not _absent(inner)}
        case tuple() | list():
            return [_plain(item) for item in value]
        case StrEnum():
            return str(value)
    return value


def _absent(value: object) -> bool:
    return value is None or value in ("", (), {})
