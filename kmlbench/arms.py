# SPDX-License-Identifier: MIT
"""The two arms of a campaign made ready: kernels and image built, the way to run them found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kmlbench import machines
from kmlbench.build import image, kernel
from kmlbench.build.cache import Cache
from kmlbench.config import Config, HostSpec, QemuHostSpec, SshHostSpec
from kmlbench.errors import HostError
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


def pairs(settings: Config) -> tuple[Mapping[Kernel, HostSpec], ...]:
    """The host of each arm, for each pair of hosts."""
    spec = settings.campaign
    return tuple(
        {Kernel.STOCK: settings.host(stock), Kernel.KML: settings.host(kml)}
        for stock, kml in zip(spec.stock, spec.kml, strict=True)
    )


def guest_hosts(settings: Config) -> tuple[QemuHostSpec, ...]:
    """The hosts that are guests."""
    listed = (host for pair in pairs(settings) for host in pair.values())
    return tuple(host for host in listed if isinstance(host, QemuHostSpec))


def prepare(settings: Config, *, seed: int, cache: Cache, progress: Progress) -> Ready:
    """Build what is missing, or see that running hosts answer. Raises MachineError or HostError."""
    chosen = pairs(settings)
    running = [
        {name: host for name, host in pair.items() if isinstance(host, SshHostSpec)} for pair in chosen
    ]
    if running[0]:
        progress.stage("connecting")
        return Ready(
            machines=machines.by_pair([machines.running_hosts(pair) for pair in running]),
            platform=Platform.HOSTS,
            clock=None,
            releases={name: _release([pair[name] for pair in running]) for name in Kernel},
        )
    guests = [
        {name: host for name, host in pair.items() if isinstance(host, QemuHostSpec)} for pair in chosen
    ]
    return _guests(settings, guests, seed=seed, cache=cache, progress=progress)


def _release(arm: Sequence[SshHostSpec]) -> str:
    """The release of the kernel that all hosts of an arm run. Raises HostError if they run several."""
    found = {host.name: machines.release(host) for host in arm}
    if len(set(found.values())) > 1:
        told = ", ".join(f"{name} runs {release}" for name, release in found.items())
        raise HostError(
            f"the pairs of this campaign have different kernels: {told}",
            remedy="boot the same two kernels on every pair of hosts",
        )
    return found[arm[0].name]


def _guests(
    settings: Config,
    guests: Sequence[Mapping[Kernel, QemuHostSpec]],
    *,
    seed: int,
    cache: Cache,
    progress: Progress,
) -> Ready:
    kernels = {name: kernel.ensure(name, cache=cache, progress=progress) for name in Kernel}
    root = image.ensure(settings.campaign.server, cache=cache, progress=progress)

    def accelerate() -> Acceleration:
        answer = acceleration.explain(kernels[Kernel.STOCK], root, cache=cache)
        progress.note(f"guests run under {answer.acceleration.upper()}: {answer.reason}")
        return answer.acceleration

    found, clock = machines.settle(guests[0][Kernel.STOCK], accelerate)
    builds = Builds(kernels=kernels, image=root, acceleration=found, clock=clock)
    return Ready(
        machines=machines.by_pair([machines.guests(pair, builds, seed=seed) for pair in guests]),
        platform=_platform(found, clock),
        clock=clock,
        releases={name: artifact.release for name, artifact in kernels.items()},
    )


def _platform(found: Acceleration, clock: Clock) -> Platform:
    if found is Acceleration.KVM:
        return Platform.KVM
    return Platform.INSTRUCTIONS if clock is Clock.INSTRUCTIONS else Platform.REAL_TIME
