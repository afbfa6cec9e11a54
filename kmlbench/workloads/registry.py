# SPDX-License-Identifier: MIT
"""The workloads and their metrics. A new workload is a line here; its module declares its own metrics.

Or it is a file of workloads/. A campaign may have `own` workloads besides, by name: those of its files.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from types import MappingProxyType

from kmlbench.errors import InputError
from kmlbench.model import Prefix
from kmlbench.workloads import files, python_client, sysbench
from kmlbench.workloads.base import Adapter, Metric, Section
from kmlbench.workloads.definition import Definition, load
from kmlbench.workloads.getpid import Getpid
from kmlbench.workloads.levels import Level, Transport, split_level
from kmlbench.workloads.metrics import COMMON, RECORDED
from kmlbench.workloads.oltp import Oltp, mixes
from kmlbench.workloads.program import ProgramWorkload
from kmlbench.workloads.steps import Setting
from kmlbench.workloads.syscall_counts import COUNTING, Calls
from kmlbench.workloads.syscalls import Syscalls
from kmlbench.workloads.wisconsin import Wisconsin
from kmlbench.workloads.wisconsin_data import Form

_CLIENTS = (sysbench.DRIVER, python_client.DRIVER)

_ALL: tuple[Adapter, ...] = (
    Getpid(),
    Syscalls(),
    *(Oltp(name, mix, driver=driver) for driver in _CLIENTS for name, mix in mixes().items()),
    *(Wisconsin(form=form, driver=driver) for driver in _CLIENTS for form in Form),
)

_OF_FILES = tuple(ProgramWorkload(load(name, text)) for name, text in files.definitions().items())

_COUNTING = tuple(Calls(adapter) for adapter in _ALL if adapter.needs_server)

# What can be run; those with levels are here with one thread, at the socket.
ADAPTERS: dict[str, Adapter] = {adapter.name: adapter for adapter in (*_ALL, *_OF_FILES, *_COUNTING)}

# Every metric by its name, in the order of rows.
METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (*COMMON, *RECORDED, *(own for adapter in _ALL for own in adapter.metrics))
}

# The sections that metrics are shown in, in the order of the report.
SECTIONS: tuple[Section, ...] = tuple(
    sorted(
        dict.fromkeys(metric.section for metric in METRICS.values() if metric.section),
        key=lambda section: section.rank,
    )
)

Own = Mapping[str, Adapter]

NONE: Own = MappingProxyType({})

_ANY = Setting(prefix=Prefix.USR, socket="", user="", password_file="", seed=0)


@lru_cache(maxsize=256)
def _program(name: str, text: str) -> ProgramWorkload:
    return ProgramWorkload(load(name, text))


def defined(definitions: Mapping[str, str]) -> Own:
    """The workloads of these texts, by name. Raises InputError."""
    return {name: _program(name, text) for name, text in definitions.items()}


def definitions(workloads: Iterable[str], own: Own = NONE) -> Mapping[str, Definition]:
    """Those of these workloads that files define."""
    found = ((name, known_adapter(name, own)) for name in workloads)
    return {name: adapter.definition for name, adapter in found if isinstance(adapter, ProgramWorkload)}


def has_server(adapter: Adapter) -> bool:
    """Whether there is a server beside the client: the campaign's, or one of its own."""
    if isinstance(adapter, ProgramWorkload):
        return adapter.definition.server is not None
    return adapter.needs_server


def known_adapter(workload: str, own: Own = NONE) -> Adapter | None:
    """The workload of this name, at the level that it says; None if there is none."""
    for known in (own, ADAPTERS):
        if workload in known:
            return known[workload]
    name, level = split_level(workload)
    return None if level == Level() or name not in ADAPTERS else _at(ADAPTERS[name], level)


def is_level(name: str) -> bool:
    """Whether a name is that of one of the package's workloads with other threads or another transport."""
    return name not in ADAPTERS and known_adapter(name) is not None


def find_adapter(workload: str, own: Own = NONE) -> Adapter:
    """The same. Raises InputError if this version has none."""
    adapter = known_adapter(workload, own)
    if adapter is None:
        raise InputError(f"this version of kmlbench has no workload {workload!r}")
    return adapter


def need_server(workloads: Iterable[str], own: Own = NONE) -> dict[str, bool]:
    """Whether each of these workloads needs the campaign's server."""
    return {name: find_adapter(name, own).needs_server for name in workloads}


def at_levels(
    workloads: Iterable[str], threads: Sequence[int], transports: Sequence[Transport]
) -> tuple[str, ...]:
    """The workloads as they are run: at each level that they can have, once at least."""
    levels = [Level(transport=transport, threads=number) for transport in transports for number in threads]
    return tuple(
        name
        for workload in workloads
        for name in dict.fromkeys(_nearest(ADAPTERS[workload], level).name for level in levels)
    )


def has_one_thread(workload: str) -> bool:
    """Whether this is a mix, or counts the calls of one, whose client cannot have threads."""
    adapter = ADAPTERS[workload]
    counted = adapter.counted if isinstance(adapter, Calls) else adapter
    return isinstance(counted, Oltp) and _at(counted, Level(threads=2)) is None


def has_transports(workloads: Iterable[str], own: Own = NONE) -> bool:
    """Whether the campaign's server is reached by anything but its socket."""
    return any(_transport(find_adapter(name, own)) is not Transport.SOCKET for name in workloads)


def _transport(adapter: Adapter) -> Transport:
    match adapter:
        case Oltp() | Wisconsin():
            return adapter.level.transport
        case Calls():
            return _transport(adapter.counted)
    return Transport.SOCKET


def _nearest(adapter: Adapter, level: Level) -> Adapter:
    """The same work at a level, or with what it can have of that."""
    return _at(adapter, level) or _at(adapter, replace(level, threads=1)) or adapter


def _at(adapter: Adapter, level: Level) -> Adapter | None:
    """The same work at a level; None if it cannot have it."""
    match adapter:
        case Oltp() if level.threads == 1 or adapter.driver == sysbench.DRIVER:
            return replace(adapter, level=level)
        case Wisconsin() if level.threads == 1:
            return replace(adapter, level=level)
        case Calls():
            counted = _at(adapter.counted, level)
            return None if counted is None else Calls(counted)
    return None


def programs(workloads: Iterable[str], own: Own = NONE) -> tuple[str, ...]:
    """What these workloads measure or count, as paths below a prefix: the same bytes must lie below each."""
    adapters = [find_adapter(name.removeprefix(COUNTING), own) for name in workloads]
    return tuple(sorted({program for adapter in adapters for program in _measured(adapter)}))


def _measured(adapter: Adapter) -> Iterable[str]:
    if isinstance(adapter, ProgramWorkload):
        return adapter.definition.measured
    steps = (step for step in adapter.steps(_ANY) if step.measured)
    return [step.argv[0].removeprefix(Prefix.USR.path("")) for step in steps]
