# SPDX-License-Identifier: MIT
"""The raw output of a trial: what its commands printed, as they ended."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from kmlbench.errors import InputError
from kmlbench.model import CommandResult
from kmlbench.results import codec, lines
from kmlbench.results.reader import COMMANDS, COPY_AGAIN

_COMMANDS = msgspec.json.Decoder(list)


def read_results(path: Path) -> tuple[CommandResult, ...]:
    """The results of the commands of a trial, in order, without the privilege probe's. Raises InputError."""
    with _named(path / COMMANDS):
        commands = lines.decode(read_text(path / COMMANDS), _COMMANDS)
    return tuple(read_step(path, index) for index in range(len(commands)))


def read_step(path: Path, index: int) -> CommandResult:
    """The step of this number, as `writer.write_step` left it. Raises InputError."""
    directories = sorted(path.glob(f"{index:02d}-*"))
    if len(directories) != 1:
        raise InputError(
            f"{path}: has {len(directories)} directories {index:02d}-*, not one", remedy=COPY_AGAIN
        )
    step = directories[0]
    with _named(step / "argv.json"):
        return codec.read_command(
            read_text(step / "argv.json"),
            stdout=read_text(step / "stdout"),
            stderr=read_text(step / "stderr"),
        )


def read_text(path: Path) -> str:
    """The text of a file, with undecodable bytes escaped. Raises InputError."""
    try:
        return path.read_bytes().decode(errors="surrogateescape")
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}", remedy=COPY_AGAIN) from error


@contextmanager
def _named(path: Path) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        raise InputError(f"{path}: {error}", remedy=COPY_AGAIN) from error
