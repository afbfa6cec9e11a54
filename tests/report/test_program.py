# SPDX-License-Identifier: MIT
"""What `kmlbench try` says: whether a program works in each cell, what changed, what that means."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from support.tried_campaigns import WORKLOAD, Behaviour, Tried

from kmlbench.cli.main import main, run_benchmark
from kmlbench.model import Variant
from kmlbench.plan.comparisons import KML_TRUSTED, KML_USR, STOCK_TRUSTED, STOCK_USR
from kmlbench.report.program import OTHER_WORK, program_lines
from kmlbench.results import reader
from kmlbench.workloads.program import ProgramWorkload

ALIKE = "Works: the same in all four cells: exit status 0, standard output, standard error, "

PAID_BACK = "The first call at a place turns it into a direct one, which only the later ones pay back"

FASTER = Behaviour(instructions=950_000)


def answer(root: Path, cells: dict[Variant, Behaviour]) -> str:
    stored = reader.read_campaign(Tried(cells=cells).store(root))
    return "\n".join(program_lines(stored, ProgramWorkload(WORKLOAD)))


def test_a_program_that_works_alike_has_its_change_and_its_direct_calls(tmp_path: Path) -> None:
    text = answer(tmp_path, {KML_TRUSTED: FASTER})
    assert text.startswith(f"{ALIKE}the kernel's log (no lines).\nRuns: stock:/usr 12, ")
    assert "System calls of the client from /trusted: 90.0% direct, of 4,000." in text
    first, page = (
        text.index(words) for words in ("320 the first at their place", "80 across the end of a page")
    )
    assert first < page
    assert re.search(r"^  in all +1,000,000  −5\.04 % \[−5\.16, −4\.93\]$", text, re.MULTILINE)
    assert re.search(r"^  in the kernel +250,100  −5\.04 %", text, re.MULTILINE)
    assert "says: the client from kml:/trusted took 5.04 % fewer instructions than from stock:/usr" in text
    assert PAID_BACK not in text
    assert text.endswith("it is not a speed-up.")


def test_no_change_is_said_as_none(tmp_path: Path) -> None:
    text = answer(tmp_path, {})
    assert "no difference larger than 1 %" in text


def test_more_instructions_come_with_the_reason_if_most_calls_are_first_ones(tmp_path: Path) -> None:
    text = answer(tmp_path, {KML_TRUSTED: Behaviour(instructions=1_200_000, first=600)})
    assert "took 19.94 % more instructions than from stock:/usr" in text
    assert f"{PAID_BACK}: here they are 2 for each." in text


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        (Behaviour(ending="signal 11"), "kml:/trusted: ended with signal 11, not exit status 0"),
        (Behaviour(ending="exit 3"), "kml:/trusted: ended with exit status 3, not exit status 0"),
        (
            Behaviour(outputs=("hello\nthere\n",)),
            "kml:/trusted: printed something else on standard output: 'there' in line 2, not '' (12 and 6 "
            "bytes)",
        ),
        (
            Behaviour(errors="oops\n"),
            "kml:/trusted: printed something else on standard error: 'oops' in line 1, not '' (5 and 0 "
            "bytes)",
        ),
        (
            Behaviour(log=("says[123] trap invalid opcode ip:7f0012345678", "more")),
            "kml:/trusted: the kernel logged 2 lines that it does not log elsewhere, the first: "
            "says[#] trap invalid opcode ip:#",
        ),
        (
            Behaviour(failed=("boot", "kml: QEMU ended")),
            "kml:/trusted: could not be measured: boot: kml: QEMU ended",
        ),
    ],
    ids=["signal", "status", "output", "error", "log", "boot"],
)
def test_a_cell_that_differs_is_named_with_what_differs(
    behaviour: Behaviour, said: str, tmp_path: Path
) -> None:
    text = answer(tmp_path, {KML_TRUSTED: behaviour})
    assert text.startswith("Differs: from stock:/usr it ends with exit status 0.\n")
    assert said in text
    assert "stock:/trusted:" not in text
    assert (OTHER_WORK in text) is (behaviour.failed is None)


def test_output_that_varies_by_itself_is_not_compared(tmp_path: Path) -> None:
    varying = Behaviour(outputs=("1\n", "2\n", "3\n"))
    other = Behaviour(outputs=("4\n", "5\n", "6\n"))
    cells = {STOCK_USR: varying, STOCK_TRUSTED: varying, KML_USR: other, KML_TRUSTED: other}
    text = answer(tmp_path, cells)
    assert text.startswith(
        "Works: the same in all four cells: exit status 0, standard error, the kernel's log"
    )
    assert "Its standard output varies from run to run by itself, and is not compared." in text


def test_the_path_of_the_program_itself_is_no_difference(tmp_path: Path) -> None:
    def naming(prefix: str) -> Behaviour:
        return Behaviour(
            errors=f"{prefix}/lib/kmlbench/try/client/bin/says: no such option\n", ending="exit 2"
        )

    usual, trusted = naming("/usr"), naming("/trusted")
    text = answer(tmp_path, {STOCK_USR: usual, STOCK_TRUSTED: trusted, KML_USR: usual, KML_TRUSTED: trusted})
    assert text.startswith("The same in all four cells: exit status 2, standard output, standard error, ")
    assert "It does not end with success in user mode either." in text


def test_what_the_kernel_logs_in_every_cell_is_no_difference(tmp_path: Path) -> None:
    noisy = Behaviour(log=("says uses a deprecated call",))
    text = answer(tmp_path, dict.fromkeys((STOCK_USR, STOCK_TRUSTED, KML_USR, KML_TRUSTED), noisy))
    assert text.startswith(f"{ALIKE}the kernel's log (1 lines)")


def test_without_numbers_of_the_usual_cell_there_is_no_answer(tmp_path: Path) -> None:
    text = answer(tmp_path, {STOCK_USR: Behaviour(failed=("timeout", "it did not end"))})
    assert text.startswith(
        "No answer: says could not be measured from stock:/usr.\n  timeout: it did not end"
    )


def test_it_is_a_campaign_like_every_other_but_for_its_resumption(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = Tried(cells={KML_TRUSTED: FASTER}).store(tmp_path)
    assert main(["report", str(directory)]) == 0
    assert "kmlbench try --blocks 4 -- says hello" in (directory / "report.html").read_text()
    assert run_benchmark(["--resume", str(directory), "--results", str(tmp_path)]) == 2
    assert "remedy: try it again: kmlbench try --blocks 4 -- says hello" in capsys.readouterr().err
