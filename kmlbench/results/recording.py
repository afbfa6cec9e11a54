# SPDX-License-Identifier: MIT
"""What the instrument recorded of a trial, read from its raw output: instructions of a round.

A round is one unit of each kind of work that the workload has: one event of a mix, one execution of each
statement, one call of each kind. The mean is over all windows of the trial, so that parts add up to sums.
"""

from __future__ import annotations

import gzip
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path, PurePosixPath
from typing import TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from kmlbench.errors import InputError, TrialError
from kmlbench.instrument.maps import MappedFile, parse_maps
from kmlbench.instrument.naming import OTHER, Guest, Naming
from kmlbench.instrument.reader import read_file
from kmlbench.instrument.recording import (
    KERNEL,
    USER,
    Block,
    BlockCounts,
    FormatError,
    Window,
    in_kernel_of,
    joined,
    sizes_of,
)
from kmlbench.instrument.symbols import Symbols, kernel_symbols, read_functions
from kmlbench.model import CommandResult, Process, Sample
from kmlbench.results.reader import COPY_AGAIN, FUNCTIONS, GUEST, MEASURED, WINDOWS
from kmlbench.workloads.base import Adapter, Marked, Marks, Work

Key = TypeVar("Key")

# The process that observes the others, and starts the client.
OBSERVER = "observer"

Counted = defaultdict[tuple[Process, str], float]


class GuestRecord(msgspec.Struct, frozen=True, kw_only=True):
    """guest.json: where the kernel was (hexadecimal), and the file of its functions below raw/."""

    text: str
    functions: str


class Mapped(msgspec.Struct, frozen=True, kw_only=True):
    """The mappings of a process in the report of workloads/measure."""

    maps: str | None = None


class Mappings(msgspec.Struct, frozen=True, kw_only=True):
    """The report of workloads/measure or rounds, of which only the mappings matter here.

    Where there are the `observer`'s, the client is all that ran besides: whole programs, with their children.
    """

    client: Mapped
    server: Mapped | None = None
    observer: Mapped | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionRow:
    """Instructions of a round. `object` is the kernel or a file's name, `process` one of two, or OTHER."""

    process: str
    side: str
    object: str
    function: str
    instructions: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowRow:
    """Instructions of a window by process and side, for so much work."""

    work: Work
    instructions: Mapping[tuple[str, str], int]


@dataclass(frozen=True, slots=True)
class Executions:
    """How often each process executed each block: `counts` has a row for each kind of work, of so many units.

    Floating point has all of their sums exactly: they are below 2**53.
    """

    pairs: Sequence[tuple[str, Block]]
    units: Sequence[float]
    counts: npt.NDArray[np.float64]

    def of_a_round(self, parts: Callable[[str, Block], Mapping[Key, int]]) -> dict[Key, float]:
        """The sum over the kinds of work of what `parts` finds in one execution of a block."""
        keys: dict[Key, int] = {}
        found = [
            (keys.setdefault(key, len(keys)), place, number)
            for place, pair in enumerate(self.pairs)
            for key, number in parts(*pair).items()
        ]
        index, places, numbers = np.array(found, dtype=np.int64).reshape(-1, 3).T
        sums = np.zeros(len(keys))
        for units, counts in zip(self.units, self.counts, strict=True):
            sums += np.bincount(index, weights=counts[places] * numbers, minlength=len(keys)) / units
        return dict(zip(keys, sums.tolist(), strict=True))


