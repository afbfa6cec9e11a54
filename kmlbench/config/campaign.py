# SPDX-License-Identifier: MIT
"""hosts.yaml as frozen data: the machines, and what a campaign does by default.

Every fault of the file is reported at once, as `hosts.yaml:LINE: ...`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations
from pathlib import Path
from typing import Annotated

from kmlbench.build.bases import Base
from kmlbench.config.yamlfile import Document, Faults, Option, suggestion, title
from kmlbench.errors import InputError
from kmlbench.hosts.spec import HostSpec
from kmlbench.model import Clock, Server
from kmlbench.rules import flag_field, number, plain_field
from kmlbench.workloads.definition import Definition
from kmlbench.workloads.levels import MOST_THREADS, Transport
from kmlbench.workloads.program import ProgramWorkload
from kmlbench.workloads.registry import ADAPTERS, Own, at_levels, definitions, has_one_thread

# By name; a host with faults is None.
Hosts = Mapping[str, HostSpec | None]

MOST_SEED = 2**32 - 1

# The whole name of a host matches this.
NAME = "[A-Za-z0-9][A-Za-z0-9_.-]*"


class Names:
    """Marks a list of distinct names; if `alone`, a single name may replace the list.

    `reading` knows which names there are; the schema only knows those that are `listed`.
    """

    def __init__(self, *, listed: Collection[str] = (), alone: bool = False) -> None:
        self._listed = listed
        self._alone = alone

    def __get_pydantic_core_schema__(self, source: object, handler: object) -> dict[str, object]:
        """A validator that accepts everything: `reading` reports the faults, each with its line."""
        del source, handler
        return {"type": "function-plain", "function": {"type": "no-info", "function": _names}}

    def __get_pydantic_json_schema__(self, core: object, handler: object) -> dict[str, object]:
        """A list of names, or a single name."""
        del core, handler
        item: dict[str, object] = (
            {"enum": list(self._listed)} if self._listed else {"type": "string", "minLength": 1}
        )
        several: dict[str, object] = {"type": "array", "items": item, "minItems": 1, "uniqueItems": True}
        return {"oneOf": [item, several]} if self._alone else several


def _names(value: object) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else (str(value),)


class Files:
    """Marks a list of workload files, relative to hosts.yaml. `reading` reads them, with their faults."""

    def __get_pydantic_core_schema__(self, source: object, handler: object) -> dict[str, object]:
        """A validator that accepts everything: `reading` reports the faults, each with its line."""
        del source, handler
        return {"type": "function-plain", "function": {"type": "no-info", "function": _no_files}}

    def __get_pydantic_json_schema__(self, core: object, handler: object) -> dict[str, object]:
        """A list of paths."""
        del core, handler
        return {"type": "array", "items": {"type": "string", "minLength": 1}, "uniqueItems": True}


def _no_files(value: object) -> tuple[Definition, ...]:
    del value
    return ()


class Levels:
    """Marks a list of distinct numbers of threads, which a single one may replace. Otherwise as Names."""

    def __get_pydantic_core_schema__(self, source: object, handler: object) -> dict[str, object]:
        """A validator that accepts everything: `reading` reports the faults, each with its line."""
        del source, handler
        return {"type": "function-plain", "function": {"type": "no-info", "function": _levels}}

    def __get_pydantic_json_schema__(self, core: object, handler: object) -> dict[str, object]:
        """A list of numbers, or a single one."""
        del core, handler
        item: dict[str, object] = {"type": "integer", "minimum": 1, "maximum": MOST_THREADS}
        return {"oneOf": [item, {"type": "array", "items": item, "minItems": 1, "uniqueItems": True}]}


def _levels(value: object) -> tuple[object, ...]:
    return tuple(value) if isinstance(value, list) else (value,)


@dataclass(frozen=True, slots=True, kw_only=True)
class CampaignSpec:
    """A campaign. `scale` multiplies the work of every workload; a `seed` of None is drawn at the start.

    `loops` are the passes of the Wisconsin benchmark, `rate` the events per second of the OLTP mixes; None
    leaves both to the workloads. The OLTP mixes run once with each number of `threads`, and what talks to the
    database server once through each of the `transports`. The hosts at the same position of `stock` and `kml`
    are a pair; pairs work at the same time. Guests may be so many `pairs` at once.
    """

    stock: Annotated[tuple[str, ...], Names(alone=True)] = field(
        metadata=plain_field("the host with the stock kernel, or a list of hosts")
    )
    kml: Annotated[tuple[str, ...], Names(alone=True)] = field(
        metadata=plain_field(
            "the host with the kml kernel, or a list; hosts at the same position form a pair"
        )
    )
    server: Server = field(metadata=plain_field("the database server"))
    workloads: Annotated[tuple[str, ...], Names(listed=ADAPTERS)] = field(metadata=plain_field("what to run"))
    blocks: int = field(metadata=number("how often each kernel is booted", 1, 1000))
    scale: float = field(metadata=number("multiplies the work of every workload", 0.001, 1000))
    seed: int | None = field(
        default=None,
        metadata=number(
            "the order of the trials and the workloads' random numbers; by default drawn and recorded",
            0,
            MOST_SEED,
        ),
    )
    loops: int | None = field(
        default=None,
        metadata=number("passes of the Wisconsin benchmark; by default 8 times the scale", 1, 1_000_000),
    )
    rate: float | None = field(
        default=None,
        metadata=number(
            "events per second of the OLTP mixes; by default they run back to back", 0.01, 1_000_000
        ),
    )
    pairs: int = field(
        default=1,
        metadata=number(
            "how many pairs of these guests run at the same time, at most; each has two blocks or more", 1, 64
        ),
    )
    threads: Annotated[tuple[int, ...], Levels()] = field(
        default=(1,),
        metadata=plain_field(
            "threads of sysbench in the OLTP mixes, or a list: each mix runs once with each; by default 1"
        ),
    )
    transports: Annotated[tuple[str, ...], Names(listed=[str(each) for each in Transport], alone=True)] = (
        field(
            default=(str(Transport.SOCKET),),
            metadata=plain_field(
                "what connections to the database server go through, or a list: its workloads run "
                "once with each; by default its socket"
            ),
        )
    )
    workload_files: Annotated[tuple[Definition, ...], Files()] = field(
        default=(),
        metadata=plain_field(
            "workload files that run besides (docs/workload-files.md), relative to this one"
        ),
    )
    instrument: bool = field(
        default=True,
        metadata=flag_field("whether the instructions of emulated guests are counted, where they can be"),
    )

    @property
    def host_pairs(self) -> tuple[tuple[str, str], ...]:
        """The names of the stock and the kml host of each pair that works, once or several times."""
        named = tuple(zip(self.stock, self.kml, strict=True))
        return named * max(1, min(self.pairs, self.blocks // (2 * len(named))))

    @property
    def levels(self) -> tuple[str, ...]:
        """The workloads as they are run: each of its levels is a workload of its own."""
        transports = [Transport(name) for name in self.transports]
        names = (*at_levels(self.workloads, self.threads, transports), *self.own)
        return tuple(dict.fromkeys(names))

    @property
    def own(self) -> Own:
        """The workloads of its files, by name."""
        return {definition.name: ProgramWorkload(definition) for definition in self.workload_files}

    @property
    def programs(self) -> Mapping[str, Definition]:
        """Those of its workloads that files define, its own and those of the package."""
        return definitions(self.levels, self.own)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The whole file. `document` knows the lines of its values."""

    path: Path
    hosts: tuple[HostSpec, ...]
    campaign: CampaignSpec
    document: Document = field(repr=False, compare=False)

    def host(self, name: str) -> HostSpec:
        """The host called `name`. Raises InputError with a suggestion."""
        for host in self.hosts:
            if host.name == name:
                return host
        names = [host.name for host in self.hosts]
        raise InputError(f"{self.path}: no host is called {name!r}{suggestion(name, names)}")

    def where(self, host: HostSpec, *keys: str) -> str:
        """The line and the name of a key of a host."""
        location = ("hosts", host.name, *keys)
        return f"{self.document.where(location)}: {title(location[:-1])}: {location[-1]}"


