# SPDX-License-Identifier: MIT
"""From specs to reachable hosts: one boot of the plan, as a context manager."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from kmlbench import process
from kmlbench.build.artifacts import ImageArtifact, KernelArtifact
from kmlbench.config.hosts import QemuHostSpec, SshHostSpec
from kmlbench.hosts import qemu, reboot
from kmlbench.hosts.connect import SSH_DEADLINE_S, connection
from kmlbench.model import Acceleration, Boot, Clock, Host, Kernel
from kmlbench.results import writer
from kmlbench.results.facts import digest
from kmlbench.servers import server

TWIN_SEED = 1000  # no campaign has more blocks

VERSION_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Booted:
    """A reachable host, and what the controller knows about it (facts, as compared by results.facts)."""

    host: Host
    facts: Mapping[str, str]


Machines = Callable[[Boot, Path], AbstractContextManager[Booted]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Builds:
    """What guests are made from: the kernels, the image, and how this machine runs them."""

    kernels: Mapping[Kernel, KernelArtifact]
    image: ImageArtifact
    acceleration: Acceleration
    clock: Clock


def settle(host: QemuHostSpec, accelerate: Callable[[], Acceleration]) -> tuple[Acceleration, Clock]:
    """What executes a guest, and what its clock counts.

    Only QEMU's translator can count instructions, so `accelerate`, which may have to boot a guest, is not
    called for a spec with that clock.
    """
    if host.clock is Clock.INSTRUCTIONS:
        return Acceleration.TCG, host.clock
    found = accelerate()
    countable = found is Acceleration.TCG and host.cpus == 1
    return found, host.clock or (Clock.INSTRUCTIONS if countable else Clock.TIME)


def by_pair(pairs: Sequence[Machines]) -> Machines:
    """Runs each boot of the plan on the machines of its pair."""

    def boot(planned: Boot, directory: Path) -> AbstractContextManager[Booted]:
        return pairs[planned.pair](planned, directory)

    return boot


def guests(hosts: Mapping[Kernel, QemuHostSpec], builds: Builds, *, seed: int) -> Machines:
    """Boots a new guest for each boot of the plan.

    Both kernels of a block get the same QEMU seed. The two boots of a control do not: under the instruction
    clock the same kernel with the same seed would repeat itself and hide how far boots vary.
    """
    facts = {kernel: guest_facts(_guest(host, builds, seed=0)) for kernel, host in hosts.items()}

    @contextmanager
    def boot(planned: Boot, directory: Path) -> Iterator[Booted]:
        drawn = (seed + planned.block + TWIN_SEED * planned.twin) % 2**31
        spec = _guest(hosts[planned.kernel], builds, seed=drawn)
        with qemu.boot(spec, directory=directory) as host:
            yield Booted(host=host, facts=facts[planned.kernel])

    return boot


def running_hosts(hosts: Mapping[Kernel, SshHostSpec]) -> Machines:
    """SSH hosts. A boot of the plan is a reboot if hosts.yaml allows it, else a connection.

    Servers that a dead controller left there are stopped first, and listed in the boot's `leftovers`.
    """

    @contextmanager
    def boot(planned: Boot, directory: Path) -> Iterator[Booted]:
        spec = hosts[planned.kernel]
        if spec.reboot:
            reboot.reboot(spec.name, partial(connection, spec), deadline_s=spec.boot_deadline_s)
        with connection(spec) as host:
            (directory / "boot_id").write_text(reboot.boot_id(host) + "\n")
            if left := server.clear(host):
                writer.write(directory / "leftovers", left)
            yield Booted(host=host, facts={"boots_are": "reboots" if spec.reboot else "connections"})

    return boot


def release(spec: SshHostSpec) -> str:
    """The kernel release of a running machine. Raises HostError if it does not answer."""
    with connection(spec) as host:
        return host.run(("uname", "-r"), timeout_s=SSH_DEADLINE_S).stdout.strip()


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
    )


def _arguments(spec: qemu.GuestSpec) -> str:
    """QEMU's arguments without the names of guest and kernel, the port, and the seed."""
    arguments = list(qemu.qemu_argv(replace(spec, seed=0, name="guest"), port=0, console="console"))
    kernel = arguments.index("-kernel")
    del arguments[kernel : kernel + 2]
    return " ".join(arguments).replace(str(spec.image.root), "root.img")


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, "unknown")
