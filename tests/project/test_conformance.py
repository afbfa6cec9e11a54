# SPDX-License-Identifier: MIT
"""The conformance driver's reading: lists, what tests say, and what counts as a difference."""

from __future__ import annotations

import pytest
from conformance import cells, lists, outcomes, page, verdict
from conformance.outcomes import Outcome, Part, Result
from conformance.verdict import Difference

from kmlbench.errors import InputError
from kmlbench.model import Prefix


def outcome(result: Result, *parts: tuple[str, Result], kernel_log: tuple[str, ...] = ()) -> Outcome:
    return Outcome(
        result=result,
        status=0,
        parts=tuple(Part(name=name, result=ended) for name, ended in parts),
        elapsed_s=1.0,
        output="",
        kernel_log=kernel_log,
    )


@pytest.mark.parametrize("suite", lists.suites())
def test_every_list_loads(suite: str) -> None:
    assert lists.load(suite)


def test_a_line_becomes_a_command_of_a_prefix() -> None:
    lines = (
        "command: {prefix}/lib/{words}",
        "directory: {prefix}/lib/{group}",
        "60 x86/iopl_64 -v",
        "5 b = 'c d'",
    )
    first, second = lists.parse("any", lines)
    assert (first.name, first.limit_s) == ("x86/iopl_64 -v", 60)
    assert first.argv(Prefix.TRUSTED) == ("/trusted/lib/x86/iopl_64", "-v")
    assert first.where(Prefix.USR) == "/usr/lib/x86"
    assert (second.name, second.argv(Prefix.USR)) == ("b", ("/usr/lib/c d",))


def test_every_fault_of_a_list_is_told() -> None:
    with pytest.raises(InputError) as raised:
        lists.parse("any", ("soon x", "60 a", "60 a", "60"))
    assert len(raised.value.faults) == 3


@pytest.mark.parametrize(
    ("suite", "status", "output", "expected"),
    [
        ("selftests", 0, "ok 1 one\nnot ok 2 two # SKIP no device\n", Result.PASS),
        ("selftests", 0, "ok 1 one\nnot ok 2 two\n", Result.FAIL),
        ("selftests", 0, "[OK]\tone\n[FAIL]\ttwo\n", Result.FAIL),
        ("selftests", 0, "ok 1 # SKIP no device\n", Result.SKIP),
        ("selftests", 4, "", Result.SKIP),
        ("selftests", 139, "[OK]\tone\n", Result.FAIL),
        ("selftests", 124, "ok 1 one\n", Result.TIMEOUT),
        ("stress", 3, "", Result.SKIP),
        ("stress", 0, "stress-ng: info: passed: 2\n", Result.PASS),
        ("selftests", 0, "not ok 1 one # XFAIL as documented\nok 2 two\n", Result.PASS),
    ],
)
def test_results_in_the_dialects_of_tests(suite: str, status: int, output: str, expected: Result) -> None:
    assert outcomes.read(suite, status, output)[0] is expected


def test_names_of_parts_are_the_same_in_every_run() -> None:
    _, first = outcomes.read("selftests", 0, "[OK]\tRIP=0x7fff1234\n[OK]\tRIP=0x1\nok 3 took 12.5 s\n")
    _, second = outcomes.read("selftests", 0, "[OK]\tRIP=0x7ffe0000\n[OK]\tRIP=0x9\nok 3 took 1.25 s\n")
    assert [part.name for part in first] == ["RIP=N", "RIP=N (2)", "took N s"]
    assert first == second


def test_tests_that_end_with_0_either_way_are_read_by_what_they_print() -> None:
    held = "rdtsc() == 71\nprctl(PR_SET_TSC, PR_TSC_SIGSEGV)\nrdtsc() == [ SIG_SEGV ]\n"
    broken = "rdtsc() == 71\nprctl(PR_SET_TSC, PR_TSC_SIGSEGV)\nrdtsc() == 73\n"
    assert outcomes.read("selftests", 0, held)[1] == (Part(name="SIG_SEGV", result=Result.PASS),)
    assert outcomes.read("selftests", 0, broken)[1] == ()
    result, parts = outcomes.read(
        "selftests", 0, "[No further output means we're all set]\nFATAL ERROR, bad\n"
    )
    assert (result, parts) == (Result.FAIL, (Part(name="bad", result=Result.FAIL),))