@dataclass(frozen=True, slots=True)
class TrialRecording:
    """The measured windows of a trial, each with its work."""

    windows: Sequence[tuple[Work, Window]]
    naming: Naming
    processes: Mapping[int, str]
    executions: Executions

    def rows(self) -> Iterator[WindowRow]:
        """Each window, in order."""
        sizes, in_kernel = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=bool)
        for work, window in self.windows:
            if len(sizes) != len(window.blocks):
                sizes, in_kernel = sizes_of(window.blocks), in_kernel_of(window.blocks)
            sums: Counter[tuple[str, str]] = Counter()
            for task, counted in window.executions.items():
                process = self.processes.get(task, OTHER)
                instructions = sizes[counted.places] * counted.counts
                kernel = in_kernel[counted.places]
                for side, chosen in ((KERNEL, kernel), (USER, ~kernel)):
                    if chosen.any():
                        sums[process, side] += int(instructions[chosen].sum())
            yield WindowRow(work=work, instructions=sums)

    def sides(self) -> Mapping[tuple[str, str], float]:
        """Instructions of a round by process and side."""
        return self.executions.of_a_round(lambda process, block: {(process, block.side): len(block.lengths)})

    def census(self) -> Mapping[tuple[str, str], float]:
        """Costly instructions of a round by process and name."""
        return self.executions.of_a_round(
            lambda process, block: {(process, name): count for name, count in block.census.items()}
        )

    def functions(self) -> tuple[FunctionRow, ...]:
        """Instructions of a round by function; they add up to `sides`."""

        def parts(process: str, block: Block) -> Mapping[tuple[str, str, str, str], int]:
            return {
                (process, block.side, _object(path), function): count
                for (path, function), count in self.naming.split(process, block).items()
            }

        return tuple(
            FunctionRow(process=key[0], side=key[1], object=key[2], function=key[3], instructions=value)
            for key, value in sorted(self.executions.of_a_round(parts).items())
            # Of two lengths, what only the start executes.
            if value
        )


def read_trial(raw: Path, adapter: Adapter, results: Sequence[CommandResult]) -> TrialRecording | None:
    """The recording in a trial's directory; None if it has none, or its program marked nothing.

    Raises InputError for what is not a recording, TrialError for two lengths that do not differ.
    """
    if (
        not (raw / WINDOWS).exists()
        or not isinstance(adapter, Marked)
        or not (marks := adapter.marks(results))
    ):
        return None
    try:
        windows = tuple(_measured(read_file(raw / WINDOWS).windows, marks))
        naming = Naming(_guest(raw))
        processes = _processes(naming, [window for _, window in windows], raw)
        differences = tuple(_differences(windows))
        return TrialRecording(differences, naming, processes, _executions(differences, processes))
    except (FormatError, OSError, EOFError, msgspec.MsgspecError) as error:
        raise InputError(
            f"{raw}: the instrument's recording cannot be read: {error}", remedy=COPY_AGAIN
        ) from error


def _measured(windows: Iterable[Window], marks: Marks) -> Iterator[tuple[Work, Window]]:
    for window in windows:
        work = marks.get((window.kind, window.number))
        if window.complete and work:
            yield work, window


def _processes(naming: Naming, windows: Sequence[Window], raw: Path) -> Mapping[int, str]:
    """Which process each task of a trial belonged to."""
    strangers = OTHER if _mappings(raw).observer is None else str(Process.CLIENT)
    processes = naming.processes(windows, strangers=strangers)
    return {task: OTHER if name == OBSERVER else name for task, name in processes.items()}


def _differences(windows: Iterable[tuple[Work, Window]]) -> Iterator[tuple[Work, Window]]:
    """Each window, or the longer of two lengths less the shorter one before it."""
    shorter: dict[str, tuple[Work, Window]] = {}
    for work, window in windows:
        if work.subtracted:
            shorter[work.name] = work, window
        elif work.name in shorter:
            base, other = shorter.pop(work.name)
            difference = window.less(other)
            if difference.total <= 0:
                raise TrialError(
                    f"{work.units:g} of {work.name!r} took {window.total} instructions, and {base.units:g} "
                    f"took {other.total}: the longer run is not longer",
                    stage="measure",
                    remedy="let the two amounts of work differ more",
                )
            yield replace(work, units=work.units - base.units), difference
        else:
            yield work, window


