# SPDX-License-Identifier: MIT
"""When the plugin in QEMU counts: a conversation over a socket that QEMU inherits (instrument/README.md)."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from kmlbench.errors import HostError

# QEMU answers within milliseconds, unless it hangs or this machine is out of memory.
DEADLINE_S = 60.0

LONGEST_ANSWER = 200


def conversation() -> tuple[socket.socket, socket.socket]:
    """Our end and QEMU's."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


@contextmanager
def counted(control: socket.socket, *, deadline_s: float = DEADLINE_S) -> Iterator[None]:
    """The guest's instructions are counted within the block only.

    Raises HostError if the plugin does not answer in time, or answers that it cannot. An error of the block
    goes before one at its end; an interrupt does not wait for an answer, since the guest ends with it.
    """
    control.settimeout(deadline_s)
    _ask(control, "count", "counting")
    try:
        yield
    except Exception:
        with suppress(HostError):
            _ask(control, "sleep", "asleep")
        raise
    _ask(control, "sleep", "asleep")


def _ask(control: socket.socket, word: str, expected: str) -> None:
    try:
        control.send(word.encode())
        answer = control.recv(LONGEST_ANSWER).decode(errors="replace")
    except TimeoutError as error:
        raise HostError(
            f"the instrument did not answer {word!r} within {control.gettimeout():g} s",
            remedy="QEMU hangs or is stopped; --no-instrument leaves the instrument out",
        ) from error
    except OSError as error:
        raise HostError(f"the instrument does not hear {word!r}: {error.strerror}") from error
    if answer != expected:
        raise HostError(f"the instrument answered {answer or 'nothing'!r} to {word!r}, not {expected!r}")
