# SPDX-License-Identifier: MIT
"""How much of a campaign the controller waits for machines, and how much it takes itself."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TypeVar

from kmlbench.model import ByteStream, CommandResult, Host

Thing = TypeVar("Thing")


@dataclass(slots=True)
class Stopwatch:
    """Seconds since its creation: in total, and spent waiting for machines."""

    started: float = field(default_factory=time.perf_counter)
    waited_s: float = 0.0

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """Count the time inside as waiting. Does not nest."""
        before = time.perf_counter()
        try:
            yield
        finally:
            self.waited_s += time.perf_counter() - before

    @property
    def total_s(self) -> float:
        return time.perf_counter() - self.started

    @property
    def own_s(self) -> float:
        """The controller's own time."""
        return self.total_s - self.waited_s


@dataclass(frozen=True, slots=True)
class Moment:
    """When something began."""

    utc: str = field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="milliseconds"))
    clock: float = field(default_factory=time.perf_counter)

    @property
    def elapsed_s(self) -> float:
        return time.perf_counter() - self.clock


@dataclass(slots=True, kw_only=True)
class WaitedHost:
    """A host whose answers are timed as waiting."""

    host: Host
    stopwatch: Stopwatch
    name: str = field(init=False)

    def __post_init__(self) -> None:
        self.name = self.host.name

    def run(self, argv: Sequence[str], *, timeout_s: float, stdin: bytes = b"") -> CommandResult:
        with self.stopwatch.waiting():
            return self.host.run(argv, timeout_s=timeout_s, stdin=stdin)

    def put(self, source: Path, destination: str) -> None:
        with self.stopwatch.waiting():
            self.host.put(source, destination)

    def get(self, source: str, destination: Path) -> None:
        with self.stopwatch.waiting():
            self.host.get(source, destination)

    def dial(self, port: int) -> ByteStream:
        with self.stopwatch.waiting():
            return WaitedStream(stream=self.host.dial(port), stopwatch=self.stopwatch)


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitedStream:
    """A stream whose bytes are timed as waiting."""

    stream: ByteStream
    stopwatch: Stopwatch

    def sendall(self, data: bytes, /) -> None:
        with self.stopwatch.waiting():
            self.stream.sendall(data)

    def recv(self, size: int, /) -> bytes:
        with self.stopwatch.waiting():
            return self.stream.recv(size)

    def settimeout(self, timeout: float | None, /) -> None:
        self.stream.settimeout(timeout)

    def close(self) -> None:
        self.stream.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Waited(AbstractContextManager[Thing]):
    """A context manager whose enter and exit are timed as waiting."""

    manager: AbstractContextManager[Thing]
    stopwatch: Stopwatch

    def __enter__(self) -> Thing:
        with self.stopwatch.waiting():
            return self.manager.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        with self.stopwatch.waiting():
            return self.manager.__exit__(kind, error, trace)
