# SPDX-License-Identifier: MIT
"""The workload of a file: its command lines, and what its client's runs printed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from statistics import fmean

from kmlbench.errors import TrialError
from kmlbench.model import CommandResult, Process, Sample
from kmlbench.workloads.base import MarkKind, Marks, Metric, Provision, Service, Work
from kmlbench.workloads.definition import Argv, Check, Definition, Quantity, Reading, fill
from kmlbench.workloads.steps import Rounds, Setting, Step

RUN = "run"

COMMAND_TIMEOUT_S = 600.0

# What the client prints is quoted in messages up to here.
QUOTED = 300

_HEAD = re.compile(
    rb"run (\d{1,9}) (\d{1,18}) (exit|signal) (\d{1,3}) (\d{1,18}) (\d{1,9}) ([0-9a-f]{16})\n", re.ASCII
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """A run of a client. `stdout` and `stderr` are the first 256 KiB; sizes and digests are of everything.

    `status` is the exit status, or the number of the signal that ended it.
    """

    work: int
    signaled: bool
    status: int
    stdout: str
    stdout_bytes: int
    stdout_digest: str
    stderr: str
    stderr_bytes: int
    stderr_digest: str

    @property
    def text(self) -> str:
        """Both outputs."""
        return f"{self.stdout}\n{self.stderr}"


def runs(result: CommandResult) -> tuple[Run, ...]:
    """The runs of workloads/rounds, the warm-up first. Raises TrialError(stage="parse")."""
    pairs = zip(_printed(result.stdout), _printed(result.stderr), strict=False)
    found = tuple(_run(out, error) for out, error in pairs)
    if len(found) < 2:
        raise TrialError(f"the client has {len(found)} runs, not a warm-up and more", stage="parse")
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class _Printed:
    work: int
    signaled: bool
    status: int
    bytes: int
    digest: str
    text: str


def _run(out: _Printed, error: _Printed) -> Run:
    return Run(
        work=out.work,
        signaled=out.signaled,
        status=out.status,
        stdout=out.text,
        stdout_bytes=out.bytes,
        stdout_digest=out.digest,
        stderr=error.text,
        stderr_bytes=error.bytes,
        stderr_digest=error.digest,
    )


def _printed(text: str) -> Iterator[_Printed]:
    """The parts of one of the outputs of workloads/rounds."""
    data, position = text.encode(errors="surrogateescape"), 0
    while position < len(data):
        head = _HEAD.match(data, position)
        if head is None:
            raise TrialError(f"not the head of a run: {data[position : position + 80]!r}", stage="parse")
        _, work, how, status, size, kept, digest = head.groups()
        end = head.end() + int(kept)
        if data[end : end + 1] != b"\n":
            raise TrialError("the output of a run is cut off", stage="parse")
        yield _Printed(
            work=int(work),
            signaled=how == b"signal",
            status=int(status),
            bytes=int(size),
            digest=digest.decode(),
            text=data[head.end() : end].decode(errors="surrogateescape"),
        )
        position = end + 1


@dataclass(frozen=True, slots=True)
class ProgramWorkload:
    """A workload as a file defines it.

    Samples: what the file reads from the client's output, of the runs of the largest amount of work.
    """

    definition: Definition
    needs_server: bool = False
    dataset: str | None = None
    metrics: tuple[Metric, ...] = ()

    @property
    def name(self) -> str:
        return self.definition.name

    @property
    def driver(self) -> str:
        """The client's program, or the workload where a dynamic linker starts it."""
        program = PurePosixPath(self.definition.client.argv[0]).name
        return self.name if program.startswith("ld-") else program

    def provision(self, setting: Setting) -> Provision:
        values, server = (
            _values(self.definition, setting, work=self._amounts(setting)[-1]),
            self.definition.server,
        )
        return Provision(
            files={name: fill(text, values) for name, text in self.definition.files.items()},
            prepare=tuple(self._commands("prepare", self.definition.prepare, setting)),
            service=None
            if server is None
            else Service(
                argv=_filled(server.argv, values),
                ready=server.ready,
                pattern=server.pattern,
                start_s=server.start_s,
            ),
        )

    def steps(self, setting: Setting) -> tuple[Step, ...]:
        checks = [check.argv for check in self.definition.checks]
        return (
            *self._commands("load", self.definition.load, setting),
            self._run(setting),
            *self._commands("check", checks, setting),
        )

    def samples(self, results: Sequence[CommandResult]) -> tuple[Sample, ...]:
        found = self._runs(results)
        for run in found:
            _require_answers(run, self.definition.client.expect)
        checks = self.definition.checks
        for check, result in zip(checks, results[len(results) - len(checks) :], strict=True):
            _require_check(check, result)
        longest = [run for run in found if run.work == found[-1].work]
        means = {
            reading.metric: fmean(read_number(reading, run) for run in longest)
            for reading in self.definition.readings
        }
        return tuple(
            Sample(metric=metric, unit=UNITS[metric], value=value, process=Process.CLIENT, driver=self.driver)
            for metric, value in means.items()
        )

    def marks(self, results: Sequence[CommandResult]) -> Marks:
        unit, client = self.definition.unit, self.definition.client
        if client.marks is not None:
            numbers = range(client.rounds)
            return {(MarkKind.MEASURED, number): Work(name=unit, units=client.marks) for number in numbers}
        found = self._runs(results)
        amounts = [run.work for run in found[: len(client.work)]]
        units = [fmean(self._units(run) for run in found if run.work == amount) for amount in amounts]
        return {
            (MarkKind.MEASURED, number): Work(name=unit, units=each, subtracted=number + 1 < len(amounts))
            for number, each in enumerate(units)
        }

    def _runs(self, results: Sequence[CommandResult]) -> tuple[Run, ...]:
        """The measured runs; of a program with marks there is one."""
        result = self.run_result(results)
        if self.definition.client.marks is not None:
            return (_only_run(result, self.definition.client.work[-1]),)
        return runs(result)[1:]

    def run_result(self, results: Sequence[CommandResult]) -> CommandResult:
        """The result of the measured step: `load` may be more steps than it has commands."""
        return results[len(results) - len(self.definition.checks) - 1]

    def _units(self, run: Run) -> float:
        """The units of work of a run: as it said, or as it was asked; one where there is no amount."""
        for reading in self.definition.readings:
            if reading.metric is Quantity.UNITS:
                return read_number(reading, run)
        return float(run.work)

    def _run(self, setting: Setting) -> Step:
        client, (warm_up, *amounts) = self.definition.client, self._works(setting)
        timeout_s = float(client.timeout_s * (1 + client.rounds * len(amounts)))
        if client.marks is not None:
            argv = self._command(setting, amounts[-1])
            return Step(name=RUN, argv=argv, timeout_s=float(client.timeout_s), measured=True)
        rounds = Rounds(
            commands=tuple(self._command(setting, amount) for amount in amounts),
            work=(warm_up, *amounts),
            count=client.rounds,
            keep_going=client.any_status,
        )
        return Step(
            name=RUN, argv=self._command(setting, warm_up), timeout_s=timeout_s, measured=True, rounds=rounds
        )

    def _commands(self, name: str, argvs: Sequence[Argv], setting: Setting) -> Iterator[Step]:
        """Those with {work} once for each amount that the client will be asked for, the others once."""
        for argv in argvs:
            takes_work = any("{work}" in word for word in argv)
            for work in dict.fromkeys(self._works(setting)) if takes_work else (0,):
                filled = _filled(argv, _values(self.definition, setting, work=work))
                yield Step(name=name, argv=filled, timeout_s=COMMAND_TIMEOUT_S)

    def _works(self, setting: Setting) -> tuple[int, ...]:
        """The amounts of work of the warm-up and of what is measured."""
        amounts = self._amounts(setting)
        warm_up = self.definition.client.warm_up
        return (amounts[0] if warm_up is None else warm_up, *amounts)

    def _command(self, setting: Setting, amount: int) -> Argv:
        return _filled(self.definition.client.argv, _values(self.definition, setting, work=amount))

    def _amounts(self, setting: Setting) -> tuple[int, ...]:
        """The amounts of work at a scale; a longer one stays longer."""
        amounts: list[int] = []
        for work in self.definition.client.work:
            least = amounts[-1] + 1 if amounts else 1
            amounts.append(max(least, round(work * setting.scale)) if self._takes_work else work)
        return tuple(amounts)

    @property
    def _takes_work(self) -> bool:
        """Whether the client can be told how much to do."""
        return any("{work}" in word for word in self.definition.client.argv)


