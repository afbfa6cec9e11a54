# SPDX-License-Identifier: MIT
"""Guests: QEMU's command line, and their life from power-on to login to the end."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from kmlbench.build.artifacts import ImageArtifact, KernelArtifact
from kmlbench.errors import MachineError
from kmlbench.hosts.qemu_process import Machine, start_qemu, tied_to_parent
from kmlbench.hosts.ssh import SshHost, connect
from kmlbench.model import Acceleration, Clock
from kmlbench.process import QEMU, require

ADDRESS = "127.0.0.1"

KVM = Path("/dev/kvm")

READY = "kmlbench: ready"

BOOT_DEADLINE_S = 120.0

LOGIN_DEADLINE_S = 60.0

# What the instrument writes, in the directory of the boot.
WINDOWS = "windows"

# The stock kernel does not know kernel_mode_linux; it gets it because the command lines must be equal.
KERNEL_COMMAND_LINE = (
    "root=/dev/vda rw console=ttyS0 panic=-1 quiet init=/usr/lib/kmlbench/init kernel_mode_linux=on"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class GuestSpec:
    """A guest to start. `memory_mb` is in MiB; `seed` feeds QEMU's random numbers.

    `command_line` is added to the kernel's. Clock.INSTRUCTIONS needs Acceleration.TCG and one CPU, and so
    does `instrument`, the plugin that counts instructions; it writes to the file WINDOWS of the boot. With
    `control`, the descriptor of a socket, it counts only while asked to (kmlbench.hosts.counting).
    """

    name: str
    kernel: KernelArtifact
    image: ImageArtifact
    memory_mb: int
    cpus: int
    cpu_model: str
    clock: Clock
    acceleration: Acceleration
    seed: int
    command_line: str = ""
    instrument: Path | None = None
    control: int | None = None

    def __post_init__(self) -> None:
        counting = self.clock is Clock.INSTRUCTIONS or self.instrument is not None
        if counting and (self.cpus, self.acceleration) != (1, Acceleration.TCG):
            raise ValueError(f"guest {self.name}: counting instructions needs TCG and one CPU")


def qemu_argv(spec: GuestSpec, *, port: int, console: str, windows: Path = Path(WINDOWS)) -> tuple[str, ...]:
    """QEMU's arguments: SSH on `port` of the loopback interface, the console on chardev `console`.

    The disk is a throw-away overlay of the image, which is never written. The instrument writes to
    `windows`. Pure.
    """
    return (
        QEMU,
        *("-name", spec.name),
        *("-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-monitor", "none"),
        *("-M", "pc", "-accel", _accelerator(spec), "-cpu", spec.cpu_model),
        *("-m", f"{spec.memory_mb}M", "-smp", str(spec.cpus), "-seed", str(spec.seed)),
        *_clock(spec.clock),
        *("-kernel", str(spec.kernel.image)),
        *("-append", f"{KERNEL_COMMAND_LINE} {spec.command_line}".rstrip()),
        *("-drive", f"file={_comma(spec.image.root)},format=raw,if=virtio,snapshot=on"),
        *("-netdev", f"user,id=net0,ipv6=off,hostfwd=tcp:{ADDRESS}:{port}-:22"),
        *("-device", "virtio-net-pci,netdev=net0,romfile="),
        *("-chardev", console, "-serial", "chardev:console"),
        *_plugin(spec, windows),
    )


def _accelerator(spec: GuestSpec) -> str:
    """Several processors are emulated in turn: docs/decisions/0042-guests-on-one-thread.md."""
    in_turn = spec.acceleration is Acceleration.TCG and spec.cpus > 1
    return "tcg,thread=single" if in_turn else str(spec.acceleration)


def _clock(clock: Clock) -> tuple[str, ...]:
    """`sleep=on`: while the guest idles its clock is the machine's, or every deadline in it would expire."""
    if clock is Clock.INSTRUCTIONS:
        return ("-icount", "shift=0,sleep=on", "-rtc", "base=utc,clock=vm")
    return ("-rtc", "base=utc,clock=host")


def _plugin(spec: GuestSpec, windows: Path) -> tuple[str, ...]:
    if spec.instrument is None:
        return ()
    control = "" if spec.control is None else f",control={spec.control}"
    return ("-plugin", f"{_comma(spec.instrument)},output={_comma(windows)}{control}")


def _comma(path: Path) -> str:
    """QEMU's option lists want a comma doubled."""
    return str(path).replace(",", ",,")


@contextmanager
def boot(spec: GuestSpec, *, directory: Path) -> Iterator[SshHost]:
    """A running guest, logged in. It ends with the block, or with this process or thread if that dies first.

    `directory` gets console.log and qemu.txt (the exact arguments). Raises HostError with the end of the
    console if the guest dies, panics or does not answer in time, MachineError without QEMU.
    """
    with ExitStack() as stack:
        machine = power_on(spec, directory=directory, argv_prefix=tied_to_parent())
        stack.callback(machine.stop)
        machine.wait_for(READY, deadline_s=BOOT_DEADLINE_S)
        machine.listen()
        with machine.explaining():
            host = stack.enter_context(login(spec, port=machine.port))
        with machine.explaining():
            yield host


def power_on(spec: GuestSpec, *, directory: Path, argv_prefix: tuple[str, ...] = ()) -> Machine:
    """Start QEMU and return at once. The guest outlives this process unless `argv_prefix` prevents it."""
    _require_kvm(spec)
    directory.mkdir(parents=True, exist_ok=True)
    require(QEMU)

    def argv(port: int, console: str) -> tuple[str, ...]:
        arguments = qemu_argv(spec, port=port, console=console, windows=directory / WINDOWS)
        (directory / "qemu.txt").write_text(shlex.join(arguments) + "\n")
        return (*argv_prefix, *arguments)

    inherited = () if spec.control is None else (spec.control,)
    return start_qemu(spec.name, argv, directory=directory, inherited=inherited)


@contextmanager
def login(spec: GuestSpec, *, port: int, deadline_s: float = LOGIN_DEADLINE_S) -> Iterator[SshHost]:
    """A connection to a running guest of this spec."""
    image = spec.image
    with connect(
        ADDRESS,
        port=port,
        user="root",
        key=image.client_key,
        host_key=image.host_key,
        deadline_s=deadline_s,
        name=spec.name,
    ) as host:
        yield host


def _require_kvm(spec: GuestSpec) -> None:
    if spec.acceleration is Acceleration.KVM and not KVM.exists():
        raise MachineError(
            f"guest {spec.name} needs KVM, but this machine has no {KVM}",
            remedy="use acceleration tcg, or a machine with hardware virtualisation",
        )
