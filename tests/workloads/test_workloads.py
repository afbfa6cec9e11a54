# SPDX-License-Identifier: MIT
"""The workloads' command lines, and their parsers on real outputs and on garbage."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.paths import DATA

from kmlbench.errors import TrialError
from kmlbench.model import CommandResult, Prefix, Process, Sample
from kmlbench.workloads import loops, probe, syscalls
from kmlbench.workloads.base import Marked, MarkKind
from kmlbench.workloads.metrics import COMMON, RECORDED
from kmlbench.workloads.oltp import mixes
from kmlbench.workloads.registry import (
    ADAPTERS,
    METRICS,
    definitions,
    find_adapter,
    known_adapter,
    programs,
)
from kmlbench.workloads.steps import Setting, Step
from kmlbench.workloads.syscall_counts import is_counting

# Those of files have tests of their own: test_program.py.
WORKLOADS = sorted(
    ADAPTERS.keys() - definitions(ADAPTERS).keys() - {name for name in ADAPTERS if is_counting(name)}
)
OLTP = [name for name in WORKLOADS if name.startswith("oltp_")]
WISCONSIN = [name for name in WORKLOADS if name.startswith("wisconsin")]


def setting(prefix: Prefix = Prefix.USR, scale: float = 1.0) -> Setting:
    return Setting(
        prefix=prefix,
        socket="/run/kmlbench/1/socket",
        user="kmlbench",
        password_file="/run/kmlbench/1/password",
        seed=7,
        scale=scale,
    )


def golden(workload: str) -> list[CommandResult]:
    """The steps as they went in a guest; step "prepare" said nothing that is read."""
    steps = find_adapter(workload).steps(setting())
    text = {
        "run": captured(workload),
        "prepare": "",
        "check": (DATA / "workloads" / "wisconsin-check.txt").read_text(),
    }
    return [
        CommandResult(
            argv=asked(step.argv, did(workload, text["run"])),
            returncode=0,
            stdout=text[step.name],
            stderr="",
            elapsed_s=1.0,
        )
        for step in steps
    ]


def captured(workload: str) -> str:
    suffix = "txt" if find_adapter(workload).needs_server else "json"
    return (DATA / "workloads" / f"{workload}.{suffix}").read_text()


def did(workload: str, output: str) -> str:
    """The option that asks for what the captured run did; the default sizes may change, it does not."""
    if workload in WISCONSIN:
        queries = output.count(" query ")
        return f"--loops={count(output, 'reads') // queries}"
    return f"--events={count(output, 'events')}" if workload.startswith("oltp_") else ""


def count(output: str, name: str) -> int:
    match = re.search(rf": {name} (\d+)\.", output)
    assert match
    return int(match[1])


def asked(argv: tuple[str, ...], option: str) -> tuple[str, ...]:
    name = option.partition("=")[0] + "="
    return tuple(option if argument.startswith(name) else argument for argument in argv)


def measured(workload: str) -> int:
    return [step.measured for step in ADAPTERS[workload].steps(setting())].index(True)


def values(workload: str) -> dict[str, Sample]:
    samples = find_adapter(workload).samples(golden(workload))
    assert len({sample.metric for sample in samples}) == len(samples)
    assert {sample.process for sample in samples} == {Process.CLIENT}
    return {sample.metric: sample for sample in samples}


def test_each_client_has_each_workload() -> None:
    sysbench = {name for name in WORKLOADS if ADAPTERS[name].driver == "sysbench"}
    assert {name for name in WORKLOADS if ADAPTERS[name].driver == "pymysql"} == {
        f"{name}_pymysql" for name in sysbench
    }
    mixes = "point_select read_only write_only read_write update_index update_non_index insert delete"
    more = "select_random_points select_random_ranges bulk_insert"
    assert sysbench == {"wisconsin", "wisconsin32", *(f"oltp_{mix}" for mix in (mixes + " " + more).split())}
    assert all(adapter.name == name for name, adapter in ADAPTERS.items())


@pytest.mark.parametrize("prefix", list(Prefix))
def test_the_programs_that_are_compared_are_those_that_are_measured(prefix: Prefix) -> None:
    argvs = [ADAPTERS[name].steps(setting(prefix))[measured(name)].argv for name in WORKLOADS]
    assert {argv[0] for argv in argvs} == {prefix.path(program) for program in programs(WORKLOADS)}
    assert {"bin/sysbench", "bin/python3", "lib/kmlbench/getpid"} < set(programs(WORKLOADS))


@pytest.mark.parametrize("workload", WORKLOADS)
@pytest.mark.parametrize("prefix", list(Prefix))
def test_every_program_starts_from_the_prefix_and_one_step_is_measured(workload: str, prefix: Prefix) -> None:
    steps = ADAPTERS[workload].steps(setting(prefix))
    assert all(step.argv[0].startswith(f"{prefix}/") for step in steps)
    assert [step.measured for step in steps].count(True) == 1


@pytest.mark.parametrize("workload", WORKLOADS)
def test_a_larger_scale_does_more_work(workload: str) -> None:
    small, large = (ADAPTERS[workload].steps(setting(scale=scale)) for scale in (1.0, 4.0))
    index = measured(workload)
    assert small[index].argv != large[index].argv
    assert small[index].timeout_s < large[index].timeout_s


@pytest.mark.parametrize("workload", WORKLOADS)
def test_a_tiny_scale_still_does_something(workload: str) -> None:
    argv = ADAPTERS[workload].steps(setting(scale=1e-9))[measured(workload)].argv
    assert not any(argument.endswith("=0") and "events" in argument for argument in argv)


def test_point_selects_command_line() -> None:
    step = ADAPTERS["oltp_point_select"].steps(setting(Prefix.TRUSTED, scale=1.0))[1]
    assert step.argv == (
        "/trusted/bin/sysbench",
        "/usr/share/kmlbench/oltp/point_select.lua",
        "--config-file=/run/kmlbench/1/password",
        "--db-driver=mysql",
        "--mysql-socket=/run/kmlbench/1/socket",
        "--mysql-user=kmlbench",
        "--mysql-db=kmlbench",
        "--rand-type=uniform",
        "--rand-seed=7",
        "--threads=1",
        "--events=12000",
        "--time=0",
        "--percentile=0",
        "--histogram=off",
        "--table-size=10000",
        "--warm-up=4000",
        "--window=800",
        "run",
    )


def test_a_level_is_the_same_work_by_several_threads_and_its_name_says_so() -> None:
    alone, four = (find_adapter(f"oltp_point_select{level}") for level in ("", "_4_threads"))
    assert four.name == "oltp_point_select_4_threads"
    assert (four.needs_server, four.metrics) == (alone.needs_server, alone.metrics)
    argvs = [[step.argv for step in adapter.steps(setting())] for adapter in (alone, four)]
    assert argvs[1] == [asked(argv, "--threads=4") for argv in argvs[0]] != argvs[0]
    counting = find_adapter("calls_oltp_point_select_4_threads")
    assert counting.name == "calls_oltp_point_select_4_threads"
    assert counting.steps(setting())[1].argv[-len(argvs[1][1]) :] == argvs[1][1]
    assert programs([four.name, counting.name]) == ("bin/sysbench",)


NO_LEVELS = ("oltp_insert_pymysql_4_threads", "wisconsin_4_threads", "oltp_insert_1_threads", "x_4_threads")


@pytest.mark.parametrize("name", NO_LEVELS)
def test_what_is_no_level_is_no_workload(name: str) -> None:
    assert known_adapter(name) is None


def test_the_latencies_of_four_threads_are_those_of_all_events() -> None:
    result = values("oltp_read_write_4_threads")
    events = result["transactions"].value
    # Four threads wait for each other: their latencies add up to more than the run, and to less than four.
    busy_s = result["latency_mean"].value / 1e3 * events
    assert 1.0 < busy_s * result["throughput"].value / events <= 4.0
    assert result["queries"].value == 20 * events


def test_getpid_subtracts_the_empty_loop_and_takes_the_median() -> None:
    report = json.loads((DATA / "workloads" / "getpid.json").read_text())
    result = values("getpid")
    rounds = zip(report["syscall"]["nanoseconds"], report["empty"]["nanoseconds"], strict=True)
    expected = sorted((total - empty) / report["calls"] for total, empty in rounds)[3]
    assert result["getpid_syscall_ns"].value == expected
    assert result["getpid_syscall_ns"].unit == "ns"
    assert result["getpid_libc_cycles"].unit == "cycles"
    assert result["getpid_unknown_ns"].value < result["getpid_syscall_ns"].value
    assert "getpid_syscall_instructions" not in result


def test_getpid_has_instructions_where_they_were_counted() -> None:
    result = golden("getpid")[0]
    report = json.loads(result.stdout)
    for kind, count in {"empty": 5, "syscall": 225, "libc": 235, "unknown": 165}.items():
        report[kind]["instructions"] = [count * report["calls"]] * report["repetitions"]
    samples = ADAPTERS["getpid"].samples([replace(result, stdout=json.dumps(report))])
    actual = {sample.metric: sample for sample in samples}
    assert actual["getpid_syscall_instructions"].value == 220
    assert actual["getpid_libc_instructions"].unit == "instructions"


def test_syscalls_has_each_kind_and_the_articles_ratio() -> None:
    report = json.loads((DATA / "workloads" / "syscalls.json").read_text())
    result = values("syscalls")
    for kind in syscalls.KINDS:
        assert result[f"call_{kind}_ns"].unit == "ns"
        assert result[f"call_{kind}_cycles"].unit == "cycles"
    rounds = zip(report["pread"]["nanoseconds"], report["empty"]["nanoseconds"], strict=True)
    expected = sorted((total - empty) / report["calls"] for total, empty in rounds)
    assert result["call_pread_ns"].value == expected[len(expected) // 2]
    assert result["call_ratio"].value == result["call_getpid_ns"].value / result["call_function_ns"].value
    assert (
        result["call_function_ns"].value < result["call_clock_vdso_ns"].value < result["call_getpid_ns"].value
    )
    assert result["call_clock_vdso_ns"].value < result["call_clock_call_ns"].value


def test_a_function_that_cost_nothing_has_no_ratio() -> None:
    result = golden("syscalls")[0]
    report = json.loads(result.stdout)
    report["function"] = report["empty"]
    with pytest.raises(TrialError, match="loops were too short"):
        ADAPTERS["syscalls"].samples([replace(result, stdout=json.dumps(report))])


def test_per_call_may_be_negative_but_is_never_absent() -> None:
    assert loops.per_call([10, 30, 20], [20, 20, 20], 10) == 0.0
    assert loops.per_call([10], [20], 10) == -1.0


def test_the_second_clients_command_line() -> None:
    paced = replace(setting(Prefix.TRUSTED), rate_per_s=12.5)
    step = ADAPTERS["oltp_read_write_pymysql"].steps(paced)[1]
    assert step.argv == (
        "/trusted/bin/python3",
        "-E",
        "-B",
        "/usr/share/kmlbench/client",
        "--defaults-file=/run/kmlbench/1/password",
        "--socket=/run/kmlbench/1/socket",
        "--user=kmlbench",
        "--database=kmlbench",
        "oltp",
        "read_write",
        "--events=450",
        "--seed=7",
        "--pace=12.5",
        "--warm-up=150",
        "--window=30",
        "--purge",
    )
    assert step.timeout_s == 600.0 + 450 / 12.5
    assert "--pace=12.5" in ADAPTERS["oltp_read_write"].steps(paced)[1].argv


@pytest.mark.parametrize("mix", mixes())
def test_the_server_purges_after_the_events_of_a_mix_that_leaves_old_rows(mix: str) -> None:
    asked = "--purge=on" in ADAPTERS[f"oltp_{mix}"].steps(setting())[1].argv
    assert asked == (mix in {"read_write", "write_only", "update_index", "update_non_index", "delete"})


def test_the_time_of_the_purge_is_not_that_of_the_events() -> None:
    results = golden("oltp_read_write")
    before = values("oltp_read_write")
    purged = replace(results[1], stdout=results[1].stdout + "sysbench: purge 0.050000000\n")
    after = {each.metric: each for each in ADAPTERS["oltp_read_write"].samples([results[0], purged])}
    events = before["transactions"].value
    assert events / after["throughput"].value == pytest.approx(events / before["throughput"].value - 0.05)


@pytest.mark.parametrize("workload", OLTP)
def test_oltp_reads_its_report(workload: str) -> None:
    result = values(workload)
    events = result["transactions"].value
    assert result["throughput"].unit == "1/s"
    assert result["latency_mean"].unit == result["latency_p90"].unit == "ms"
    assert result["latency_p50"].value <= result["latency_p90"].value <= result["latency_max"].value
    assert ("latency_p95" in result) is (events >= 20)
    # One thread does nothing but events, and its latencies add up to no more than the run.
    busy_s = result["latency_mean"].value / 1e3 * events
    assert 0 < busy_s * result["throughput"].value / events <= 1.0
    if "bulk" not in workload:
        statements = ADAPTERS[workload].mix.statements  # type: ignore[attr-defined]
        assert result["queries"].value == events * statements


@pytest.mark.parametrize("workload", [name for name in OLTP if f"{name}_pymysql" in OLTP])
def test_both_clients_sent_as_much(workload: str) -> None:
    item, other = values(workload), values(f"{workload}_pymysql")
    for metric in ("transactions", "queries"):
        assert item[metric].value == other[metric].value
    assert {sample.driver for sample in item.values()} == {"sysbench"}
    assert {sample.driver for sample in other.values()} == {"pymysql"}


@pytest.mark.parametrize("workload", WISCONSIN)
def test_wisconsin_reads_its_report(workload: str) -> None:
    result = values(workload)
    queries = 25 if "32" in workload else 10
    assert result["queries"].value == queries * result["passes"].value + 14
    assert result["throughput"].value > 0


@pytest.mark.parametrize("workload", WISCONSIN)
def test_the_loops_of_wisconsin_are_an_option(workload: str) -> None:
    assert "--loops=10000" in ADAPTERS[workload].steps(replace(setting(), loops=10000))[0].argv


REFUSED: list[tuple[str, int, Callable[[str], str], str]] = [
    ("oltp_read_write", 1, lambda text: text.replace("reads ", "reads 1"), "another one"),
    ("oltp_read_write", 1, lambda text: text.replace("errors 0.", "errors 1."), "1 errors"),
    ("oltp_read_write", 1, lambda text: text.replace("reconnects 0.", "reconnects 2."), "reconnected 2"),
    ("oltp_read_write", 1, lambda text: text.replace("events ", "events 1"), "ran 1"),
    ("oltp_read_write", 1, lambda text: re.sub(r"(events \d+\.)0", r"\g<1>5", text), "counted "),
    ("oltp_read_write", 1, lambda text: re.sub(r"(?m)^.*: service .*\n", "", text), "are not whole"),
    ("oltp_read_write", 1, lambda text: re.sub(r"(?m)^.*service_sum.*\n", "", text), "are not whole"),
    ("oltp_read_write", 1, lambda text: text + "sysbench: service 5 1\n", "events, the run had"),
    ("oltp_read_write", 1, lambda text: text + "sysbench: service 9999999999999 1\n", "longer than an hour"),
    ("oltp_read_write", 1, lambda text: text + "sysbench: events 150.000000000\n", "not whole"),
    ("wisconsin", 0, lambda text: text.replace("8 query 10000", "8 query 9999"), "8: 9999 not 10000"),
    ("wisconsin", 0, lambda text: text.replace("wisconsin: 24 modify -\n", ""), "23 of 24"),
    ("wisconsin", 0, lambda text: text.replace("writes 14.", "writes 13."), "changing"),
    ("wisconsin", 1, lambda text: text.replace("50284216", "50284217"), "left"),
    ("syscalls", 0, lambda text: text.replace('"pread"', '"prayer"'), "not its report"),
    ("getpid", 0, lambda text: text.replace('"repetitions": 7', '"repetitions": 6'), "not 6 readings"),
    ("getpid", 0, lambda text: text.replace('"calls": 100000', '"calls": NaN'), "not a count"),
    ("getpid", 0, lambda text: text.replace('"calls": 100000', '"calls": 0'), "nothing was counted"),
]


@pytest.mark.parametrize(("workload", "index", "spoil", "message"), REFUSED)
def test_a_spoilt_output_is_refused(
    workload: str, index: int, spoil: Callable[[str], str], message: str
) -> None:
    results = golden(workload)
    spoilt = spoil(results[index].stdout)
    assert spoilt != results[index].stdout
    results[index] = replace(results[index], stdout=spoilt)
    with pytest.raises(TrialError, match=message):
        ADAPTERS[workload].samples(results)


@pytest.mark.parametrize("workload", ["oltp_point_select", "wisconsin"])
def test_no_line_of_sysbenchs_report_may_be_missing(workload: str) -> None:
    results = golden(workload)
    index = measured(workload)
    lines = results[index].stdout.splitlines(keepends=True)
    for number, line in enumerate(lines):
        if line.startswith("sysbench: ") and "service" not in line:
            results[index] = replace(results[index], stdout="".join(lines[:number] + lines[number + 1 :]))
            with pytest.raises(TrialError, match="not whole"):
                ADAPTERS[workload].samples(results)


@pytest.mark.parametrize("workload", WORKLOADS)
@pytest.mark.parametrize("index", [0, 1])
def test_a_failed_command_and_a_missing_one_are_refused(workload: str, index: int) -> None:
    results = golden(workload)
    with pytest.raises(TrialError, match="not 0"):
        ADAPTERS[workload].samples([])
    if index < len(results):
        results[index] = replace(results[index], returncode=1, stderr="FATAL: no connection")
        with pytest.raises(TrialError, match="FATAL: no connection"):
            ADAPTERS[workload].samples(results)


@pytest.mark.parametrize("workload", WORKLOADS)
@given(garbage=st.text())
def test_garbage_is_a_trial_error_and_nothing_else(workload: str, garbage: str) -> None:
    results = [replace(result, stdout=garbage) for result in golden(workload)]
    with pytest.raises(TrialError):
        ADAPTERS[workload].samples(results)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(key=st.sampled_from(["calls", "repetitions", "empty", "syscall", "libc", "unknown"]), value=JSON)
def test_getpid_refuses_any_other_value_in_its_report(key: str, value: object) -> None:
    result = golden("getpid")[0]
    report = json.loads(result.stdout)
    if key == "calls" and type(value) is int and value > 0:
        return
    report[key] = value
    with pytest.raises(TrialError):
        ADAPTERS["getpid"].samples([replace(result, stdout=json.dumps(report))])


@pytest.mark.parametrize("workload", WORKLOADS)
def test_every_sample_is_of_a_registered_metric_with_its_unit_and_process(workload: str) -> None:
    adapter = ADAPTERS[workload]
    for sample in adapter.samples(golden(workload)):
        metric = METRICS[sample.metric]
        assert metric in (*adapter.metrics, *COMMON)
        assert sample.unit == metric.unit
        assert sample.process in metric.processes


def test_what_a_measured_step_used_is_in_registered_metrics() -> None:
    for name in ("measure.json", "measure-alone.json"):
        report = probe.parse_report((DATA / "workloads" / name).read_text())
        counted = (Sample(metric="passes", unit="1", value=2, process=Process.CLIENT, driver="sysbench"),)
        for sample in probe.resources(report, counted):
            metric = METRICS[sample.metric]
            assert (sample.unit, sample.process in metric.processes) == (metric.unit, True)


def test_no_two_metrics_share_a_name_or_a_column() -> None:
    declared = {metric for adapter in ADAPTERS.values() for metric in adapter.metrics}
    declared |= {*COMMON, *RECORDED}
    assert len({metric.name for metric in declared}) == len(declared) == len(METRICS)
    columns = [(metric.section, metric.rows, metric.heading) for metric in declared if metric.section]
    assert len(set(columns)) == len(columns)


@pytest.mark.parametrize(("scale", "size"), [(1.0, 30), (0.1, 3), (0.01, 0)])
def test_a_mix_has_ten_windows_and_a_run_of_few_events_has_none(scale: float, size: int) -> None:
    adapter = ADAPTERS["oltp_read_write"]
    assert isinstance(adapter, Marked)
    marks = adapter.marks([played(step) for step in adapter.steps(setting(Prefix.USR, scale=scale))])
    purge = marks.get((MarkKind.PURGE, 0))
    events = [work for work in marks.values() if work != purge]
    assert [work.units for work in events] == ([size] * 10 if size else [])
    # Of all events, those that warm up among them.
    assert (purge.units if purge else 0) == (round(450 * scale) if size else 0)


@pytest.mark.parametrize(("threads", "size"), [(1, 3), (3, 3), (4, 0)])
def test_a_window_has_an_event_of_each_thread(threads: int, size: int) -> None:
    adapter = find_adapter("oltp_read_write" if threads == 1 else f"oltp_read_write_{threads}_threads")
    assert isinstance(adapter, Marked)
    marks = adapter.marks([played(step) for step in adapter.steps(setting(scale=0.1))])
    assert {work.units for work in marks.values() if work.name == "event"} == ({size} if size else set())


def test_every_execution_of_a_statement_is_a_window() -> None:
    adapter = ADAPTERS["wisconsin"]
    assert isinstance(adapter, Marked)
    works = adapter.marks(())
    assert {kind for kind, _ in works} == {MarkKind.STATEMENT}
    assert sorted(number for _, number in works) == list(range(1, 25))


def played(step: Step) -> CommandResult:
    return CommandResult(argv=step.argv, returncode=0, stdout="", stderr="", elapsed_s=0)


def test_a_workload_that_counts_calls_has_the_program_whose_calls_it_counts() -> None:
    counting = [name for name in ADAPTERS if is_counting(name)]
    assert counting
    for name in counting:
        assert programs([name]) == programs([name.removeprefix("calls_")]) != ()