def load_config(path: Path, *, campaign: Mapping[str, Option] | None = None) -> Config:
    """Read the file at `path`; `campaign` holds options of the command line that replace its defaults.

    Raises InputError with every fault of the file and of the options.
    """
    # What reads no file does not wait for pydantic.
    from kmlbench.config import reading

    return reading.read_hosts_file(path, campaign or {})


def with_clock(settings: Config, clock: Clock) -> Config:
    """These settings, with this clock in every guest. Raises InputError for a guest that cannot have it."""
    faults = Faults()
    hosts = []
    for host in settings.hosts:
        try:
            hosts.append(host.with_clock(clock))
        except ValueError as error:
            faults.add("--clock", f"host {host.name!r}: {error}")
    faults.check()
    return replace(settings, hosts=tuple(hosts))


def with_linux(settings: Config, base: Base) -> Config:
    """These settings, with this version of Linux in every guest.

    Raises InputError for a host of the campaign that is not booted with one.
    """
    faults = Faults()
    spec = settings.campaign
    for host in map(settings.host, dict.fromkeys((*spec.stock, *spec.kml))):
        if host.linux is None:
            faults.add("--kernel", f"host {host.name!r} is {host.about}: it has a kernel")
    faults.check(remedy="leave it out: hosts.yaml says which machine runs which kernel")
    return replace(settings, hosts=tuple(host.with_linux(base) for host in settings.hosts))


