# SPDX-License-Identifier: MIT
"""Running the test guest of the instrument; QEMU names the emulators to try, one or several."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

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
