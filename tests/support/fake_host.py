# SPDX-License-Identifier: MIT
"""A host that plays a script: it expects one session, answers it, and fails on anything else. For tests."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

from kmlbench.errors import KmlbenchError
from kmlbench.model import ByteStream, CommandResult


class UnexpectedSessionError(AssertionError):
    """What was done to the host is not what its script says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One command that must come, and what it answers. "*" in `argv` stands for any one argument.

    `leaves` are the files the command leaves behind; `raises` is raised instead of an answer.
    """

    argv: tuple[str, ...]
    stdout: str = ""
    stderr: str = ""
    returncode: int = 0
    leaves: Mapping[str, bytes] = field(default_factory=dict)
    raises: KmlbenchError | KeyboardInterrupt | None = None

    def expects(self, argv: Sequence[str]) -> bool:
        """Whether `argv` is the command of this exchange."""
        pairs = zip(self.argv, argv, strict=False)
        return len(self.argv) == len(argv) and all(wanted in ("*", given) for wanted, given in pairs)


@dataclass(slots=True, kw_only=True)
class FakeHost:
    """Plays `script` in order. As a context manager it also insists that the script was played to its end.

    `files` holds what `get` can fetch; `put` adds to it. `anytime` are commands that are answered
    whenever they come, and need not come.
    """

    name: str = "fake"
    script: list[Exchange] = field(default_factory=list)
    anytime: tuple[Exchange, ...] = ()
    files: dict[str, bytes] = field(default_factory=dict)
    streams: list[ByteStream] = field(default_factory=list)

    def __enter__(self) -> FakeHost:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None and self.script:
            raise UnexpectedSessionError(f"{self.name} still waits for: {shlex.join(self.script[0].argv)}")

    def run(self, argv: Sequence[str], *, timeout_s: float, stdin: bytes = b"") -> CommandResult:
        """Answer the next exchange of the script. Raises UnexpectedSessionError for another command."""
        del timeout_s, stdin
        exchange = self._next(argv)
        if exchange.raises is not None:
            raise exchange.raises
        self.files.update(exchange.leaves)
        return CommandResult(
            argv=tuple(argv),
            returncode=exchange.returncode,
            stdout=exchange.stdout,
            stderr=exchange.stderr,
            elapsed_s=0.0,
        )

    def _next(self, argv: Sequence[str]) -> Exchange:
        if self.script and self.script[0].expects(argv):
            return self.script.pop(0)
        for exchange in self.anytime:
            if exchange.expects(argv):
                return exchange
        wanted = shlex.join(self.script[0].argv) if self.script else "nothing more"
        raise UnexpectedSessionError(f"{self.name} expected: {wanted}\nbut got: {shlex.join(argv)}")

    def put(self, source: Path, destination: str) -> None:
        """Keep the file."""
        self.files[destination] = source.read_bytes()

    def get(self, source: str, destination: Path) -> None:
        """Hand out a file. Raises UnexpectedSessionError if there is none."""
        if source not in self.files:
            raise UnexpectedSessionError(f"{self.name} has no file {source}")
        destination.write_bytes(self.files[source])

    def dial(self, port: int) -> ByteStream:
        """Hand out the next stream. Raises UnexpectedSessionError if there is none."""
        if not self.streams:
            raise UnexpectedSessionError(f"{self.name} expected no connection to port {port}")
        return self.streams.pop(0)
