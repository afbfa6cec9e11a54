# SPDX-License-Identifier: MIT
"""The prices of this machine, measured by data/costs/costs.c: without root, in a few seconds."""

from __future__ import annotations

import platform
import shutil
import statistics
import sys
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from kmlbench import process
from kmlbench.errors import MachineError
from kmlbench.paths import COSTS_PROGRAM, setup_remedy
from kmlbench.prices.pricelist import CycleKind, Figure, Machine, Price, PriceList, Range, Source
from kmlbench.results.facts import proc_field
from kmlbench.stats.medians import median_interval

COMPILERS = ("cc", "gcc", "clang")

# The loops call and push below the compiler's back.
FLAGS = ("-O2", "-std=gnu11", "-mno-red-zone")

COMPILE_TIMEOUT_S, RUN_TIMEOUT_S = 60.0, 300.0

# Where a program's code and stack happen to lie moves a system call by 15 %: a process is one observation.
PROCESSES, BATCHES = 9, 15

# The kind that the others are measured against.
EMPTY = "empty"

CPUINFO = Path("/proc/cpuinfo")

VULNERABILITIES = Path("/sys/devices/system/cpu/vulnerabilities")

PRODUCT = Path("/sys/class/dmi/id/product_name")

MEASURED = "here"

LONGEST = 400


class Totals(Struct, frozen=True, kw_only=True):
    """The batches of a kind: what each took, and how many operations and rounds of the loop it had."""

    operations: int
    rounds: int
    nanoseconds: tuple[int, ...]
    tsc: tuple[int, ...]
    cycles: tuple[int, ...] = ()
    instructions: tuple[int, ...] = ()


class Output(Struct, frozen=True, kw_only=True):
    """What the program prints."""

    format: int
    hypervisor: str
    kinds: dict[str, Totals]
    left_out: dict[str, str]


def measure() -> PriceList:
    """Compile the program, run it, read it. Raises MachineError where that cannot be done."""
    require_machine()
    compiler = _compiler()
    with tempfile.TemporaryDirectory(prefix="kmlbench-costs-") as directory:
        program = Path(directory) / "costs"
        process.check((compiler, *FLAGS, "-o", str(program), str(COSTS_PROGRAM)), timeout_s=COMPILE_TIMEOUT_S)
        outputs = [_run(program) for _ in range(PROCESSES)]
    return price_list(outputs, describe(outputs[0], compiler=_version(compiler)), _field("model name"))


def _run(program: Path) -> Output:
    result = process.run((str(program), str(BATCHES)), timeout_s=RUN_TIMEOUT_S)
    if result.returncode:
        raise MachineError(
            f"{COSTS_PROGRAM} ended with {result.returncode}: {result.stderr.strip() or 'it gave no reason'}",
            remedy="the reason above is the kernel's: it forbids what is measured, or lacks memory for it",
        )
    return msgspec.json.decode(result.stdout, type=Output)


def require_machine() -> None:
    """Raises MachineError if this is not Linux on x86-64, whose instructions are what is measured."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise MachineError(
            f"this is {sys.platform} on {platform.machine()}: prices are measured under Linux on x86-64",
            remedy="run it on the machine in question; its file can be read everywhere",
        )


def price_list(outputs: Sequence[Output], machine: Machine, processor: str) -> PriceList:
    """The prices in the output of several processes, in cycles of the core where all could count them.

    `low` and `high` of a figure are the interval of the median over processes, each of which counts by its
    own median; `least` and `most` are those of all batches.
    """
    counted = all(output.kinds[EMPTY].cycles for output in outputs)
    names = [name for name in outputs[0].kinds if name != EMPTY]
    return PriceList(
        format=1,
        name=_text(f"{processor}, {machine.measured_utc.partition('T')[0]}"),
        processor=_text(processor),
        cycles=CycleKind.CORE if counted else CycleKind.TSC,
        source=(Source(id=MEASURED, title="kmlbench costs --here", date=machine.measured_utc),),
        price=tuple(_price(name, outputs, counted=counted) for name in names),
        measured=machine,
    )


def _price(name: str, outputs: Sequence[Output], *, counted: bool) -> Price:
    executed = _figure(name, outputs, lambda totals: totals.instructions)
    return Price(
        of=name,
        source=MEASURED,
        cycles=_figure(name, outputs, lambda totals: totals.cycles if counted else totals.tsc),
        nanoseconds=_figure(name, outputs, lambda totals: totals.nanoseconds),
        instructions=Range(low=executed.low, high=executed.high) if executed else None,
    )


def _figure(name: str, outputs: Sequence[Output], clock: Callable[[Totals], Sequence[int]]) -> Figure | None:
    """One operation by this clock; nothing where the clock did not run in every process."""
    each = [_operations(output.kinds[name], output.kinds[EMPTY], clock) for output in outputs]
    if not all(each):
        return None
    found = median_interval([statistics.median(batches) for batches in each])
    every = [batch for batches in each for batch in batches]
    return Figure(
        low=_rounded(found.low),
        high=_rounded(found.high),
        median=_rounded(found.median),
        least=_rounded(min(every)),
        most=_rounded(max(every)),
    )


def _operations(totals: Totals, empty: Totals, clock: Callable[[Totals], Sequence[int]]) -> list[float]:
    """One operation in each batch, without the loop around it."""
    if not clock(totals) or not clock(empty):
        return []
    overhead = statistics.median(clock(empty)) / empty.rounds * totals.rounds
    # What the loop hides completely can come out a little below nothing.
    return [max(0.0, (batch - overhead) / totals.operations) for batch in clock(totals)]


def _rounded(number: float) -> float:
    """To six digits: the clocks are no better."""
    return float(f"{number:.6g}")


def describe(output: Output, *, compiler: str) -> Machine:
    """This machine, as it says itself."""
    identity = ", ".join(
        f"{name} {_field(field)}"
        for name, field in (
            ("", "vendor_id"),
            ("family", "cpu family"),
            ("model", "model"),
            ("stepping", "stepping"),
        )
    )
    return Machine(
        measured_utc=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        kernel=_text(f"{platform.release()} {platform.version()}"),
        processor_id=_text(identity),
        microcode=_text(_field("microcode")),
        virtual_machine=_text(_virtual(output.hypervisor)),
        compiler=_text(compiler),
        mitigations=tuple(_mitigations()),
        left_out=tuple(_text(f"{name}: {reason}") for name, reason in output.left_out.items()),
    )


def _virtual(hypervisor: str) -> str:
    product = _read(PRODUCT)
    on = f", {product}" if product else ""
    return f"yes: {hypervisor}{on}" if hypervisor else f"no{on}"


def _mitigations() -> list[str]:
    if not VULNERABILITIES.is_dir():
        return []
    return [
        _text(f"{path.name}: {_read(path) or 'unreadable'}") for path in sorted(VULNERABILITIES.iterdir())
    ]


def _field(name: str) -> str:
    return proc_field(_read(CPUINFO), name)


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace").strip()
    except OSError:
        return ""


def _text(value: str) -> str:
    """What a price list takes as a text: one line, not empty, not too long."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in value).split())
    return line[:LONGEST] or "unknown"


def _compiler() -> str:
    found = next((name for name in COMPILERS if shutil.which(name)), None)
    if found is None:
        raise MachineError(
            f"no C compiler is installed on this machine ({', '.join(COMPILERS)}): prices are measured by a "
            "small program in C",
            remedy=setup_remedy(),
        )
    return found


def _version(compiler: str) -> str:
    result = process.run((compiler, "--version"), timeout_s=COMPILE_TIMEOUT_S)
    return (result.stdout.splitlines() or [compiler])[0]