UNITS = {metric: "ms" if metric.startswith("latency") else "1" for metric in Quantity} | {
    Quantity.THROUGHPUT: "1/s"
}


def read_number(reading: Reading, run: Run) -> float:
    """The number in what a run printed. Raises TrialError(stage="parse")."""
    found = _by_path(reading.json, run.stdout) if reading.json else _by_pattern(reading.pattern, run.text)
    try:
        return float(found) * reading.times
    except ValueError as error:
        raise TrialError(f"{reading.metric}: {found[:QUOTED]!r} is not a number", stage="parse") from error


def _by_pattern(pattern: str, text: str) -> str:
    match = re.search(pattern, text, re.MULTILINE)
    if match is None:
        raise TrialError(
            f"{pattern!r} does not match in what the client printed: {text.strip()[:QUOTED]!r}",
            stage="parse",
            remedy="the pattern is in the workload file, under readings",
        )
    return match[1] or ""


def _by_path(path: str, text: str) -> str:
    try:
        value = json.loads(text)
        for word in path.split("."):
            value = value[int(word)] if isinstance(value, list) else value[word]
    except (ValueError, KeyError, IndexError, TypeError, RecursionError) as error:
        raise TrialError(
            f"there is no {path} in what the client printed: {error!r}; it begins with {text[:QUOTED]!r}",
            stage="parse",
            remedy="the path is in the workload file, under readings",
        ) from error
    return str(value)


