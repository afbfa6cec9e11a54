# SPDX-License-Identifier: MIT
"""A guest whose processor can be looked at from outside, and whose kernel command line a test chooses."""

from __future__ import annotations

import json
import re
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kmlbench.hosts.qemu import BOOT_DEADLINE_S, READY, GuestSpec, login, qemu_argv
from kmlbench.hosts.qemu_process import start_qemu, tied_to_parent
from kmlbench.hosts.ssh import SshHost

ANSWER_TIMEOUT_S = 30.0
POLL_S = 0.1
SMEP, SMAP = 1 << 20, 1 << 21

Argv = Callable[[tuple[str, ...]], tuple[str, ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Processor:
    """What the first processor of a stopped guest held."""

    privilege: int
    instruction: int
    control: int

    @property
    def in_kernel_mode_program(self) -> bool:
        return self.privilege == 0 and self.instruction < 1 << 63


class Monitor:
    """QEMU's own view of a guest."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(ANSWER_TIMEOUT_S)
        self._socket.connect(str(path))
        self._stream = self._socket.makefile("rw")
        self._stream.readline()
        self._ask("qmp_capabilities")

    def close(self) -> None:
        self._stream.close()
        self._socket.close()

    def processor(self) -> Processor:
        """The processor as it is at some instruction; the guest stands still meanwhile."""
        self._ask("stop")
        text = str(self._ask("human-monitor-command", **{"command-line": "info registers"}))
        self._ask("cont")
        matches = dict(re.findall(r"\b(RIP|CPL|CR4)=([0-9a-f]+)", text))
        return Processor(
            privilege=int(matches["CPL"]),
            instruction=int(matches["RIP"], 16),
            control=int(matches["CR4"], 16),
        )

    def wake_up(self, *, deadline_s: float) -> None:
        """Wake the guest up once it has gone to sleep. Fails when it does not go."""
        end = time.monotonic() + deadline_s
        while self._ask("query-status")["status"] != "suspended":
            assert time.monotonic() < end, "the guest does not go to sleep"
            time.sleep(POLL_S)
        self._ask("system_wakeup")

    def cpu_s(self) -> float:
        """Seconds of processor time that the guest has had."""
        (pid,) = struct.unpack("i8x", self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        # As clock_getcpuclockid(3) makes it, of which Python has none.
        return time.clock_gettime(~pid << 3 | 2)

    def nmi(self) -> None:
        """A non-maskable interrupt for every processor."""
        self._ask("inject-nmi")

    def _ask(self, command: str, **arguments: str) -> Any:
        self._stream.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self._stream.flush()
        while "return" not in (answer := json.loads(self._stream.readline())):
            # What else comes is an event.
            assert "error" not in answer, answer
        return answer["return"]


def without(unwanted: str) -> Argv:
    """Take this word out of the kernel's command line."""
    return lambda argv: tuple(
        " ".join(word for word in argument.split(" ") if word != unwanted)
        if unwanted in argument
        else argument
        for argument in argv
    )


@contextmanager
def watched(
    spec: GuestSpec, *, directory: Path, changed: Argv = lambda argv: argv
) -> Iterator[tuple[SshHost, Monitor]]:
    """A running guest with a monitor, started with `changed` of its arguments."""
    path = directory / "monitor"

    def argv(port: int, console: str) -> tuple[str, ...]:
        arguments = changed(qemu_argv(spec, port=port, console=console))
        return (*tied_to_parent(), *arguments, "-qmp", f"unix:{path},server=on,wait=off")

    with ExitStack() as stack:
        machine = start_qemu(spec.name, argv, directory=directory)
        stack.callback(machine.stop)
        machine.wait_for(READY, deadline_s=BOOT_DEADLINE_S)
        machine.listen()
        host = stack.enter_context(login(spec, port=machine.port))
        yield host, stack.enter_context(closing(Monitor(path)))
