# SPDX-License-Identifier: GPL-2.0
"""Runs the lists in guests. A guest that stops answering is given up, and the next test gets a new one."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from conformance import outcomes
from conformance.lists import Test
from conformance.outcomes import Outcome, Result
from kmlbench.errors import HostError, ProofError
from kmlbench.hosts.qemu import BOOT_DEADLINE_S, READY, GuestSpec, login, power_on
from kmlbench.hosts.qemu_process import tied_to_parent
from kmlbench.model import Host, Kernel, Prefix
from kmlbench.process import tail

ONE = "/usr/lib/kmlbench/one"
# One command a test, for the login of each costs more than most tests; the kernel's log on standard error.
WATCHED = 'dmesg --clear; "$0" "$@"; status=$?; dmesg >&2; exit $status'
GRACE_S = 60
STEP_TIMEOUT_S = 60.0
COMPLAINT = re.compile(
    r"BUG:|WARNING: (?!connection)|Oops|\bstall|soft lockup|hung_task|blocked for more than|stack guard page"
    r"|general protection fault:|Unable to handle|invalid opcode:|No irq handler|double fault|unchecked MSR"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A kernel and where the programs come from."""

    kernel: Kernel
    prefix: Prefix

    def __str__(self) -> str:
        return f"{self.kernel}:{self.prefix}"


CELLS = (
    Cell(kernel=Kernel.STOCK, prefix=Prefix.USR),
    Cell(kernel=Kernel.KML, prefix=Prefix.USR),
    Cell(kernel=Kernel.KML, prefix=Prefix.TRUSTED),
)


@dataclass(slots=True, kw_only=True)
class Guest:
    """A guest of one kernel that comes back when it is lost. Use within `opened`."""

    spec: GuestSpec
    directory: Path
    boots: int = 0
    _host: Host | None = None
    _stack: ExitStack = field(default_factory=ExitStack)

    def host(self) -> Host:
        """The running guest, booted if there is none."""
        if self._host is None:
            self.boots += 1
            self._host = self._stack.enter_context(listened_to(self.spec, self.place()))
        return self._host

    def place(self) -> Path:
        """Where the console of the present boot goes."""
        return self.directory / f"{self.spec.name}-{self.boots}"

    def give_up(self) -> None:
        """End the guest; `host` boots another."""
        self._host = None
        try:
            self._stack.close()
        except HostError:
            # It is gone, which is why it is given up.
            self._stack = ExitStack()


@contextmanager
def listened_to(spec: GuestSpec, directory: Path) -> Iterator[Host]:
    """A running guest whose console is read to the end.

    A console that nobody reads is full after some hundred bytes; then each character that the kernel prints
    waits for a time-out with interrupts off, and an oops that takes minutes to print looks like a hang.
    """
    with ExitStack() as stack:
        machine = power_on(spec, directory=directory, argv_prefix=tied_to_parent())
        stack.callback(machine.stop)
        machine.wait_for(READY, deadline_s=BOOT_DEADLINE_S)
        threading.Thread(target=_drain, args=(machine.console,), daemon=True).start()
        with machine.explaining():
            host = stack.enter_context(login(spec, port=machine.port))
        with machine.explaining():
            yield host


def _drain(console: socket.socket) -> None:
    # It ends with the machine.
    with suppress(OSError):
        while console.recv(1 << 16):
            pass


@contextmanager
def opened(spec: GuestSpec, directory: Path) -> Iterator[Guest]:
    """A guest that ends with the block."""
    guest = Guest(spec=spec, directory=directory)
    try:
        yield guest
    finally:
        guest.give_up()


def prove(guest: Guest, cell: Cell) -> None:
    """Raises ProofError when programs of this cell do not run in the mode that it stands for."""
    argv = (cell.prefix.path("bin/cat"), "/proc/self/status")
    said = guest.host().run(argv, timeout_s=STEP_TIMEOUT_S).stdout
    modes = [line.split()[1] for line in said.splitlines() if line.startswith("KernelMode:")]
    wanted = [] if cell.kernel is Kernel.STOCK else ["1" if cell.prefix is Prefix.TRUSTED else "0"]
    if modes != wanted:
        raise ProofError(f"{cell}: KernelMode is {modes}, not {wanted}", remedy="read the console's log")


def attempt(guest: Guest, test: Test, prefix: Prefix) -> Outcome:
    """Run a test once."""
    started = time.monotonic()
    argv = ("sh", "-c", WATCHED, ONE, str(test.limit_s), test.where(prefix), *test.argv(prefix))
    try:
        result = guest.host().run(argv, timeout_s=test.limit_s + GRACE_S)
    except HostError as error:
        console = tail(guest.place() / "console.log", lines=60)
        guest.give_up()
        return Outcome(
            result=Result.HANG,
            status=None,
            parts=(),
            elapsed_s=time.monotonic() - started,
            output=f"{error}\n--- console ---\n{console}",
            kernel_log=complaints(console),
        )
    verdict, parts = outcomes.read(test.suite, result.returncode, result.stdout)
    return Outcome(
        result=verdict,
        status=result.returncode,
        parts=parts,
        elapsed_s=time.monotonic() - started,
        output=result.stdout,
        kernel_log=complaints(result.stderr),
    )


def complaints(log: str) -> tuple[str, ...]:
    """The lines of a kernel log that no program may cause."""
    return tuple(line for line in log.splitlines() if COMPLAINT.search(line))


def persistent(
    guest: Guest, test: Test, prefix: Prefix, *, wanted: Callable[[Outcome], bool], attempts: int
) -> Outcome:
    """Run a test until its outcome is `wanted`, at most `attempts` times.

    Under emulation time runs unevenly, and some tests measure it.
    """
    outcome = attempt(guest, test, prefix)
    for number in range(2, attempts + 1):
        if wanted(outcome):
            break
        outcome = replace(attempt(guest, test, prefix), attempts=number)
    return outcome
