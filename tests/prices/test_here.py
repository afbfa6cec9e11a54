# SPDX-License-Identifier: MIT
"""Measuring this machine: a program of C, its output, and what stands in the way."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from kmlbench.cli.main import main
from kmlbench.errors import MachineError
from kmlbench.prices import here, pricelist
from kmlbench.prices.here import Output, Totals
from kmlbench.prices.pricelist import CycleKind, Figure, Machine, Operation, Range

LACKS = 3

MACHINE = Machine(
    measured_utc="2026-11-30T00:00:00Z",
    kernel="known",
    processor_id="known",
    microcode="known",
    virtual_machine="no",
    compiler="known",
)


@pytest.mark.slow
def test_this_machine_is_measured_and_its_file_is_a_price_list(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(here, "PROCESSES", 2)
    monkeypatch.setattr(here, "BATCHES", 5)
    path = tmp_path / "here.toml"
    assert main(["costs", "--here", "--output", str(path)]) == 0
    printed = capsys.readouterr().out
    prices = pricelist.read(path)
    assert prices.measured is not None
    assert prices.measured.kernel.startswith(platform.release())
    assert f"kernel {platform.release()}" in printed
    for price in prices.price:
        for figure in filter(None, (price.cycles, price.nanoseconds)):
            every = (figure.least, figure.low, figure.median, figure.high, figure.most)
            known = [end for end in every if end is not None]
            assert len(known) == len(every)
            assert known == sorted(known), price.of
    medians = {price.of: one(price.nanoseconds).median or 0.0 for price in prices.price}
    # Whatever the neighbours do, a way into the kernel costs more than a call, and a fault more than that.
    assert medians[Operation.CALL_RETURN] < medians[Operation.SYSTEM_CALL] < medians[Operation.PAGE_FAULT]
    assert {"lfence", "lock", "rdtsc", "call_indirect"} < set(medians)
    assert all(f"not measured: {each}" in printed for each in prices.measured.left_out)


def totals(
    nanoseconds: Sequence[int], *, rounds: int = 10, operations: int = 100, cycles: bool = True
) -> Totals:
    return Totals(
        operations=operations,
        rounds=rounds,
        nanoseconds=tuple(nanoseconds),
        tsc=tuple(2 * value for value in nanoseconds),
        cycles=tuple(3 * value for value in nanoseconds) if cycles else (),
        instructions=tuple(5 * value for value in nanoseconds) if cycles else (),
    )


def one(figure: Figure | None) -> Figure:
    assert figure is not None
    return figure


def output(*, cycles: bool = True, **kinds: Sequence[int]) -> Output:
    each = {name: totals(values, cycles=cycles) for name, values in kinds.items()}
    return Output(format=1, hypervisor="", kinds=each, left_out={})


def test_the_loop_is_subtracted_and_a_process_counts_once() -> None:
    outputs = [output(empty=[20, 20, 20], lfence=[120 + 100 * shift, 920, 120]) for shift in range(7)]
    prices = here.price_list(outputs, MACHINE, "A processor")
    (price,) = prices.price
    assert prices.cycles is CycleKind.CORE
    # (120 + 100 x shift - 20) / 100: the middle one of a process's three, then of seven processes.
    assert price.nanoseconds == Figure(low=1.0, high=7.0, median=4.0, least=1.0, most=9.0)
    assert one(price.cycles).median == 12.0
    assert price.instructions == Range(low=5.0, high=35.0)


def test_without_counters_in_every_process_cycles_are_those_of_the_time_stamp_counter() -> None:
    outputs = [output(empty=[0], lfence=[100], cycles=process != 1) for process in range(3)]
    prices = here.price_list(outputs, MACHINE, "A processor")
    assert prices.cycles is CycleKind.TSC
    assert one(prices.price[0].cycles).median == 2.0
    assert prices.price[0].instructions is None


def test_what_has_no_cycles_of_its_own_has_its_time_only() -> None:
    kinds = {"empty": totals([0]), "context_switch": totals([100], cycles=False)}
    prices = here.price_list([Output(format=1, hypervisor="", kinds=kinds, left_out={})], MACHINE, "x")
    assert prices.cycles is CycleKind.CORE
    assert prices.price[0].cycles is None
    assert one(prices.price[0].nanoseconds).median == 1.0


def test_what_the_loop_hides_costs_nothing_and_not_less() -> None:
    prices = here.price_list([output(empty=[30], sfence=[20])], MACHINE, "x")
    assert one(prices.price[0].cycles).low == 0.0


def test_another_architecture_is_refused_before_anything_runs(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert main(["costs", "--here"]) == LACKS
    assert "this is linux on aarch64: prices are measured under Linux on x86-64" in capsys.readouterr().err


def test_another_system_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "freebsd14")
    with pytest.raises(MachineError, match="this is freebsd14 on"):
        here.require_machine()


def test_a_missing_compiler_is_named_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["costs", "--here"]) == LACKS
    complaint = capsys.readouterr().err
    assert "no C compiler is installed on this machine (cc, gcc, clang)" in complaint
    assert "make setup" in complaint


def test_a_program_that_fails_is_an_error_with_its_own_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = tmp_path / "costs.c"
    source.write_text(
        '#include <stdio.h>\nint main(void) { fputs("mmap: no memory\\n", stderr); return 1; }\n'
    )
    monkeypatch.setattr(here, "COSTS_PROGRAM", source)
    assert main(["costs", "--here"]) == LACKS
    assert "ended with 1: mmap: no memory" in capsys.readouterr().err


def test_prices_of_this_machine_for_programs_are_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    measured = here.price_list([output(empty=[20], lfence=[120])], MACHINE, "A processor")
    monkeypatch.setattr(here, "measure", lambda: measured)
    assert main(["costs", "--here", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["price"][0]["of"] == "lfence"
    assert document["measured"]["kernel"] == "known"


def test_a_file_that_cannot_be_written_is_an_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    measured = here.price_list([output(empty=[20], lfence=[120])], MACHINE, "A processor")
    monkeypatch.setattr(here, "measure", lambda: measured)
    assert main(["costs", "--here", "--output", str(tmp_path / "no" / "here.toml")]) == LACKS
    assert "could not be written: No such file or directory" in capsys.readouterr().err
