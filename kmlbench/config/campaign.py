# SPDX-License-Identifier: MIT
"""hosts.yaml as frozen data: the machines, and what a campaign does by default.

Every fault of the file is reported at once, as `hosts.yaml:LINE: ...`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

from kmlbench.config import hosts as inventory
from kmlbench.config.hosts import ONE_CPU, Address, HostSpec, QemuHostSpec, SshHostSpec
from kmlbench.config.rules import Integer, OneOf, Part, Real, Schema
from kmlbench.config.yamlfile import FIELDS, Faults, Fields, Value, parse, suggestion
from kmlbench.errors import InputError
from kmlbench.model import Clock, Kernel, Server
from kmlbench.workloads.registry import ADAPTERS

__all__ = ["CampaignSpec", "Config", "HostSpec", "QemuHostSpec", "SshHostSpec", "load", "with_clock"]

# By name; None is a host with faults.
Hosts = Mapping[str, HostSpec | None]

MOST_SEED = 2**32 - 1

HOST_NAMES: Schema = {
    "oneOf": [
        {"type": "string", "minLength": 1},
        {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1, "uniqueItems": True},
    ]
}

STOCK = Part(key="stock", form=HOST_NAMES, about="the host with the stock kernel, or a list of them")

KML = Part(
    key="kml", form=HOST_NAMES, about="the host with the kml kernel; of two lists, one place is a pair"
)

SERVER = OneOf(key="server", kind=Server, about="the database server")

WORKLOADS = Part(
    key="workloads",
    form={
        "type": "array",
        "items": {"enum": list(ADAPTERS)},
        "minItems": 1,
        "uniqueItems": True,
    },
    about="what to run",
)

BLOCKS = Integer(key="blocks", minimum=1, maximum=1000, about="how often each kernel is booted")

SCALE = Real(key="scale", minimum=0.001, maximum=1000, about="multiplies the work of every workload")

SEED = Integer(
    key="seed",
    minimum=0,
    maximum=MOST_SEED,
    required=False,
    about="the order of the trials and the workloads' random numbers; drawn and recorded if left out",
)

LOOPS = Integer(
    key="loops",
    minimum=1,
    maximum=1_000_000,
    required=False,
    about="passes of the Wisconsin benchmark; if left out, 8 times the scale",
)

RATE = Real(
    key="rate",
    minimum=0.01,
    maximum=1_000_000,
    required=False,
    about="events per second of the OLTP mixes; if left out, they follow one another",
)

CAMPAIGN_RULES = (STOCK, KML, SERVER, WORKLOADS, BLOCKS, SCALE, SEED, LOOPS, RATE)


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
    listed, section = top.value("hosts"), top.value("campaign")
    hosts = {} if listed is None else inventory.read(listed, faults)
    top.finish()
    spec = _campaign(section, hosts, campaign or {}, faults) if section else None
    # A fault begins with its place, which is an option or a line of the file.
    faults.check(remedy="" if all(fault.startswith("--") for fault in faults.found) else FIELDS)
    assert spec is not None
    return Config(path=path, hosts=tuple(host for host in hosts.values() if host), campaign=spec)


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


def _campaign(section: Value, hosts: Hosts, given: Mapping[str, Value], faults: Faults) -> CampaignSpec:
    fields = Fields(section, faults, "campaign")
    fields.override(given)
    spec = CampaignSpec(
        stock=_host_names(fields, Kernel.STOCK, hosts),
        kml=_host_names(fields, Kernel.KML, hosts),
        server=SERVER.read(fields),
        workloads=fields.names(WORKLOADS.key, ADAPTERS),
        blocks=BLOCKS.read(fields),
        scale=SCALE.read(fields),
        seed=SEED.read_if_there(fields),
        loops=LOOPS.read_if_there(fields),
        rate=RATE.read_if_there(fields),
    )
    fields.finish()
    if not faults.found:
        _paired(fields, spec)
    if not faults.found:
        first, *others = chosen = [host for name in (*spec.stock, *spec.kml) if (host := hosts[name])]
        for other in others:
            _alike(fields, first, other)
        for one, other in combinations(chosen, 2):
            _apart(fields, one, other)
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
        case SshHostSpec() as stock, SshHostSpec() as kml if stock.reboot is not kml.reboot:
            pair = f"hosts {stock.name!r} and {kml.name!r} differ in reboot"
            fields.fault("kml", f"{pair}: a boot must be the same thing on both")


def _apart(fields: Fields, one: HostSpec, other: HostSpec) -> None:
    """Machines at one address are one, unless it is an address behind different hosts."""
    match one, other:
        case SshHostSpec() as one, SshHostSpec() as other if _place(one) == _place(other):
            pair = f"hosts {one.name!r} and {other.name!r} are one machine ({one.address}, port {one.port})"
            fields.fault(str(other.kernel), f"{pair}: it runs one kernel, and one trial, at a time")


def _place(host: SshHostSpec) -> tuple[tuple[str, int], ...]:
    doors: tuple[Address, ...] = (host,) if host.jump is None else (host.jump, host)
    return tuple((door.address.lower(), door.port) for door in doors)


def _host_names(fields: Fields, kernel: Kernel, hosts: Hosts) -> tuple[str, ...]:
    names = fields.one_or_more(str(kernel), hosts)
    for name, host in hosts.items():
        if name in names and host and host.kernel is not kernel:
            fields.fault(str(kernel), f"host {name!r} has the {host.kernel} kernel, not {kernel}")
    return names
