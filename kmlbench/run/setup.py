# SPDX-License-Identifier: MIT
"""Setting up the two arms of a campaign: kernels, image, and how to run them."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from kmlbench.build import image, kernel
from kmlbench.build.cache import Cache
from kmlbench.config.campaign import Config
from kmlbench.config.hosts import HostSpec, QemuHostSpec, SshHostSpec
from kmlbench.errors import HostError
from kmlbench.hosts import kvm
from kmlbench.model import Acceleration, Clock, Kernel, Platform, Trial
from kmlbench.progress import Progress
from kmlbench.run import machines
from kmlbench.run.machines import Builds, Machines


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """What a campaign needs to start. `clock` is None for SSH hosts."""

    machines: Machines
    platform: Platform
    clock: Clock | None
    releases: Mapping[Kernel, str]


def booted(trials: Sequence[Trial]) -> frozenset[Kernel]:
    """The kernels that these trials boot: a control boots one."""
    return frozenset(trial.variant.kernel for trial in trials)


def pairs(settings: Config, kernels: Collection[Kernel]) -> tuple[Mapping[Kernel, HostSpec], ...]:
    """The host of each of these kernels, for each pair of hosts."""
    spec = settings.campaign
    names = ({Kernel.STOCK: stock, Kernel.KML: kml} for stock, kml in zip(spec.stock, spec.kml, strict=True))
    return tuple(
        {kernel: settings.host(name) for kernel, name in pair.items() if kernel in kernels} for pair in names
    )


def hosts(settings: Config, kernels: Collection[Kernel]) -> tuple[HostSpec, ...]:
    """These hosts of all pairs."""
    return tuple(host for pair in pairs(settings, kernels) for host in pair.values())


def prepare(
    settings: Config, trials: Sequence[Trial], *, seed: int, cache: Cache, progress: Progress
) -> Ready:
    """Build what these trials need, or check that SSH hosts answer. Raises MachineError or HostError."""
    chosen = pairs(settings, booted(trials))
    running = [
        {name: host for name, host in pair.items() if isinstance(host, SshHostSpec)} for pair in chosen
    ]
    if running[0]:
        progress.stage("connecting")
        return Ready(
            machines=machines.by_pair([machines.running_hosts(pair) for pair in running]),
            platform=Platform.HOSTS,
            clock=None,
            releases={name: _release([pair[name] for pair in running]) for name in running[0]},
        )
    guests = [
        {name: host for name, host in pair.items() if isinstance(host, QemuHostSpec)} for pair in chosen
    ]
    return _guests(settings, guests, seed=seed, cache=cache, progress=progress)


def _release(arm: Sequence[SshHostSpec]) -> str:
    """The kernel release of all hosts of an arm. Raises HostError if they differ."""
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
    first, host = next(iter(guests[0].items()))
    kernels = {name: kernel.ensure(name, cache=cache, progress=progress) for name in guests[0]}
    root = image.ensure(settings.campaign.server, cache=cache, progress=progress)

    def accelerate() -> Acceleration:
        answer = kvm.explain(kernels[first], root, cache=cache)
        progress.note(f"guests run under {answer.acceleration.upper()}: {answer.reason}")
        return answer.acceleration

    found, clock = machines.settle(host, accelerate)
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
