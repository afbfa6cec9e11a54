# SPDX-License-Identifier: MIT
"""The plugin that counts an emulated guest's instructions: built by make, and tried on the QEMU at hand."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import msgspec

from kmlbench import process
from kmlbench.build.cache import default_cache, hash_files
from kmlbench.errors import BuildError, CommandTimeout, MachineError
from kmlbench.paths import IN_CHECKOUT, INSTRUMENT, PROJECT
from kmlbench.storage import locked

PLUGIN = "kmlbench-windows.so"

BUILD_TIMEOUT_S = 120.0

PROBE_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """A plugin that the QEMU at hand loads. `interface` is the version of QEMU's plugin interface.

    `on_demand`: it can be told when to count.
    """

    plugin: Path
    format: int
    interface: int
    on_demand: bool

    def __str__(self) -> str:
        return f"kmlbench-windows, format {self.format}, QEMU's plugin interface {self.interface}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unavailable:
    """Why guests run without the plugin, in one line."""

    reason: str

    def __str__(self) -> str:
        return f"not loaded: {self.reason}"


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """What the plugin answers to probe=on."""

    format: int
    api: int
    control: bool


def ensure() -> Instrument | Unavailable:
    """The plugin, compiled anew if its source has changed, if QEMU loads it for a guest of one CPU."""
    try:
        return probe(_make())
    except BuildError as error:
        return Unavailable(reason=f"it could not be compiled: {_complaint(error.args[0])}")
    except (MachineError, CommandTimeout) as error:
        return Unavailable(reason=_last_line(str(error.args[0])))
    except OSError as error:
        return Unavailable(reason=f"{error.filename}: {error.strerror}")


def probe(plugin: Path) -> Instrument | Unavailable:
    """Ask QEMU whether it loads `plugin`. Raises MachineError without QEMU."""
    option = f"{str(plugin).replace(',', ',,')},probe=on"
    machine = ("-M", "none", "-nodefaults", "-display", "none")
    result = process.run((process.QEMU, *machine, "-plugin", option), timeout_s=PROBE_TIMEOUT_S)
    if result.returncode:
        return Unavailable(reason=_last_line(result.stderr))
    try:
        answer = msgspec.json.decode(result.stdout, type=Probe)
    except msgspec.DecodeError as error:
        return Unavailable(reason=f"{plugin} did not answer QEMU's probe: {error}")
    return Instrument(plugin=plugin, format=answer.format, interface=answer.api, on_demand=answer.control)


def build_directory() -> Path:
    """Where the plugin is built: in a checkout where `make setup` builds it, else in the user's cache.

    Versions that are installed side by side do not share one. Raises MachineError without a cache.
    """
    if IN_CHECKOUT:
        return PROJECT / "build" / "instrument"
    sources = (path for path in INSTRUMENT.iterdir() if path.is_file())
    return default_cache().path("instrument", {"source": hash_files(sources)})


def _make() -> Path:
    """The plugin. Workers of the tests build at the same time: one waits for the other."""
    directory = build_directory()
    directory.mkdir(parents=True, exist_ok=True)
    argv = ("make", "--silent", f"--directory={INSTRUMENT}", f"OUT={directory}", str(directory / PLUGIN))
    with locked(directory / ".lock"):
        process.check(argv, timeout_s=BUILD_TIMEOUT_S)
    return directory / PLUGIN


def _complaint(message: str) -> str:
    """The line that says what is missing, of all that make and the compiler said."""
    lines = message.splitlines()[1:] or [message]
    return next((line for line in lines if re.search(r"error:|not found|No such file", line)), lines[-1])


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["QEMU gave no reason"])[-1]
