# SPDX-License-Identifier: MIT
"""The two arms of a campaign made ready: kernels and image built, the way to run them found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kmlbench import machines
from kmlbench.build import image, kernel
from kmlbench.build.cache import Cache
from kmlbench.config import Config, HostSpec, QemuHostSpec, SshHostSpec
from kmlbench.hosts import acceleration
from kmlbench.machines import Builds, Machines
from kmlbench.model import Acceleration, Clock, Kernel
from kmlbench.platforms import Platform
from kmlbench.progress import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """What a campaign needs to begin. `clock` is None for hosts that already run."""

    machines: Machines
    platform: Platform
    clock: Clock | None
    releases: Mapping[Kernel, str]


def hosts(settings: Config) -> Mapping[Kernel, HostSpec]:
    """The host of each arm."""
    spec = settings.campaign
    return {Kernel.STOCK: settings.host(spec.stock), Kernel.KML: settings.host(spec.kml)}


def guest_hosts(settings: Config) -> tuple[QemuHostSpec, ...]:
    """The arms that are guests."""
    return tuple(host for host in hosts(settings).values() if isinstance(host, QemuHostSpec))


def prepare(settings: Config, *, seed: int, cache: Cache, progress: Progress) -> Ready:
    """Build what is missing, or see that running hosts answer. Raises MachineError or HostError."""
    chosen = hosts(settings)
    running = {name: host for name, host in chosen.items() if isinstance(host, SshHostSpec)}
    if running:
        progress.stage("connecting")
        return Ready(
            machines=machines.running_hosts(running),
            platform=Platform.HOSTS,
            clock=None,
            releases={name: machines.release(host) for name, host in running.items()},
        )
    guests = {name: host for name, host in chosen.items() if isinstance(host, QemuHostSpec)}
    return _guests(settings, guests, seed=seed, cache=cache, progress=progress)


def _guests(
    settings: Config, guests: Mapping[Kernel, QemuHostSpec], *, seed: int, cache: Cache, progress: Progress
) -> Ready:
    kernels = {name: kernel.ensure(name, cache=cache, progress=progress) for name in Kernel}
    root = image.ensure(settings.campaign.server, cache=cache, progress=progress)

    def accelerate() -> Acceleration:
        answer = acceleration.explain(kernels[Kernel.STOCK], root, cache=cache)
        progress.note(f"guests run under {answer.acceleration.upper()}: {answer.reason}")
        return answer.acceleration

    found, clock = machines.settle(guests[Kernel.STOCK], accelerate)
    builds = Builds(kernels=kernels, image=root, acceleration=found, clock=clock)
    return Ready(
        machines=machines.guests(guests, builds, seed=seed),
        platform=_platform(found, clock),
        clock=clock,
        releases={name: artifact.release for name, artifact in kernels.items()},
    )


def _platform(found: Acceleration, clock: Clock) -> Platform:
    if found is Acceleration.KVM:
        return Platform.KVM
    return Platform.INSTRUCTIONS if clock is Clock.INSTRUCTIONS else Platform.REAL_TIME
