# SPDX-License-Identifier: MIT
"""Running the test guest of the instrument, or playing the plugin.

The variable QEMU names the emulators to try, one or several.
"""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from kmlbench.hosts.counting import conversation

# Where what was built for the tests is.
BUILT = "KMLBENCH_INSTRUMENT"

QEMUS = os.environ.get("QEMU", "qemu-system-x86_64").split()
CLOCKS = {
    "real": (),
    "icount": ("-icount", "shift=0,sleep=off", "-rtc", "base=2020-01-01,clock=vm", "-seed", "1"),
}
EXIT = ("-device", "isa-debug-exit,iobase=0xf4,iosize=1")
DEADLINE_S = 60


def argv(qemu: str, plugin: str, *more: str, accelerator: str = "tcg") -> list[str]:
    out = Path(os.environ[BUILT])
    return [
        *(qemu, "-M", "pc", "-accel", accelerator, "-cpu", "max", "-m", "32M"),
        *("-nodefaults", "-no-user-config", "-display", "none", "-monitor", "none"),
        *("-kernel", str(out / "test_guest"), "-plugin", f"{out / 'kmlbench-windows.so'},{plugin}"),
        *more,
    ]


def run(qemu: str, plugin: str, *more: str, accelerator: str = "tcg") -> subprocess.CompletedProcess[str]:
    command = argv(qemu, plugin, *more, accelerator=accelerator)
    return subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False)


@contextmanager
def played_plugin(
    answers: Mapping[str, str], hear: Callable[[str], object] = lambda _: None
) -> Iterator[socket.socket]:
    """Our end of a conversation; at the other each word is heard, and then answered if it has an answer."""
    ours, theirs = conversation()

    def listen() -> None:
        while word := theirs.recv(100).decode():
            hear(word)
            if word in answers:
                theirs.send(answers[word].encode())

    thread = threading.Thread(target=listen)
    thread.start()
    try:
        yield ours
    finally:
        ours.close()
        thread.join()
        theirs.close()
