# SPDX-License-Identifier: MIT
"""The workloads and their metrics. A new workload is a line here; its module declares its own metrics."""

from __future__ import annotations

from collections.abc import Iterable

from kmlbench.model import Prefix, Setting
from kmlbench.workloads import python_client, sysbench
from kmlbench.workloads.base import Adapter, Metric, Section
from kmlbench.workloads.getpid import Getpid
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


def programs(workloads: Iterable[str]) -> tuple[str, ...]:
    """What these workloads measure or count, as paths below a prefix: the same bytes must lie below each."""
    return tuple(
        sorted(
            {
                step.argv[0].removeprefix(Prefix.USR.path(""))
                for name in workloads
                for step in ADAPTERS[name.removeprefix(COUNTING)].steps(_ANY)
                if step.measured
            }
        )
    )