def conflicts(spec: CampaignSpec, hosts: Hosts) -> Iterator[tuple[str, str]]:
    """The keys of a campaign that do not go together, or whose hosts do not, each with the reason."""
    yield from _without_threads(spec)
    unpaired = list(_unpaired(spec))
    yield from unpaired
    if unpaired:
        return
    first, *others = chosen = [host for name in (*spec.stock, *spec.kml) if (host := hosts[name])]
    for other in others:
        yield from (("kml", text) for text in _unlike(first, other))
    for pair in combinations(chosen, 2):
        yield from _shared(*pair)
    if spec.pairs > 1 and first.machine is not None:
        yield "pairs", f"host {first.name!r} is {first.about}: it cannot be there {spec.pairs} times"


def _without_threads(spec: CampaignSpec) -> Iterator[tuple[str, str]]:
    """Only sysbench can have several threads."""
    single = [name for name in spec.workloads if has_one_thread(name)]
    if single and spec.threads != (1,):
        yield (
            "threads",
            f"PyMySQL's client has one thread, because Python runs one at a time: {', '.join(single)} cannot "
            "have another number; leave it out, or run it in a campaign of its own",
        )


def _unpaired(spec: CampaignSpec) -> Iterator[tuple[str, str]]:
    """Every host needs a partner, and every pair a block and its reverse."""
    pairs = len(spec.stock)
    if pairs != len(spec.kml):
        yield "kml", f"{pairs} stock and {len(spec.kml)} kml hosts do not form pairs"
    elif pairs > 1 and spec.blocks < 2 * pairs:
        yield "blocks", f"{pairs} pairs of hosts need at least {2 * pairs} blocks, two for each"


def _unlike(host: HostSpec, other: HostSpec) -> Iterator[str]:
    """The hosts of a campaign may differ in the kernel only, not in the machine."""
    if host.kind != other.kind:
        kinds = f"host {host.name!r} is {host.about}, and host {other.name!r} is {other.about}"
        yield f"{kinds}: they cannot be compared"
    else:
        for text in host.differences(other):
            yield f"hosts {host.name!r} and {other.name!r} differ in {text}"


def _shared(host: HostSpec, other: HostSpec) -> Iterator[tuple[str, str]]:
    """Hosts with the same address or key are one machine, unless they are behind different jump hosts."""
    if reason := host.same_machine(other):
        pair = f"hosts {host.name!r} and {other.name!r} are one machine ({reason})"
        yield str(other.kernel), f"{pair}: it runs one kernel, and one trial, at a time"