def _only_run(result: CommandResult, work: int) -> Run:
    """The run of a client that marks its own windows."""
    return Run(
        work=work,
        signaled=False,
        status=result.returncode,
        stdout=result.stdout,
        stdout_bytes=len(result.stdout),
        stdout_digest="",
        stderr=result.stderr,
        stderr_bytes=len(result.stderr),
        stderr_digest="",
    )


def _require_answers(run: Run, expect: Sequence[str]) -> None:
    for pattern in (text.replace("{work}", str(run.work)) for text in expect):
        if re.search(pattern, run.text, re.MULTILINE) is None:
            raise TrialError(
                f"a run with work {run.work} did not print {pattern!r}, but {run.text.strip()[:QUOTED]!r}",
                stage="check",
            )


def _require_check(check: Check, result: CommandResult) -> None:
    text = f"{result.stdout}\n{result.stderr}"
    if result.returncode or re.search(check.expect, text, re.MULTILINE) is None:
        raise TrialError(
            f"`{' '.join(result.argv)}` ended with {result.returncode} and printed "
            f"{text.strip()[:QUOTED]!r}, not {check.expect!r}: the runs left something else behind",
            stage="check",
        )


def _filled(argv: Argv, values: Mapping[str, str]) -> Argv:
    return tuple(fill(word, values) for word in argv)


def _values(definition: Definition, setting: Setting, *, work: int) -> Mapping[str, str]:
    return {
        "prefix": str(setting.prefix),
        "directory": setting.directory,
        "socket": setting.socket,
        "port": str(setting.port),
        "work": str(work),
        "seed": str(setting.seed),
        "threads": str(definition.client.threads),
    }
