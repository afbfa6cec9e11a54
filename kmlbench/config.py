# SPDX-License-Identifier: MIT
"""hosts.yaml as frozen data: the machines, and what a campaign does by default.

Every fault of the file is reported at once, as `hosts.yaml:LINE: ...`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from kmlbench.adapters import ADAPTERS
from kmlbench.errors import InputError
from kmlbench.model import Clock, Kernel, Server
from kmlbench.yamlfile import NAME, Faults, Fields, Value, parse, suggestion

HOST_KEY = re.compile(r"(ssh-ed25519|ssh-rsa|ecdsa-sha2-\S+) [A-Za-z0-9+/]+=*( .*)?")
ONE_CPU = "a clock that counts instructions needs one CPU; use clock: time for more"


class Kind(StrEnum):
    """How a host is reached: a guest that the project boots, or a machine that is already running."""

    QEMU = "qemu"
    SSH = "ssh"


@dataclass(frozen=True, slots=True, kw_only=True)
class QemuHostSpec:
    """A guest; memory is in MiB.

    `clock` INSTRUCTIONS needs one CPU and QEMU's translator. None is time where KVM runs the guest, else
    instructions if it has one CPU.
    """

    name: str
    kernel: Kernel
    memory_mb: int
    cpus: int
    cpu_model: str
    clock: Clock | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SshHostSpec:
    """A running machine. `host_key` is its public key ("ssh-ed25519 AAAA..."), `key` a file that logs in."""

    name: str
    kernel: Kernel
    address: str
    port: int
    user: str
    key: Path
    host_key: str


HostSpec = QemuHostSpec | SshHostSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignSpec:
    """A campaign. `scale` multiplies the work of every workload; `seed` None is drawn at the start.

    `loops` are the passes of the Wisconsin benchmark, `rate` the events per second of the OLTP mixes; None
    leaves both to the workloads. The hosts at one place of `stock` and `kml` are a pair; pairs work at the
    same time.
    """

    stock: tuple[str, ...]
    kml: tuple[str, ...]
    server: Server
    workloads: tuple[str, ...]
    blocks: int
    scale: float
    seed: int | None
    loops: int | None = None
    rate: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The whole file."""

    path: Path
    hosts: tuple[HostSpec, ...]
    campaign: CampaignSpec

    def host(self, name: str) -> HostSpec:
        """The host called `name`. Raises InputError with a suggestion."""
        for host in self.hosts:
            if host.name == name:
                return host
        names = [host.name for host in self.hosts]
        raise InputError(f"{self.path}: no host is called {name!r}{suggestion(name, names)}")


def load(path: Path, *, campaign: Mapping[str, Value] | None = None) -> Config:
    """Read the file at `path`; `campaign` holds options of the command line that replace its defaults.

    Raises InputError with every fault of the file and of the options.
    """
    faults = Faults()
    top = Fields(parse(path), faults, "file")
    hosts = _hosts(top, faults)
    section = top.value("campaign")
    top.finish()
    spec = _campaign(section, hosts, campaign or {}, faults) if section else None
    faults.check()
    assert spec is not None
    return Config(path=path, hosts=hosts, campaign=spec)


def with_clock(settings: Config, clock: Clock) -> Config:
    """The same, with this clock in every guest. Raises InputError for a guest that cannot have it."""
    faults = Faults()
    for host in settings.hosts:
        if isinstance(host, QemuHostSpec) and clock is Clock.INSTRUCTIONS and host.cpus > 1:
            faults.add("--clock", f"host {host.name!r}: {ONE_CPU}")
    faults.check()
    hosts = (
        replace(host, clock=clock) if isinstance(host, QemuHostSpec) else host for host in settings.hosts
    )
    return replace(settings, hosts=tuple(hosts))


def _hosts(top: Fields, faults: Faults) -> tuple[HostSpec, ...]:
    section = top.value("hosts")
    if section is None:
        return ()
    return tuple(_host(name, value, faults) for name, value in Fields(section, faults, "hosts"))


def _host(name: str, value: Value, faults: Faults) -> HostSpec:
    if not NAME.fullmatch(name):
        faults.add(value.place, f"hosts: {name!r} is not a name (letters, digits, '.', '_', '-')")
    fields = Fields(value, faults, f"host {name!r}")
    match fields.choice("kind", Kind):
        case Kind.QEMU:
            host: HostSpec = _qemu(name, fields)
        case Kind.SSH:
            host = _ssh(name, fields, Path(value.source).parent)
    fields.finish()
    return host


