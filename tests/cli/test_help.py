# SPDX-License-Identifier: MIT
"""The help of every verb has an example that the verb accepts."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterator
from itertools import takewhile

import pytest

from kmlbench.cli import programs
from kmlbench.cli.parser import parse_arguments

PARSERS = {"kmlbench": programs.kmlbench_parser(), "run-benchmark": programs.benchmark_parser()}


def verbs(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield parser
    # argparse has no public way to list them.
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from verbs(inner)


VERBS = {verb.prog: verb for parser in PARSERS.values() for verb in verbs(parser)}


@pytest.mark.parametrize("name", VERBS)
def test_the_help_has_an_example_that_is_accepted(name: str) -> None:
    verb = VERBS[name]
    match = re.search(r"example: (.*)", " ".join(verb.format_help().split()))
    assert match
    command = re.sub(r'^eval "\$\((.*)\)"$', r"\1", match[1])
    program, *words = takewhile(lambda word: word not in {"|", ">"}, shlex.split(command))
    assert name.partition(" ")[0] == program
    assert " " not in name or " ".join([program, *words]).startswith(name)
    assert parse_arguments(PARSERS[program], words).faults == []
