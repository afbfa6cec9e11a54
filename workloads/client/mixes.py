# SPDX-License-Identifier: MIT
"""The statements of a mix: oltp/mixes.toml and a seed give the stream that sysbench sends."""

from __future__ import annotations

import itertools
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from generator import Generator

_PLACE = re.compile(r"\{(\w+)(?:\+(\d+))?\}")

Draw = Callable[[], "int | str"]


def events(text: str, mix: str, seed: int, count: int) -> Iterator[tuple[str, ...]]:
    """The statements of each of `count` events. The last may hold what only the end of a run sends."""
    data = tomllib.loads(text)
    chosen = data["mix"][mix]
    if "bulk" in chosen:
        return _bulk(chosen["bulk"], count)
    draws = _draws(data["value"], chosen["table_size"], Generator(seed))
    steps = [(data["step"][name], times) for name, times in chosen["steps"]]
    return (tuple(_statements(steps, draws)) for _ in range(count))


def _draws(values: Mapping[str, Any], table_size: int, generator: Generator) -> dict[str, Draw]:
    def draw(value: Mapping[str, Any]) -> Draw:
        if "text" in value:
            return lambda: generator.text(value["text"])
        last = table_size if value["last"] == "table_size" else value["last"]
        return lambda: generator.uniform(value["first"], last)

    return {name: draw(value) for name, value in values.items()}


Steps = Sequence[tuple[Mapping[str, Any], int]]


def _statements(steps: Steps, draws: Mapping[str, Draw]) -> Iterator[str]:
    for step, times in steps:
        for name in step.get("once", ()):
            draws[name]()
        for _ in range(times):
            drawn: dict[str, int | str] = {name: draws[name]() for name in step.get("draw", ())}
            if "list" in step:
                drawn["list"] = _list(step["list"], draws)
            yield from (_filled(statement, drawn) for statement in step["statements"])


def _list(described: Mapping[str, Any], draws: Mapping[str, Draw]) -> str:
    items = (
        _filled(described["item"], {name: draws[name]() for name in described["draw"]})
        for _ in range(described["times"])
    )
    return str(described["between"].join(items))


def _filled(statement: str, drawn: Mapping[str, int | str]) -> str:
    """The statement with {name} replaced by what was drawn, and {name+5} by five more."""

    def fill(place: re.Match[str]) -> str:
        name, more = place.groups()
        value = drawn[name]
        return str(value if more is None else int(value) + int(more))

    return _PLACE.sub(fill, statement)


def _bulk(described: Mapping[str, Any], count: int) -> Iterator[tuple[str, ...]]:
    """One row an event; a statement is sent when the next row would make it too long, or at the end."""
    statement = ""
    for number in itertools.count(1):
        row = _filled(described["row"], {"number": number})
        full = bool(statement) and len(statement) + 1 + len(row) > described["bytes"]
        sent = (statement,) if full else ()
        statement = f"{statement},{row}" if statement and not full else described["head"] + row
        if number >= count:
            yield (*sent, statement)
            return
        yield sent
