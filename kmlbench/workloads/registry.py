# SPDX-License-Identifier: MIT
"""The workloads and their metrics. A new workload is a line here; its module declares its own metrics."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from kmlbench.errors import InputError
from kmlbench.model import Prefix, Setting
from kmlbench.workloads import python_client, sysbench
from kmlbench.workloads.base import Adapter, Metric, Section
from kmlbench.workloads.getpid import Getpid
from kmlbench.workloads.levels import split_level
from kmlbench.workloads.metrics import COMMON, RECORDED
from kmlbench.workloads.oltp import Oltp, mixes
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

_COUNTING = tuple(Calls(adapter) for adapter in _ALL if adapter.needs_server)

# What can be run; those with threads are here at one.
ADAPTERS: dict[str, Adapter] = {adapter.name: adapter for adapter in (*_ALL, *_COUNTING)}

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

_ANY = Setting(prefix=Prefix.USR, socket="", user="", password_file="", seed=0)


def known_adapter(workload: str) -> Adapter | None:
    """The workload of this name, at the level that it says; None if this version has none."""
    name, threads = split_level(workload)
    adapter = ADAPTERS.get(name)
    return adapter if adapter is None or threads == 1 else _with_threads(adapter, threads)


def find_adapter(workload: str) -> Adapter:
    """The same. Raises InputError if this version has none."""
    adapter = known_adapter(workload)
    if adapter is None:
        raise InputError(f"this version of kmlbench has no workload {workload!r}")
    return adapter


def need_server(workloads: Iterable[str]) -> dict[str, bool]:
    """Whether each of these workloads needs a server."""
    return {name: find_adapter(name).needs_server for name in workloads}


def at_levels(workloads: Iterable[str], threads: Sequence[int]) -> tuple[str, ...]:
    """The workloads as they are run: those that can have threads at each level, the others once."""
    return tuple(
        level
        for name in workloads
        for level in dict.fromkeys(_level(ADAPTERS[name], number) for number in threads)
    )


def has_one_thread(workload: str) -> bool:
    """Whether this is a mix, or counts the calls of one, whose client cannot have threads."""
    return _mix(ADAPTERS[workload]) is not None and _with_threads(ADAPTERS[workload], 2) is None


def _level(adapter: Adapter, threads: int) -> str:
    return (_with_threads(adapter, threads) or adapter).name


def _with_threads(adapter: Adapter, threads: int) -> Adapter | None:
    """The same work by so many threads; None if it is always done by one."""
    mix = _mix(adapter)
    if mix is None or mix.driver != sysbench.DRIVER:
        return None
    leveled = replace(mix, threads=threads)
    return Calls(leveled) if isinstance(adapter, Calls) else leveled


def _mix(adapter: Adapter) -> Oltp | None:
    """The mix that a workload runs, or whose calls it counts."""
    match adapter:
        case Oltp():
            return adapter
        case Calls(counted=Oltp() as mix):
            return mix
    return None


def programs(workloads: Iterable[str]) -> tuple[str, ...]:
    """What these workloads measure or count, as paths below a prefix: the same bytes must lie below each."""
    return tuple(
        sorted(
            {
                step.argv[0].removeprefix(Prefix.USR.path(""))
                for name in workloads
                for step in find_adapter(name.removeprefix(COUNTING)).steps(_ANY)
                if step.measured
            }
        )
    )
