# SPDX-License-Identifier: MIT
"""Another workload once more with its system calls counted by name, apart from its measured trials."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from kmlbench.errors import TrialError
from kmlbench.model import CommandResult, Process, Sample, Setting, Step
from kmlbench.workloads.base import Adapter, Metric

COUNTING = "calls_"

QUERIES = "queries"

# A traced call stops four times.
SLOWER = 3

# First the server comes to rest, as before a measured step: measure waits for that.
# strace -p has all threads of the server when none says that nobody traces it; SIGINT makes it let go.
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
        queries = [one for one in self.counted.samples(results) if one.metric == QUERIES]
        counts = {key: found for result in results for key, found in _counts(result.stdout).items()}
        processes = Process.TOGETHER.parts
        return (*queries, *(sample for process in processes for sample in self._of(process, counts)))

    def _of(self, process: Process, counts: Mapping[Process, Mapping[str, int]]) -> Iterator[Sample]:
        found = dict(counts.get(process, {}))
        if not found or found.pop(_TOTAL, None) != sum(found.values()):
            raise TrialError(f"strace's summary of the {process}'s calls is not whole", stage="parse")
        for name, count in found.items():
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
    found: dict[Process, dict[str, int]] = {}
    for process, count, name in _LINE.findall(text):
        found.setdefault(Process(process), {})[name] = int(count)
    return found
