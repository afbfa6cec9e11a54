# SPDX-License-Identifier: MIT
"""An argument parser that raises InputError instead of exiting, and names every unknown option at once."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Iterator, Sequence
from typing import NoReturn

from kmlbench import provenance
from kmlbench.errors import InputError

# The option of `run-benchmark` for programs.
JSON = "--json"


class Parser(argparse.ArgumentParser):
    """argparse without abbreviations, and without exits other than those of --help."""

    def __init__(self, *arguments: object, **options: object) -> None:
        # argparse types each of its fourteen options; this passes them on unchanged.
        super().__init__(*arguments, **{**options, "allow_abbrev": False})  # type: ignore[arg-type]

    def error(self, message: str) -> NoReturn:
        """Raises InputError."""
        raise InputError(message, remedy=f"see `{self.prog} --help`")

    def exit(self, status: int = 0, message: str | None = None) -> NoReturn:
        """As argparse does, after flushing standard output."""
        sys.stdout.flush()
        super().exit(status, message)


class Version(argparse.Action):
    """Prints the version of the package and of its source, and exits."""

    def __init__(self, option_strings: Sequence[str], dest: str) -> None:
        super().__init__(option_strings, dest, nargs=0, default=argparse.SUPPRESS, help="print the version")

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        """Runs git only when needed."""
        print(f"{parser.prog} {provenance.package_version()}, source {provenance.git_commit()}")
        parser.exit()


def parse_arguments(parser: argparse.ArgumentParser, argv: Sequence[str]) -> argparse.Namespace:
    """The arguments. Unknown arguments are left as `faults`, to be reported together with others.

    Raises InputError for what makes the rest unparsable; a parser whose verb does not read `faults`
    raises it for unknown arguments, too.
    """
    arguments, unknown = parser.parse_known_args(argv)
    known = [name for name in option_names(parser) if name.startswith("--")]
    faults = [f"{word}: unknown {_what(word)}{_meant(word, known)}" for word in unknown]
    if faults and not getattr(arguments, "collects_faults", False):
        raise InputError(*faults, remedy=f"see `{parser.prog} --help`")
    arguments.faults = faults
    return arguments


def option_names(parser: argparse.ArgumentParser) -> Iterator[str]:
    """All options of a parser and of its verbs."""
    for action in actions(parser):
        yield from action.option_strings


def actions(parser: argparse.ArgumentParser) -> Iterator[argparse.Action]:
    """All options and arguments of a parser and of its verbs."""
    # argparse has no public way to list them.
    for action in parser._actions:
        yield action
        if isinstance(action, argparse._SubParsersAction):
            for inner in action.choices.values():
                yield from actions(inner)


def _what(word: str) -> str:
    return "option" if word.startswith("-") else "argument"


def _meant(word: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(word.partition("=")[0], known, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def parse_share(option: str, text: str) -> float:
    """ "0.5%" as 0.005. Raises InputError unless it is a percentage between 0 and 100, exclusive."""
    try:
        share = float(text.removesuffix("%")) / 100
    except ValueError:
        share = 0.0
    if not text.endswith("%") or not 0 < share < 1:
        raise InputError(f"{option}: {text!r} is not a percentage between 0 and 100, such as 0.5%")
    return share


def printable(text: str) -> str:
    """A text with control characters, which a host may have sent, as escape codes; newlines stay."""
    return "\n".join(
        "".join(char if char.isprintable() else ascii(char)[1:-1] for char in line)
        for line in text.split("\n")
    )
