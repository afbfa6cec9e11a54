# SPDX-License-Identifier: MIT
"""What `--dry-run` says beside the trials: the hosts, what is built first, what would be answered."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from kmlbench import arms, stopping
from kmlbench.answer import main_workload
from kmlbench.build import image, kernel
from kmlbench.build.cache import default_cache
from kmlbench.comparisons import primary
from kmlbench.config import Config, HostSpec, SshHostSpec
from kmlbench.errors import MachineError
from kmlbench.model import Kernel, Trial
from kmlbench.records import Stopping
from kmlbench.stored import CAMPAIGN

GUESS = "the time is a guess from guests on two cores without KVM, and does not count what is built first"


def lines(
    settings: Config, plan: tuple[Trial, ...], *, control: bool, rule: Stopping | None, results: Path
) -> Iterator[str]:
    """One sentence each. Nothing is started or asked: only files of this machine are looked at."""
    for number, pair in enumerate(arms.pairs(settings)):
        hosts = ", ".join(f"the {name} kernel on {_place(host)}" for name, host in pair.items())
        yield f"pair {number + 1}: {hosts}"
    if arms.guest_hosts(settings):
        yield _built_first(settings)
    asked = primary(plan, control=control)
    yield f"the question: {asked}, by {stopping.METRIC} of {main_workload(plan)}"
    if rule is not None:
        yield (
            f"it may end after {rule.first} blocks, and every {rule.every} more, once the interval is within "
            f"±{rule.half_width * 100:g} %"
        )
    yield (
        f"results: {results}"
        if (results / CAMPAIGN).exists()
        else f"results: a new directory below {results}"
    )
    yield GUESS


def _place(host: HostSpec) -> str:
    if isinstance(host, SshHostSpec):
        return f"{host.name} ({host.address})"
    return f"the guest {host.name} ({host.memory_mb} MiB, processors: {host.cpus})"


def _built_first(settings: Config) -> str:
    cache = default_cache()
    try:
        missing = [f"the {one} kernel" for one in Kernel if kernel.built(one, cache=cache) is None]
        if image.built(settings.campaign.server, cache=cache) is None:
            missing.append(f"the image with {settings.campaign.server}")
    except MachineError as error:
        return f"whether kernels and image are built cannot be told: {error}"
    if not missing:
        return "kernels and image are in the cache: nothing is built first"
    return f"built first, as the cache does not have it: {', '.join(missing)}"
