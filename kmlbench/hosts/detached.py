# SPDX-License-Identifier: MIT
"""Guests that outlive the command that boots them, until stopped by name."""

from __future__ import annotations

import json
import os
import select
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from kmlbench import paths
from kmlbench.errors import HostError, InputError, MachineError
from kmlbench.hosts.qemu import ADDRESS, BOOT_DEADLINE_S, LOGIN_DEADLINE_S, READY, GuestSpec, login, power_on
from kmlbench.hosts.qemu_process import end_process
from kmlbench.hosts.ssh import SshHost, connect
from kmlbench.progress import Progress
from kmlbench.storage import locked, write_whole

STATE = "guest.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A detached guest. `started` is the start of its process, in clock ticks since the machine's boot."""

    name: str
    pid: int
    started: str
    port: int
    key: str
    host_key: str

    def is_alive(self) -> bool:
        """Whether that process still runs; a reused PID does not count."""
        return _start_of(self.pid) == self.started


def default_directory(cache_root: Path, *, progress: Progress) -> Path:
    """The directory for the state of running guests: the user's runtime directory, or below the cache.

    A runtime directory that is not this user's is not taken, and `progress` is told.
    """
    beside = cache_root / "guests"
    try:
        runtime = paths.runtime_home()
    except MachineError as error:
        progress.note(f"{error.args[0]}: {beside} is used instead")
        return beside
    return runtime / "kmlbench" if runtime else beside


def start_guest(spec: GuestSpec, *, root: Path) -> Running:
    """Boot a guest to its login and leave it running. Raises InputError if it is already running."""
    with _locked(spec.name, root) as directory:
        running = _state(directory)
        if running is not None:
            raise InputError(
                f"guest {spec.name} is already running (process {running.pid}, port {running.port})",
                remedy=f"kmlbench guest stop {spec.name}",
            )
        return _boot(spec, directory)


def find_guest(name: str, *, root: Path) -> Running:
    """The running guest of that name. Raises InputError if there is none."""
    running = None
    if "/" not in name and (root / name / STATE).is_file():
        with _locked(name, root) as directory:
            running = _state(directory)
    if running is None:
        raise InputError(f"guest {name} is not running", remedy=f"kmlbench guest boot {name}")
    return running


def stop_guest(name: str, *, root: Path) -> None:
    """Stop the guest of that name. Raises InputError if there is none."""
    running = find_guest(name, root=root)
    with _locked(name, root) as directory:
        descriptor = os.pidfd_open(running.pid) if running.is_alive() else None
        if descriptor is not None:
            with os.fdopen(descriptor) as process:
                end_process(
                    running.pid, waited=lambda timeout_s: bool(select.select([process], [], [], timeout_s)[0])
                )
        shutil.rmtree(directory)


@contextmanager
def connection(running: Running, *, deadline_s: float = LOGIN_DEADLINE_S) -> Iterator[SshHost]:
    """A connection to a detached guest."""
    with connect(
        ADDRESS,
        port=running.port,
        user="root",
        key=Path(running.key),
        host_key=running.host_key,
        deadline_s=deadline_s,
        name=running.name,
    ) as host:
        yield host


def _boot(spec: GuestSpec, directory: Path) -> Running:
    with ExitStack() as unless_it_lives:
        machine = power_on(spec, directory=directory)
        unless_it_lives.callback(machine.stop)
        machine.wait_for(READY, deadline_s=BOOT_DEADLINE_S)
        with machine.explaining(), login(spec, port=machine.port):
            pass
        running = Running(
            name=spec.name,
            pid=machine.process.pid,
            started=_start_of(machine.process.pid),
            port=machine.port,
            key=str(spec.image.client_key),
            host_key=spec.image.host_key,
        )
        write_whole(directory / STATE, f"{json.dumps(asdict(running))}\n".encode())
        unless_it_lives.pop_all()
        machine.abandon()
    return running


def _state(directory: Path) -> Running | None:
    """The guest whose state is stored there; the state of a dead guest is removed."""
    try:
        running = Running(**json.loads((directory / STATE).read_text()))
    except FileNotFoundError:
        return None
    except (ValueError, TypeError) as error:
        raise HostError(f"{directory / STATE} is damaged: {error}", remedy=f"remove {directory}") from error
    if running.is_alive():
        return running
    (directory / STATE).unlink()
    return None


@contextmanager
def _locked(name: str, root: Path) -> Iterator[Path]:
    """The guest's own directory, for this process alone."""
    directory = root / name
    with ExitStack() as stack:
        try:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            stack.enter_context(locked(root / f".{name}.lock"))
            directory.mkdir(mode=0o700, exist_ok=True)
        except OSError as error:
            raise MachineError(
                f"the state of guest {name} could not be stored in {root}: {error.strerror}",
                remedy="set XDG_RUNTIME_DIR or XDG_CACHE_HOME to a directory that you can write to",
            ) from error
        yield directory


def _start_of(pid: int) -> str:
    """When a process started; empty if there is none, or only a zombie (proc(5), fields 3 and 22)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except FileNotFoundError:
        return ""
    return "" if fields[0] == "Z" else fields[19]