def test_pythons_report_gives_a_part_for_each_test() -> None:
    report = (
        "noise\n<testsuites><testsuite><testcase name='a.b' status='run' />"
        "<testcase name='a.c'><failure>no\x00</failure></testcase>"
        "<testcase name='a.d'><skipped>why</skipped></testcase></testsuite></testsuites>\n"
    )
    result, parts = outcomes.read("python", 2, report)
    assert result is Result.FAIL
    assert [str(part.result) for part in parts] == ["pass", "fail", "skip"]


def test_a_difference_is_what_the_reference_passed() -> None:
    reference = outcome(Result.PASS, ("a", Result.PASS), ("b", Result.SKIP), ("c", Result.PASS))
    other = outcome(Result.FAIL, ("a", Result.FAIL), ("b", Result.FAIL), kernel_log=("BUG: x",))
    result = verdict.differences("kml:/trusted", "t", reference, other)
    assert [(each.part, each.result) for each in result] == [
        ("", "fail"),
        ("a", "fail"),
        ("1 parts from 'c' on", "missing"),
        ("", "kernel log: BUG: x"),
    ]
    (alone,) = verdict.differences("kml:/trusted", "t", reference, outcome(Result.PASS, ("a", Result.PASS)))
    assert (alone.part, alone.result) == ("c", "missing")
    assert verdict.differences("kml:/trusted", "t", other, other) == ()
    assert verdict.differences("kml:/trusted", "t", reference, reference) == ()


def test_an_exception_needs_a_reason_and_covers_only_what_it_names() -> None:
    (known,) = verdict.parse_exceptions(("# why", "kml:/trusted 'selftests: x86/io*' * -- ports are open"))
    covered = Difference(cell="kml:/trusted", test="selftests: x86/ioperm_64", part="outb", result="fail")
    elsewhere = Difference(cell="kml:/usr", test="selftests: x86/ioperm_64", part="outb", result="fail")
    unexcused, excused = verdict.judge((covered, elsewhere), (known,))
    assert unexcused == (elsewhere,)
    assert [each.reason for each in excused] == ["ports are open"]
    with pytest.raises(InputError):
        verdict.parse_exceptions(("kml:/trusted a b",))


def test_the_exceptions_that_are_kept_load() -> None:
    text = (lists.LISTS.parent / "exceptions.txt").read_text()
    assert all(line.reason for line in verdict.parse_exceptions(text.splitlines()))


def test_a_record_is_read_again() -> None:
    results = {"stock:/usr": {"t": outcome(Result.PASS, ("a", Result.PASS))}}
    plain = page.record({"cpus": 1}, results, ())["results"]
    assert page.outcomes_of(plain["stock:/usr"]) == results["stock:/usr"]


def test_the_page_counts_tests_and_parts() -> None:
    results = {
        "stock:/usr": {"t": outcome(Result.PASS, ("a", Result.PASS))},
        "kml:/trusted": {"t": outcome(Result.FAIL, ("a", Result.FAIL))},
    }
    text = page.markdown({}, results, verdict.all_differences(results), ())
    assert "| t | pass 1/0/0 | FAIL 0/1/0 |" in text
    assert "| kml:/trusted | 0 / 0 | 0 / 0 | 1 / 1 | 0 / 0 | 0 / 0 |" in text


@pytest.mark.parametrize(
    ("line", "complains"),
    [
        ("rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:", True),
        ("rcu: INFO: rcu_preempt self-detected stall on CPU", True),
        # Of the trace of a process that was killed for want of memory.
        (" ? psi_memstall_leave+0x55/0x60", False),
    ],
)
def test_the_kernel_complains_of_a_stall(line: str, complains: bool) -> None:
    assert bool(cells.complaints(f"[   77.280645] {line}\n")) == complains
