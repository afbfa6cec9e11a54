# SPDX-License-Identifier: MIT
"""Setting up the two arms of a campaign, whatever the kind of their hosts."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from kmlbench.build.cache import Cache
from kmlbench.build.image import Extras
from kmlbench.config.campaign import CampaignSpec, Config
from kmlbench.hosts.base import Booted, Job, Machines, Ready
from kmlbench.hosts.spec import HostSpec
from kmlbench.model import Boot, Kernel, Trial
from kmlbench.progress import Progress
from kmlbench.results import writer
from kmlbench.servers import server


def booted(trials: Sequence[Trial]) -> frozenset[Kernel]:
    """The kernels that these trials boot: a control boots only one."""
    return frozenset(trial.variant.kernel for trial in trials)


def pairs(settings: Config, kernels: Collection[Kernel]) -> tuple[Mapping[Kernel, HostSpec], ...]:
    """The host of each of these kernels, for each pair of hosts."""
    spec = settings.campaign
    names = ({Kernel.STOCK: stock, Kernel.KML: kml} for stock, kml in spec.host_pairs)
    return tuple(
        {kernel: settings.host(name) for kernel, name in pair.items() if kernel in kernels} for pair in names
    )


def hosts(settings: Config, kernels: Collection[Kernel]) -> tuple[HostSpec, ...]:
    """These hosts of all pairs."""
    return tuple(host for pair in pairs(settings, kernels) for host in pair.values())


def prepare_machines(
    chosen: Sequence[Mapping[Kernel, HostSpec]],
    spec: CampaignSpec,
    *,
    seed: int,
    cache: Cache,
    progress: Progress,
) -> Ready:
    """Build what these pairs of hosts need for a campaign, or check that SSH hosts answer.

    Raises MachineError or HostError.
    """
    job = Job(
        server=spec.server,
        seed=seed,
        cache=cache,
        progress=progress,
        instrument=spec.instrument,
        extras=extras(spec),
    )
    # The hosts of a campaign are of one kind.
    kind = type(next(iter(chosen[0].values())))
    ready = kind.prepare(chosen, job)
    return replace(ready, machines=cleared(ready.machines)) if kind.outlasts else ready


def extras(spec: CampaignSpec) -> Extras:
    """What the image needs for the workloads of files."""
    needed = spec.programs.values()
    return Extras(
        packages=tuple(sorted({package for each in needed for package in each.packages})),
        trusted=tuple(sorted({program for each in needed for program in each.programs})),
    )


def cleared(machines: Machines) -> Machines:
    """Machines that first end servers left by a dead controller; the boot's `leftovers` names those."""

    @contextmanager
    def boot(planned: Boot, directory: Path) -> Iterator[Booted]:
        with machines(planned, directory) as machine:
            if left := server.clear(machine.host):
                writer.write_file(directory / "leftovers", left)
            yield machine

    return boot
