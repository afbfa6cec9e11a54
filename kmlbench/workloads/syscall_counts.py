# SPDX-License-Identifier: MIT
"""Runs another workload again with its system calls counted by name, apart from its measured trials."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from kmlbench.errors import TrialError
from kmlbench.model import CommandResult, Process, Sample
from kmlbench.workloads.base import Adapter, Metric
from kmlbench.workloads.steps import Setting, Step

COUNTING = "calls_"

QUERIES = "queries"

# A traced call stops four times.
SLOWER = 3

# First the server comes to rest, as before a measured step: measure waits for that.
# strace -p has attached to all threads of the server once none has TracerPid 0; SIGINT makes it detach.
_SCRIPT = """
set -eu
server=$1; shift
directory=$(mktemp -d /run/kmlbench-calls.XXXXXX)
trap 'rm -rf "$directory"' EXIT
/usr/lib/kmlbench/measure --report "$directory/rest" --server "$server" --settle 120 -- /usr/bin/true
strace -f -qq -c -U calls,name -o "$directory/server" -p "$server" &
tracer=$!
while grep -qs "^TracerPid:.0$" /proc/"$server"/task/*/status; do kill -0 "$tracer"; sleep 0.05; done
status=0
strace -f -qq -c -U calls,name -o "$directory/client" -- "$@" || status=$?
kill -INT "$tracer"
wait "$tracer" || :
for process in server client; do sed "s/^/$process: /" "$directory/$process"; done
exit "$status"
"""

_LINE = re.compile(r"^(server|client): +(\d{1,12}) +([a-z][a-z0-9_]{0,59})$", re.MULTILINE | re.ASCII)

_TOTAL = "total"


@dataclass(frozen=True, slots=True)
class Calls:
    """The same statements as `counted` with as much work, but the client and the server run under strace.

    Nothing is measured: tracing costs a multiple of a call. Samples: calls_{NAME} of client and server, by
    the kernel's names of system calls, and queries.
    """

    counted: Adapter
    needs_server: bool = True
    metrics: tuple[Metric, ...] = ()

    @property
    def name(self) -> str:
        return f"{COUNTING}{self.counted.name}"

    @property
    def driver(self) -> str:
        return self.counted.driver

    @property
    def dataset(self) -> str | None:
        return self.counted.dataset

    def steps(self, setting: Setting) -> tuple[Step, ...]:
        return tuple(
            _traced(step, setting.server_pid) if step.measured else step
            for step in self.counted.steps(setting)
        )

    def samples(self, results: Sequence[CommandResult]) -> tuple[Sample, ...]:
        queries = [sample for sample in self.counted.samples(results) if sample.metric == QUERIES]
        counts = {process: calls for result in results for process, calls in _counts(result.stdout).items()}
        processes = Process.TOGETHER.parts
        return (*queries, *(sample for process in processes for sample in self._of(process, counts)))

    def _of(self, process: Process, counts: Mapping[Process, Mapping[str, int]]) -> Iterator[Sample]:
        calls = dict(counts.get(process, {}))
        if not calls or calls.pop(_TOTAL, None) != sum(calls.values()):
            raise TrialError(f"strace's summary of the {process}'s calls is not whole", stage="parse")
        for name, count in calls.items():
            yield Sample(
                metric=f"{COUNTING}{name}", unit="1", value=count, process=process, driver=self.driver
            )


def is_counting(workload: str) -> bool:
    """Whether a workload counts the calls of another instead of measuring anything."""
    return workload.startswith(COUNTING)


def _traced(step: Step, server_pid: int) -> Step:
    argv = ("/usr/bin/sh", "-c", _SCRIPT, "calls", str(server_pid), *step.argv)
    return replace(step, argv=argv, timeout_s=SLOWER * step.timeout_s, measured=False, traced=True)


def _counts(text: str) -> dict[Process, dict[str, int]]:
    counts: dict[Process, dict[str, int]] = {}
    for process, count, name in _LINE.findall(text):
        counts.setdefault(Process(process), {})[name] = int(count)
    return counts
