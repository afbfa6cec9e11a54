# SPDX-License-Identifier: MIT
"""Standard output and standard error: a failure to write them is reported once, as an error."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, TextIO, cast

from kmlbench.errors import MachineError


class Output:
    """A stream that fails once. Later output is discarded, so that a shutdown can complete.

    Characters that its encoding lacks are written as escapes.
    """

    def __init__(self, stream: TextIO, name: str) -> None:
        self._stream, self._name = stream, name
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")

    def write(self, text: str) -> int:
        with self._failing_once():
            return self._stream.write(text)

    def flush(self) -> None:
        with self._failing_once():
            self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    @contextmanager
    def _failing_once(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._stream.fileno())
            os.close(nowhere)
            if isinstance(error, BrokenPipeError):
                raise
            raise MachineError(
                f"{self._name} could not be written: {error.strerror}",
                remedy="redirect it to a terminal, a pipe or a disk with free space, then run again",
            ) from error


@contextmanager
def guarded() -> Iterator[None]:
    """Make writing to standard output or error raise MachineError, or BrokenPipeError, once.

    A stream that was closed when the program started is replaced by /dev/null.
    """
    with ExitStack() as stack:
        for name, stream, redirect in (
            ("standard output", sys.stdout, redirect_stdout),
            ("standard error", sys.stderr, redirect_stderr),
        ):
            # typeshed does not know that a closed one is None.
            found = cast(TextIO | None, stream) or stack.enter_context(Path(os.devnull).open("w"))
            stack.enter_context(redirect(cast(TextIO, Output(found, name))))
        yield