def _qemu(name: str, fields: Fields) -> QemuHostSpec:
    spec = QemuHostSpec(
        name=name,
        kernel=fields.choice("kernel", Kernel),
        memory_mb=fields.integer("memory_mb", minimum=512, maximum=1 << 20),
        cpus=fields.integer("cpus", minimum=1, maximum=64),
        cpu_model=fields.text("cpu_model"),
        clock=fields.choice("clock", Clock) if fields.has("clock") else None,
    )
    if spec.cpus > 1 and spec.clock is Clock.INSTRUCTIONS:
        fields.fault("cpus", ONE_CPU)
    return spec


def _ssh(name: str, fields: Fields, directory: Path) -> SshHostSpec:
    spec = SshHostSpec(
        name=name,
        kernel=fields.choice("kernel", Kernel),
        address=fields.text("address"),
        port=fields.integer("port", minimum=1, maximum=65535),
        user=fields.text("user"),
        key=_file(fields.text("key"), directory),
        host_key=fields.text("host_key"),
    )
    if spec.host_key and not HOST_KEY.fullmatch(spec.host_key):
        fields.fault("host_key", "must be the host's public key, such as 'ssh-ed25519 AAAA...'")
    return spec


def _file(text: str, directory: Path) -> Path:
    """A file that the user named: `~` is the home directory, a relative path starts beside hosts.yaml."""
    path = Path(text)
    home = Path.home() if path.parts[:1] == ("~",) else None
    return home.joinpath(*path.parts[1:]) if home else directory / path


def _campaign(
    section: Value, hosts: tuple[HostSpec, ...], given: Mapping[str, Value], faults: Faults
) -> CampaignSpec:
    fields = Fields(section, faults, "campaign")
    fields.override(given)
    spec = CampaignSpec(
        stock=_host_names(fields, Kernel.STOCK, hosts),
        kml=_host_names(fields, Kernel.KML, hosts),
        server=fields.choice("server", Server),
        workloads=fields.names("workloads", ADAPTERS),
        blocks=fields.integer("blocks", minimum=1, maximum=1000),
        scale=fields.number("scale", minimum=0.001, maximum=1000),
        seed=fields.integer("seed", minimum=0, maximum=2**32 - 1) if fields.has("seed") else None,
        loops=fields.integer("loops", minimum=1, maximum=1_000_000) if fields.has("loops") else None,
        rate=fields.number("rate", minimum=0.01, maximum=1_000_000) if fields.has("rate") else None,
    )
    fields.finish()
    if not faults.found:
        _paired(fields, spec)
    if not faults.found:
        chosen = {host.name: host for host in hosts}
        first = chosen[spec.stock[0]]
        for name in (*spec.stock[1:], *spec.kml):
            _alike(fields, first, chosen[name])
    return spec


def _paired(fields: Fields, spec: CampaignSpec) -> None:
    """Every host has its other half, and every pair a block and its reverse."""
    pairs = len(spec.stock)
    if pairs != len(spec.kml):
        fields.fault("kml", f"{pairs} stock and {len(spec.kml)} kml hosts are no pairs")
    elif pairs > 1 and spec.blocks < 2 * pairs:
        fields.fault("blocks", f"{pairs} pairs of hosts need at least {2 * pairs} blocks, two for each")


def _alike(fields: Fields, one: HostSpec, other: HostSpec) -> None:
    """The hosts of a campaign may differ in the kernel, not in the machine."""
    match one, other:
        case (QemuHostSpec(), SshHostSpec()) | (SshHostSpec(), QemuHostSpec()):
            fields.fault("kml", "one host is a guest and the other is not: they cannot be compared")
        case QemuHostSpec() as stock, QemuHostSpec() as kml:
            for key in ("memory_mb", "cpus", "cpu_model", "clock"):
                ours, theirs = getattr(stock, key), getattr(kml, key)
                if ours != theirs:
                    pair = f"hosts {stock.name!r} and {kml.name!r} differ in {key} ({ours}, {theirs})"
                    fields.fault("kml", f"{pair}; only the kernel may")


def _host_names(fields: Fields, kernel: Kernel, hosts: tuple[HostSpec, ...]) -> tuple[str, ...]:
    names = fields.one_or_more(str(kernel), {host.name for host in hosts})
    for host in hosts:
        if host.name in names and host.kernel is not kernel:
            fields.fault(str(kernel), f"host {host.name!r} has the {host.kernel} kernel, not {kernel}")
    return names
