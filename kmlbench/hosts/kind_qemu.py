# SPDX-License-Identifier: MIT
"""kind: qemu, a guest that is built on this machine and booted afresh for each boot of the plan."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

from kmlbench import process
from kmlbench.build import image, instrument, kernel
from kmlbench.build.artifacts import ImageArtifact, KernelArtifact
from kmlbench.build.bases import DEFAULT, Base
from kmlbench.build.cache import default_cache
from kmlbench.build.image import NOTHING, Extras
from kmlbench.build.instrument import Instrument, Unavailable
from kmlbench.errors import MachineError
from kmlbench.hosts import counting, kvm, qemu
from kmlbench.hosts.base import Booted, Claim, Job, Machines, Ready, Recording, Size, by_pair
from kmlbench.hosts.spec import HostSpec
from kmlbench.model import Acceleration, Boot, Clock, Kernel, Platform, Server
from kmlbench.results.facts import digest
from kmlbench.rules import number, plain_field, text_field

ONE_CPU = "a clock that counts instructions needs one CPU; use clock: time for more"

ALIKE = ("linux", "memory_mb", "cpus", "cpu_model", "clock")

BOOT_ID = Path("/proc/sys/kernel/random/boot_id")

TWIN_SEED = 1000  # no campaign has more blocks

VERSION_TIMEOUT_S = 30.0

NO_INSTRUMENT = Unavailable(reason="the campaign asked for none")

NOT_COUNTABLE = Unavailable(reason="it counts in guests of one CPU under TCG only")


@dataclass(frozen=True, slots=True, kw_only=True)
class Builds:
    """What guests are made from: the kernels, the image, and how this machine runs them."""

    kernels: Mapping[Kernel, KernelArtifact]
    image: ImageArtifact
    acceleration: Acceleration
    clock: Clock
    instrument: Instrument | Unavailable = NO_INSTRUMENT


@dataclass(frozen=True, slots=True, kw_only=True)
class QemuHostSpec(HostSpec):
    """A guest; memory is in MiB.

    `clock` INSTRUCTIONS needs one CPU and QEMU's translator. None is time where KVM runs the guest, else
    instructions if it has one CPU.
    """

    kind: ClassVar[str] = "qemu"
    about: ClassVar[str] = "a guest that the suite builds and boots"
    programs: ClassVar[tuple[str, ...]] = (process.QEMU,)

    name: str
    kernel: Kernel = field(metadata=plain_field("which of the two kernels it runs"))
    memory_mb: int = field(metadata=number("the guest's memory in MiB", 512, 1 << 20))
    cpus: int = field(metadata=number("the guest's processors", 1, 64))
    cpu_model: str = field(metadata=text_field("QEMU's name for the processor: max, or host under KVM"))
    linux: Base = field(
        default=DEFAULT, metadata=plain_field("the version of Linux that both kernels of a pair are made of")
    )
    clock: Clock | None = field(
        default=None,
        metadata=plain_field(
            "what the guest's clock counts; by default time if KVM works, else instructions"
        ),
    )

    @property
    def description(self) -> str:
        return f"the guest {self.name} (Linux {self.linux}, {self.memory_mb} MiB, processors: {self.cpus})"

    @property
    def claim(self) -> Claim:
        """Guests all use this machine."""
        return this_machine()

    @property
    def size(self) -> Size:
        return Size(memory_mb=self.memory_mb, cpus=self.cpus)

    @classmethod
    def conflicts(cls, given: Mapping[str, object]) -> Iterator[tuple[str, str]]:
        if given.get("clock") == Clock.INSTRUCTIONS and given.get("cpus", 1) != 1:
            yield "cpus", ONE_CPU

    def differences(self, other: HostSpec) -> Iterator[str]:
        for name in ALIKE:
            ours, theirs = getattr(self, name), getattr(other, name)
            if ours != theirs:
                yield f"{name} ({ours}, {theirs}); only `kernel` may differ"

    def with_linux(self, base: Base) -> QemuHostSpec:
        return replace(self, linux=base)

    def with_clock(self, clock: Clock) -> QemuHostSpec:
        if clock is Clock.INSTRUCTIONS and self.cpus > 1:
            raise ValueError(ONE_CPU)
        return replace(self, clock=clock)

    def outlook(self, server: Server, kernels: Iterable[Kernel], extras: Extras = NOTHING) -> Iterator[str]:
        cache = default_cache()
        try:
            missing = [
                f"the {name} kernel {self.linux}"
                for name in kernels
                if kernel.built(name, self.linux, cache=cache) is None
            ]
            if image.built(server, cache=cache, extras=extras) is None:
                missing.append(f"the image with {', '.join((server, *extras.packages))}")
        except MachineError as error:
            yield f"cannot tell whether kernels and image are built: {error}"
        else:
            yield (
                f"built first, since not in the cache: {', '.join(missing)}"
                if missing
                else "kernels and image are in the cache: nothing is built first"
            )

    @classmethod
    def prepare(cls, pairs: Sequence[Mapping[Kernel, QemuHostSpec]], job: Job) -> Ready:
        image.require_buildable(job.server, cache=job.cache, extras=job.extras)
        first, host = next(iter(pairs[0].items()))
        kernels = {
            name: kernel.ensure(name, host.linux, cache=job.cache, progress=job.progress) for name in pairs[0]
        }
        root = image.ensure(job.server, cache=job.cache, progress=job.progress, extras=job.extras)

        def accelerate() -> Acceleration:
            answer = kvm.explain_refusal(kernels[first], root, cache=job.cache)
            job.progress.note(f"guests run under {answer.acceleration.upper()}: {answer.reason}")
            return answer.acceleration

        acceleration, clock = choose_acceleration(host, accelerate)
        plugin = choose_instrument(host, acceleration, job)
        builds = Builds(
            kernels=kernels, image=root, acceleration=acceleration, clock=clock, instrument=plugin
        )
        return Ready(
            machines=by_pair([guests(pair, builds, seed=job.seed) for pair in pairs]),
            platform=_platform(acceleration, clock),
            clock=clock,
            releases={name: artifact.release for name, artifact in kernels.items()},
            facts=known_facts(pairs[0], builds),
            linux=host.linux,
        )


def this_machine() -> Claim:
    """The claim of all guests on this machine."""
    return Claim(key=f"guests-{BOOT_ID.read_text().strip()}", name="this machine")


def choose_acceleration(
    host: QemuHostSpec, accelerate: Callable[[], Acceleration]
) -> tuple[Acceleration, Clock]:
    """How a guest is executed, and what its clock counts.

    Only QEMU's translator can count instructions, so `accelerate`, which may have to boot a guest, is not
    called for a spec with that clock.
    """
    if host.clock is Clock.INSTRUCTIONS:
        return Acceleration.TCG, host.clock
    acceleration = accelerate()
    countable = acceleration is Acceleration.TCG and host.cpus == 1
    return acceleration, host.clock or (Clock.INSTRUCTIONS if countable else Clock.TIME)


def choose_instrument(host: QemuHostSpec, acceleration: Acceleration, job: Job) -> Instrument | Unavailable:
    """The plugin for guests like this one. A campaign that wanted it and goes without is told why."""
    if not job.instrument:
        return NO_INSTRUMENT
    countable = acceleration is Acceleration.TCG and host.cpus == 1
    plugin = instrument.ensure() if countable else NOT_COUNTABLE
    if isinstance(plugin, Unavailable):
        job.progress.note(f"instructions are not counted: the instrument is {plugin}")
    return plugin


def guests(hosts: Mapping[Kernel, QemuHostSpec], builds: Builds, *, seed: int) -> Machines:
    """Boots a new guest for each boot of the plan.

    Both kernels of a block get the same QEMU seed. The two boots of a control do not: under the instruction
    clock the same kernel with the same seed would repeat itself and hide how far boots vary.
    """
    facts = known_facts(hosts, builds)

    @contextmanager
    def boot(planned: Boot, directory: Path) -> Iterator[Booted]:
        drawn = (seed + planned.block + TWIN_SEED * planned.twin) % 2**31
        spec = _guest(hosts[planned.kernel], builds, seed=drawn)
        with ExitStack() as stack:
            stack.enter_context(_removing(directory / qemu.WINDOWS))
            ours, theirs = (stack.enter_context(end) for end in counting.conversation())
            if isinstance(builds.instrument, Instrument) and builds.instrument.on_demand:
                spec = replace(spec, control=theirs.fileno())
            host = stack.enter_context(qemu.boot(spec, directory=directory))
            theirs.close()
            yield Booted(
                host=host,
                facts=facts[planned.kernel],
                image=spec.image.key,
                recording=_recording(spec, directory, ours),
            )

    return boot


def _recording(spec: qemu.GuestSpec, directory: Path, control: socket.socket) -> Recording | None:
    if spec.instrument is None:
        return None
    return Recording(
        windows=directory / qemu.WINDOWS,
        system_map=spec.kernel.image.with_name("System.map"),
        root=spec.image.root,
        control=None if spec.control is None else control,
    )


def known_facts(hosts: Mapping[Kernel, QemuHostSpec], builds: Builds) -> Mapping[Kernel, Mapping[str, str]]:
    """The facts of the guests of a pair that no guest has to be asked for."""
    return {
        kernel: {**guest_facts(_guest(host, builds, seed=0)), "instrument": str(builds.instrument)}
        for kernel, host in hosts.items()
    }


@contextmanager
def _removing(path: Path) -> Iterator[None]:
    """Remove a file in the end: each trial has its part of it."""
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def guest_facts(spec: qemu.GuestSpec) -> Mapping[str, str]:
    """What the controller knows about a guest. Only `kernel_key` may differ between the two kernels."""
    version = process.check((process.QEMU, "--version"), timeout_s=VERSION_TIMEOUT_S).stdout
    return {
        "accelerator": str(spec.acceleration),
        "qemu_version": version.splitlines()[0],
        "qemu_arguments": _arguments(spec),
        "image": spec.image.key,
        "packages_sha256": digest(spec.image.packages.read_text()),
        "kernel_key": spec.kernel.key,
        "controller_cpu": _processor(),
    }


def _guest(host: QemuHostSpec, builds: Builds, *, seed: int) -> qemu.GuestSpec:
    return qemu.GuestSpec(
        name=host.name,
        kernel=builds.kernels[host.kernel],
        image=builds.image,
        memory_mb=host.memory_mb,
        cpus=host.cpus,
        cpu_model=host.cpu_model,
        clock=builds.clock,
        acceleration=builds.acceleration,
        seed=seed,
        instrument=builds.instrument.plugin if isinstance(builds.instrument, Instrument) else None,
    )


def _arguments(spec: qemu.GuestSpec) -> str:
    """QEMU's arguments without the names of guest and kernel, the port, the seed, and the instrument."""
    plain = replace(spec, seed=0, name="guest", instrument=None)
    arguments = list(qemu.qemu_argv(plain, port=0, console="console"))
    kernel = arguments.index("-kernel")
    del arguments[kernel : kernel + 2]
    return " ".join(arguments).replace(str(spec.image.root), "root.img")


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, "unknown")


def _platform(acceleration: Acceleration, clock: Clock) -> Platform:
    if acceleration is Acceleration.KVM:
        return Platform.KVM
    return Platform.INSTRUCTIONS if clock is Clock.INSTRUCTIONS else Platform.REAL_TIME