def _executions(windows: Sequence[tuple[Work, Window]], processes: Mapping[int, str]) -> Executions:
    """Of windows of one recording."""
    rows: dict[str, int] = {}
    units = [0.0] * len({work.name for work, _ in windows})
    parts: dict[str, dict[int, list[BlockCounts]]] = {}
    for work, window in windows:
        row = rows.setdefault(work.name, len(rows))
        units[row] += work.units
        for task, counted in window.executions.items():
            parts.setdefault(processes.get(task, OTHER), {}).setdefault(row, []).append(counted)
    pairs: list[tuple[str, Block]] = []
    columns = [np.zeros((len(rows), 0))]
    for process, of_process in parts.items():
        summed = {row: joined(each).summed() for row, each in of_process.items()}
        places = np.unique(np.concatenate([each.places for each in summed.values()]))
        counts = np.zeros((len(rows), len(places)))
        for row, each in summed.items():
            counts[row, np.searchsorted(places, each.places)] = each.counts
        pairs += [(process, windows[0][1].blocks[place]) for place in places.tolist()]
        columns.append(counts)
    return Executions(tuple(pairs), units, np.hstack(columns))


def mapped_files(raw: Path) -> Sequence[str]:
    """The files that the processes of a trial had mapped as code."""
    processes = {name: maps for name, maps in _all_maps(raw).items() if name != OBSERVER}
    paths = (mapping.path for maps in processes.values() for mapping in maps)
    return sorted({path for path in paths if path.startswith("/")})


def _mappings(raw: Path) -> Mappings:
    return msgspec.json.decode((raw / MEASURED).read_bytes(), type=Mappings)


def _all_maps(raw: Path) -> Mapping[str, Sequence[MappedFile]]:
    report = _mappings(raw)
    processes = {
        str(Process.CLIENT): report.client,
        str(Process.SERVER): report.server,
        OBSERVER: report.observer,
    }
    return {name: parse_maps(mapped.maps) for name, mapped in processes.items() if mapped and mapped.maps}


def _guest(raw: Path) -> Guest:
    """What names the addresses of a trial, all of it below raw/."""
    record = msgspec.json.decode((raw / GUEST).read_bytes(), type=GuestRecord)
    return Guest(
        kernel=_kernel(raw.parent / record.functions, int(record.text, 16)),
        maps=_all_maps(raw),
        files=lambda path: _functions(raw.parent / function_file(path)),
    )


@lru_cache(maxsize=4)
def _kernel(path: Path, text: int) -> Symbols:
    return kernel_symbols(_unpacked(path), text=text, name=str(path))


@lru_cache(maxsize=64)
def _functions(path: Path) -> Symbols | None:
    return read_functions(_unpacked(path), name=str(path)) if path.exists() else None


def _unpacked(path: Path) -> str:
    return gzip.decompress(path.read_bytes()).decode(errors="surrogateescape")


def samples(recording: TrialRecording, driver: str) -> tuple[Sample, ...]:
    """The instructions of a round, and the costly ones among them, of the client, the server and both.

    What neither of them executed (kernel threads, the login) is one sample, `instructions_other`.
    """
    counted: Counted = defaultdict(float)
    for (process, side), value in recording.sides().items():
        if process == OTHER:
            counted[Process.TOGETHER, "instructions_other"] += value
        else:
            _count(counted, Process(process), ("instructions", f"instructions_{side}"), value)
    for (process, name), value in recording.census().items():
        if process != OTHER:
            _count(counted, Process(process), (f"census_{name}",), value)
    served = any(process is Process.SERVER for process, _ in counted)
    kept = {key: value for key, value in counted.items() if served or key[0] is Process.CLIENT}
    return tuple(
        Sample(metric=metric, unit=unit(metric), value=value, process=process, driver=driver)
        for (process, metric), value in sorted(kept.items())
    )


def _count(counted: Counted, process: Process, metrics: Iterable[str], value: float) -> None:
    """Add to the metrics of a process, and of both together."""
    for metric in metrics:
        counted[process, metric] += value
        counted[Process.TOGETHER, metric] += value


def unit(metric: str) -> str:
    """The unit of a sample of the instrument."""
    return "instructions" if metric.startswith("instructions") else "1"


def function_file(path: str) -> str:
    """The file below raw/ with the functions of a guest's file. Both prefixes have the same bytes."""
    return f"{FUNCTIONS}-{_object(path)}.gz"


@cache
def _object(path: str) -> str:
    """The name of a mapped file, alike for both prefixes: /usr/bin/python3 is a link to its version."""
    name = PurePosixPath(path).name
    executable = PurePosixPath(path).parent.name in {"bin", "sbin"}
    return name.rstrip("0123456789.") if executable and name.startswith("python") else name
