# SPDX-License-Identifier: MIT
"""A QEMU process: its port, its console, its end. Every wait is for an event, with a deadline."""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from kmlbench.errors import CommandTimeout, HostError
from kmlbench.process import require, tail

PORT_TRIES = 10

LISTEN_GRACE_S = 5.0

STOP_GRACE_S = 5.0

DEATH_GRACE_S = 1.0

LAST_WORDS_S = 5.0

SILENCE_S = 0.5

# How a kernel's last messages start; a trace of any length follows.
GRAVE = re.compile(r"(?:Kernel panic|BUG: |Oops: )[^\r\n]{0,200}")

CONSOLE_LINES, TRACE_LINES = 25, 500

PANIC = "Kernel panic"

# The controller ($0) may have died before setpriv took effect.
_UNLESS_ORPHANED = '[ "$PPID" = "$0" ] || exit 1; exec "$@"'

PORT_TAKEN = "Could not set up host forwarding rule"


@dataclass(slots=True, kw_only=True)
class Machine:
    """A QEMU process and our end of its console."""

    name: str
    port: int
    process: subprocess.Popen[bytes]
    console: socket.socket
    log: Path
    errors: Path
    _seen: bytearray = field(default_factory=bytearray)
    _listener: threading.Thread | None = None

    def wait_for(self, marker: str, *, deadline_s: float) -> None:
        """Return once `marker` is on the console. Raises HostError if that can no longer happen."""
        deadline = time.monotonic() + deadline_s
        while marker.encode() not in self._seen:
            if PANIC.encode() in self._seen:
                self._hear_out()
                raise self.failure("the kernel panicked")
            remaining = deadline - time.monotonic()
            if remaining <= 0:
                raise self.failure(f"no {marker!r} on the console within {deadline_s:.0f} s")
            readable, _, _ = select.select([self.console], [], [], remaining)
            if readable and not self._read():
                self._reap()
                raise self.failure(f"QEMU ended with {self.process.returncode} during boot")

    def listen(self) -> None:
        """Keep reading the console in the background, to its end.

        A console that nobody reads is full after a few hundred characters; the kernel then waits 10 ms, with
        interrupts off, for each further one.
        """
        self._listener = threading.Thread(target=self._drain, daemon=True)
        self._listener.start()

    def stop(self) -> None:
        """Stop the machine, by force if necessary. Stopping a dead one does nothing."""
        self._hang_up()
        end_process(self.process.pid, waited=self._poll)

    def abandon(self) -> None:
        """Detach from the console. The machine keeps running, and its log keeps being written."""
        self._hang_up()
        # Python warns about a child that nobody waits for, which is intended here.
        self.process.returncode = 0

    @contextmanager
    def explaining(self) -> Iterator[None]:
        """Add the end of the console to a HostError if the machine itself is the cause."""
        try:
            yield
        except CommandTimeout:
            raise
        except HostError as error:
            # The connection breaks a moment before QEMU has ended.
            if not self._poll(DEATH_GRACE_S):
                raise
            raise self.failure(f"{error.args[0]}; QEMU has ended") from error

    def failure(self, cause: str) -> HostError:
        """An error with the end of the machine's console."""
        last_lines = tail(self.log, lines=CONSOLE_LINES)
        complaint = self.errors.read_text(errors="replace").strip()
        grave = GRAVE.search(tail(self.log, lines=TRACE_LINES))
        first = f"its kernel said: {grave[0]}" if grave and grave[0] not in last_lines else ""
        parts = [f"guest {self.name}: {cause}", complaint, first, f"the end of its console:\n{last_lines}"]
        return HostError("\n".join(part for part in parts if part), remedy=f"read {self.log}")

    def _drain(self) -> None:
        with suppress(OSError):
            while self.console.recv(1 << 16):
                pass

    def _hear_out(self) -> None:
        """Read until the console is silent, or for a limited time."""
        deadline = time.monotonic() + LAST_WORDS_S
        while time.monotonic() < deadline and select.select([self.console], [], [], SILENCE_S)[0]:
            if not self._read():
                return

    def _hang_up(self) -> None:
        # The listener has to end first: once closed, its descriptor may be reused by the next socket.
        with suppress(OSError):
            self.console.shutdown(socket.SHUT_RDWR)
        if self._listener is not None:
            self._listener.join()
        self.console.close()

    def _read(self) -> bool:
        """Read more of the console. False at its end."""
        received = self.console.recv(1 << 16)
        self._seen += received
        return bool(received)

    def _poll(self, timeout_s: float) -> bool:
        try:
            self.process.wait(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def _reap(self) -> None:
        self.process.wait(timeout=STOP_GRACE_S)


def tied_to_parent() -> tuple[str, ...]:
    """Arguments that make a machine die with the thread that starts it, even by SIGKILL."""
    guard = ("/bin/sh", "-c", _UNLESS_ORPHANED, str(os.getpid()))
    return (require("setpriv"), "--pdeathsig", "KILL", "--", *guard)


def start_qemu(
    name: str,
    argv: Callable[[int, str], tuple[str, ...]],
    *,
    directory: Path,
    inherited: tuple[int, ...] = (),
) -> Machine:
    """Start a machine on a free port of the loopback interface.

    `argv(port, chardev)` makes the arguments; QEMU gets the descriptors `inherited`, too. Only QEMU itself
    can bind the port, so if it is taken meanwhile, another port is tried. Raises HostError with QEMU's
    output if it does not start.
    """
    for _ in range(PORT_TRIES):
        machine = _launch(name, argv, directory, inherited)
        if _is_listening(machine):
            return machine
        machine.stop()
        if PORT_TAKEN not in machine.errors.read_text(errors="replace"):
            raise machine.failure("QEMU did not start")
    raise machine.failure("no free port on the loopback interface")


def _launch(
    name: str, argv: Callable[[int, str], tuple[str, ...]], directory: Path, inherited: tuple[int, ...]
) -> Machine:
    port = _free_port()
    log, errors = directory / "console.log", directory / "qemu.stderr"
    log.unlink(missing_ok=True)
    ours, theirs = socket.socketpair()
    with theirs, errors.open("wb") as stderr:
        logfile = str(log).replace(",", ",,")
        chardev = f"socket,id=console,fd={theirs.fileno()},logfile={logfile}"
        process = subprocess.Popen(
            argv(port, chardev),
            stdin=subprocess.DEVNULL,
            stdout=stderr,
            stderr=stderr,
            pass_fds=(theirs.fileno(), *inherited),
            start_new_session=True,
        )
    return Machine(name=name, port=port, process=process, console=ours, log=log, errors=errors)


def _is_listening(machine: Machine) -> bool:
    """Whether QEMU has bound its port: it has then written to the console, which it opens before the port."""
    readable, _, _ = select.select([machine.console], [], [], LISTEN_GRACE_S)
    return not readable or machine._read()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def end_process(pid: int, *, waited: Callable[[float], bool]) -> None:
    """SIGTERM, then SIGKILL if `waited(seconds)` is not true. A process that is already gone is fine."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        if waited(STOP_GRACE_S):
            return
