# SPDX-License-Identifier: MIT
"""The arms of a campaign on several pairs of hosts that already run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest
from support.fake_host import Exchange, FakeHost
from support.played_machines import hosts_file

from kmlbench.build.cache import Cache
from kmlbench.config import campaign
from kmlbench.config.campaign import Config
from kmlbench.errors import HostError
from kmlbench.hosts.base import Booted, Ready
from kmlbench.hosts.kind_ssh import SshHostSpec
from kmlbench.hosts.reboot import BOOT_ID
from kmlbench.model import Boot, Clock, Kernel, Trial, Variant
from kmlbench.plan import schedule
from kmlbench.plan.comparisons import CELLS
from kmlbench.progress import Silent
from kmlbench.run import setup
from kmlbench.servers import daemon

HOST = (
    "  {0}{1}: {{kind: ssh, kernel: {0}, address: 192.0.2.{2}, port: 22, user: root, key: none, "
    "host_key: ssh-ed25519 AAAAC3NzaC1lZDI1NTE{2}}}\n"
)
CAMPAIGN = (
    "campaign: {stock: [stock1, stock2], kml: [kml1, kml2], server: mysql, workloads: [getpid], "
    "blocks: 4, scale: 1}\n"
)


def prepare(directory: Path) -> Ready:
    path = directory / "hosts.yaml"
    names = ((kernel, pair) for kernel in ("stock", "kml") for pair in (1, 2))
    listed = "".join(HOST.format(*name, number) for number, name in enumerate(names))
    path.write_text(f"hosts:\n{listed}{CAMPAIGN}")
    trials = schedule.make_schedule(CELLS, {"getpid": False}, blocks=4, seed=1)
    return prepared(campaign.load_config(path), trials, Cache(directory))


def prepared(settings: Config, trials: Sequence[Trial], cache: Cache) -> Ready:
    chosen = setup.pairs(settings, setup.booted(trials))
    return setup.prepare_machines(chosen, settings.campaign, seed=1, cache=cache, progress=Silent())


def alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """Machines of their own whose kernels were started in the same way."""
    monkeypatch.setattr(SshHostSpec, "boot_id", lambda spec: spec.name)
    monkeypatch.setattr(SshHostSpec, "command_line", lambda _: "quiet")


def test_each_boot_goes_to_a_host_of_its_pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def connection(spec: SshHostSpec, deadline_s: float = 60.0) -> AbstractContextManager[FakeHost]:
        del deadline_s
        asked = Exchange(argv=("cat", BOOT_ID), stdout="a-boot\n")
        nothing_left = Exchange(argv=("timeout", "120", "sh", "-c", "*", "sh", daemon.RUNTIME))
        return nullcontext(FakeHost(name=spec.name, script=[asked, nothing_left]))

    monkeypatch.setattr(SshHostSpec, "connection", connection)
    monkeypatch.setattr(SshHostSpec, "release", lambda spec: f"6.12-{spec.kernel}")
    alike(monkeypatch)
    ready = prepare(tmp_path)
    assert ready.releases == {Kernel.STOCK: "6.12-stock", Kernel.KML: "6.12-kml"}
    for kernel in Kernel:
        for pair in (0, 1):
            planned = Boot(index=0, block=0, twin=0, pair=pair, kernel=kernel, groups=())
            with ready.machines(planned, tmp_path) as booted:
                assert isinstance(booted, Booted)
                assert booted.host.name == f"{kernel}{pair + 1}"


def test_pairs_with_different_kernels_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SshHostSpec, "release", lambda spec: f"6.12-of-{spec.name}")
    alike(monkeypatch)
    with pytest.raises(HostError, match=r"(?s)stock1 runs 6\.12-of-stock1, stock2 runs .*remedy: boot"):
        prepare(tmp_path)


class Stocked(Cache):
    """A cache that has everything that it is asked for, and remembers which kernels that were."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.kernels: list[str] = []

    def ensure(
        self, kind: str, key: Mapping[str, str], build: Callable[[Path], None], *, need_gib: float = 4.0
    ) -> Path:
        del build, need_gib
        if kind == "kernel":
            self.kernels.append(key["kernel"])
        entry = self.path(kind, key)
        entry.mkdir(parents=True)
        for name in ("release", "packages", "host_key.pub"):
            (entry / name).write_text(f"{name} of {key.get('kernel', 'the image')}\n")
        return entry


@pytest.mark.slow
@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_a_control_builds_the_kernel_that_it_boots(tmp_path: Path, cell: Variant) -> None:
    path = hosts_file(tmp_path, blocks=2)
    settings = campaign.with_clock(campaign.load_config(path), Clock.INSTRUCTIONS)
    trials = schedule.make_control(cell, {"getpid": False}, blocks=2, seed=1)
    cache = Stocked(tmp_path / "cache")
    ready = prepared(settings, trials, cache)
    assert cache.kernels == [cell.kernel]
    assert ready.releases == {cell.kernel: f"release of {cell.kernel}"}
