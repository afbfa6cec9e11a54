# SPDX-License-Identifier: MIT
"""Whole campaigns of `run-benchmark` whose guests are played: everything is real but what boots and answers.

Each boot is a FakeHost with the session of its trials, and a process that stands for QEMU: it has QEMU's name
and arguments, dies with its controller, and does nothing.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from support.fake_host import Exchange, FakeHost
from support.host_sessions import getpid, getpid_argv, inspecting

from kmlbench import provenance
from kmlbench.hosts.base import Booted, Machines, Ready
from kmlbench.hosts.qemu_process import tied_to_parent
from kmlbench.hosts.spec import HostSpec
from kmlbench.model import Boot, Clock, CommandResult, Kernel, Platform
from kmlbench.process import QEMU
from kmlbench.run import preflight, setup
from kmlbench.run import trial as trials

RELEASES = {Kernel.STOCK: "6.12.117-stock", Kernel.KML: "6.12.117-kml"}
DMESG = Exchange(argv=("dmesg",), stdout="[    0.000000] Linux version\n")
GUEST = "  {0}{1}: {{kind: qemu, kernel: {0}, memory_mb: 512, cpus: 1, cpu_model: max}}\n"

FORGET = Exchange(argv=trials.FORGET)

Script = Callable[[Boot], list[Exchange]]


def whole(boot: Boot) -> list[Exchange]:
    """The session of a boot in which nothing goes wrong."""
    release = RELEASES[boot.kernel]
    measured = [exchange for trial in boot.trials for exchange in getpid(trial.variant, release=release)]
    return [*inspecting(release=release), *measured, DMESG]


def breaking(boot: Boot, position: int, *exchanges: Exchange) -> list[Exchange]:
    """A session that goes as `exchanges` say from the trial at `position` of the boot on."""
    session = whole(boot)
    measure = getpid_argv(boot.trials[position].variant)
    return [*session[: [exchange.argv for exchange in session].index(measure)], *exchanges]


class Played(FakeHost):
    """Whatever ends a session, the kernel's log comes last."""

    def run(self, argv: Sequence[str], *, timeout_s: float, stdin: bytes = b"") -> CommandResult:
        if DMESG.expects(argv) and not (self.script and self.script[0].expects(argv)):
            self.script = [DMESG]
        return FakeHost.run(self, argv, timeout_s=timeout_s, stdin=stdin)


@dataclass(slots=True, kw_only=True)
class Playing:
    """Machines that play `script` and have `facts`. `guests`: with a process for each boot."""

    script: Script = whole
    guests: bool = False
    facts: Mapping[str, str] = field(default_factory=lambda: {"image": "an image"})

    @contextmanager
    def __call__(self, boot: Boot, directory: Path) -> Iterator[Booted]:
        with (
            self._guest(directory),
            Played(name=boot.kernel, script=self.script(boot), anytime=(FORGET,)) as host,
        ):
            yield Booted(host=host, facts=self.facts)

    @contextmanager
    def _guest(self, directory: Path) -> Iterator[None]:
        if not self.guests:
            yield
            return
        process = subprocess.Popen(guest_argv(directory), start_new_session=True)
        try:
            yield
        finally:
            process.kill()
            process.wait()


def guest_argv(directory: Path, *, prefix: tuple[str, ...] | None = None) -> tuple[str, ...]:
    """A shell by QEMU's name that stops at once, with the console that a guest of this boot has."""
    program = directory / QEMU
    if not program.exists():
        program.symlink_to("/bin/sh")
    console = f"socket,id=console,fd=3,logfile={directory / 'console.log'}"
    script = ("-c", "kill -STOP $$", "sh", "-chardev", console)
    return (*(tied_to_parent() if prefix is None else prefix), str(program), *script)


def guests_below(results: Path) -> list[int]:
    """The processes by QEMU's name whose arguments name this directory, dead ones left out."""
    result = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            arguments = (place / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if str(results) in arguments and f"/{QEMU}\0-c" in arguments:
            result.append(int(place.name))
    return result


def ready(machines: Machines) -> Ready:
    """What `arms.prepare` gives where `machines` boot."""
    return Ready(
        machines=machines, platform=Platform.INSTRUCTIONS, clock=Clock.INSTRUCTIONS, releases=RELEASES
    )


def stage(monkeypatch: pytest.MonkeyPatch, machines: Machines) -> None:
    """Have `run-benchmark` work on `machines`."""

    def prepare(chosen: Sequence[Mapping[Kernel, HostSpec]], *_: object, **__: object) -> Ready:
        return replace(ready(machines), linux=next(iter(chosen[0].values())).linux)

    monkeypatch.setattr(setup, "prepare_machines", prepare)
    monkeypatch.setattr(preflight, "check_machine", lambda *_, **__: None)
    monkeypatch.setattr(provenance, "git_commit", lambda: "c0ffee")


def hosts_file(directory: Path, *, blocks: int, pairs: int = 1) -> Path:
    """A hosts.yaml with so many pairs of guests."""
    numbers = [str(pair) for pair in range(pairs)]
    guests = "".join(GUEST.format(kernel, number) for kernel in Kernel for number in numbers)
    listed = {kernel: ", ".join(f"{kernel}{number}" for number in numbers) for kernel in Kernel}
    path = directory / "hosts.yaml"
    path.write_text(
        f"hosts:\n{guests}campaign: {{stock: [{listed[Kernel.STOCK]}], kml: [{listed[Kernel.KML]}], "
        f"server: mysql, workloads: [getpid], blocks: {blocks}, scale: 1, seed: 2}}\n"
    )
    return path
