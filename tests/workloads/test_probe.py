# SPDX-License-Identifier: MIT
"""Proofs, their contradictions, and the samples out of reports of measure."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.fake_host import Exchange, FakeHost
from support.paths import DATA

from kmlbench.errors import ProofError, TrialError
from kmlbench.model import Kernel, Prefix, Process, Proof, Sample, Variant
from kmlbench.workloads import measure, probe

WITH_SERVER = (DATA / "workloads" / "measure.json").read_text()
ALONE = (DATA / "workloads" / "measure-alone.json").read_text()
RELEASE = "6.12.117-kmlbench-kml"
CELLS = [Variant(kernel=kernel, prefix=prefix) for kernel in Kernel for prefix in Prefix]


def privilege(cpl: int, mode: str) -> str:
    return f'{{"cpl": {cpl}, "pid": 77, "kernel_mode": {mode}, "release": "{RELEASE}"}}\n'


def sampled(report: measure.MeasureReport, *counted: Sample) -> dict[tuple[Process, str], float]:
    samples = probe.resources(report, counted)
    result = {(sample.process, sample.metric): sample.value for sample in samples}
    assert len(result) == len(samples)
    return result


def test_proof_asks_the_program_of_the_same_prefix() -> None:
    exchange = Exchange(argv=("/trusted/lib/kmlbench/cpl",), stdout=privilege(0, "true"))
    report = probe.parse_report(WITH_SERVER)
    with FakeHost(script=[exchange]) as host:
        proof = probe.proof(host, Prefix.TRUSTED, report)
    assert proof == Proof(kernel_release=RELEASE, cpl=0, client_kernel_mode=False, server_kernel_mode=False)


def test_proof_without_a_server_says_nothing_of_one() -> None:
    exchange = Exchange(argv=("/usr/lib/kmlbench/cpl",), stdout=privilege(3, "null"))
    assert probe.proof(FakeHost(script=[exchange]), Prefix.USR, probe.parse_report(ALONE)) == Proof(
        kernel_release=RELEASE, cpl=3, client_kernel_mode=False, server_kernel_mode=None
    )


@pytest.mark.parametrize(("cpl", "mode"), [(3, "true"), (0, "false")])
def test_a_kernel_whose_field_disagrees_with_cs_stops_the_campaign(cpl: int, mode: str) -> None:
    exchange = Exchange(argv=("/usr/lib/kmlbench/cpl",), stdout=privilege(cpl, mode))
    with pytest.raises(ProofError, match="field is wrong"):
        probe.proof(FakeHost(script=[exchange]), Prefix.USR, None)


@pytest.mark.parametrize(
    ("stdout", "returncode"),
    [("", 0), (privilege(3, "null"), 1), (privilege(4, "null"), 0), (privilege(3, "7"), 0), ("[]", 0)],
)
def test_a_probe_that_does_not_answer_fails_the_trial(stdout: str, returncode: int) -> None:
    exchange = Exchange(argv=("/usr/lib/kmlbench/cpl",), stdout=stdout, returncode=returncode)
    with pytest.raises(TrialError) as caught:
        probe.proof(FakeHost(script=[exchange]), Prefix.USR, None)
    assert caught.value.stage == "proof"


def fitting(variant: Variant) -> Proof:
    mode = variant.kernel_mode
    return Proof(
        kernel_release=RELEASE, cpl=0 if mode else 3, client_kernel_mode=mode, server_kernel_mode=mode
    )


@pytest.mark.parametrize("variant", CELLS, ids=str)
def test_the_proof_of_a_cell_contradicts_only_cells_of_another_privilege(variant: Variant) -> None:
    for other in CELLS:
        result = probe.contradiction(other, fitting(variant), RELEASE)
        assert (result is None) is (other.kernel_mode is variant.kernel_mode)


@pytest.mark.parametrize("variant", CELLS, ids=str)
def test_every_part_of_the_proof_counts(variant: Variant) -> None:
    proof = fitting(variant)
    other = not variant.kernel_mode
    spoilt = [
        replace(proof, kernel_release=RELEASE + "+"),
        replace(proof, cpl=3 - proof.cpl),
        replace(proof, cpl=1),
        replace(proof, client_kernel_mode=other),
        replace(proof, server_kernel_mode=other),
    ]
    for wrong in spoilt:
        assert probe.contradiction(variant, wrong, RELEASE) is not None
    without = replace(proof, client_kernel_mode=None, server_kernel_mode=None)
    assert probe.contradiction(variant, without, RELEASE) is None


def test_together_is_client_plus_server() -> None:
    report = sampled(probe.parse_report(WITH_SERVER))
    for metric in ("cpu_total", "cpu_user", "cpu_system"):
        parts = report[Process.CLIENT, metric] + report[Process.SERVER, metric]
        assert report[Process.TOGETHER, metric] == pytest.approx(parts)
    assert report[Process.SERVER, "cpu_total"] == json.loads(WITH_SERVER)["server"]["cpu_ns"] / 1e9
    assert report[Process.TOGETHER, "wall"] == json.loads(WITH_SERVER)["wall_ns"] / 1e9


def test_user_and_system_add_up_to_the_exact_total_in_the_ratio_of_the_ticks() -> None:
    client = replace(
        probe.parse_report(ALONE).client,
        cpu_ns=3_000_000_000,
        ticks_user_ns=500_000_000,
        ticks_both_ns=2_000_000_000,
    )
    report = sampled(replace(probe.parse_report(ALONE), client=client))
    assert report[Process.CLIENT, "cpu_user"] == 0.75
    assert report[Process.CLIENT, "cpu_system"] == 2.25


def test_where_no_tick_fell_there_is_no_split() -> None:
    report = probe.parse_report(WITH_SERVER)
    result = sampled(replace(report, client=replace(report.client, ticks_user_ns=0, ticks_both_ns=0)))
    assert (Process.CLIENT, "cpu_user") not in result
    assert (Process.TOGETHER, "cpu_user") not in result
    assert (Process.CLIENT, "cpu_total") in result
    assert (Process.SERVER, "cpu_user") in result


def test_without_a_server_there_are_no_samples_of_one() -> None:
    report = sampled(probe.parse_report(ALONE))
    assert {process for process, _ in report} == {Process.CLIENT, Process.TOGETHER}
    assert [metric for process, metric in report if process is Process.TOGETHER] == ["wall"]


def test_passes_give_cpu_time_per_pass() -> None:
    passes = Sample(metric="passes", unit="1", value=4.0, process=Process.CLIENT, driver="sysbench")
    report = sampled(probe.parse_report(WITH_SERVER), passes)
    for process in Process:
        assert report[process, "pass_cpu"] == report[process, "cpu_total"] / 4


def with_calls(before: dict[str, str], after: dict[str, str]) -> str:
    raw = json.loads(WITH_SERVER)
    raw["server"]["kernel_mode"] = True
    raw["server"]["status_before"] = {"KernelMode": "1"} | before
    raw["server"]["status"] = {"KernelMode": "1"} | after
    return json.dumps(raw)


def test_system_calls_are_counted_by_the_way_they_came() -> None:
    before = {"KernelModeCallsDirect": "100", "KernelModeCallsTrap": "10"}
    after = {"KernelModeCallsDirect": "1100", "KernelModeCallsTrap": "15", "KernelModeTrapForm": "3"}
    report = sampled(probe.parse_report(with_calls(before, after)))
    assert report[Process.SERVER, "syscalls_direct"] == 1000
    assert report[Process.SERVER, "syscalls_trap"] == 5
    assert (Process.CLIENT, "syscalls_direct") not in report


@pytest.mark.parametrize("after", [{"KernelModeCallsDirect": "99"}, {"KernelModeCallsDirect": "many"}])
def test_counters_that_went_down_or_are_no_numbers_are_errors(after: dict[str, str]) -> None:
    report = probe.parse_report(with_calls({"KernelModeCallsDirect": "100"}, after))
    with pytest.raises(TrialError, match="KernelModeCallsDirect"):
        probe.resources(report)


@given(st.text())
def test_garbage_is_a_trial_error_and_nothing_else(garbage: str) -> None:
    with pytest.raises(TrialError):
        probe.parse_report(garbage)


@given(st.sampled_from(sorted(json.loads(ALONE)["client"])))
def test_no_field_of_the_client_but_the_pid_and_rusage_may_be_missing(field: str) -> None:
    report = json.loads(ALONE)
    del report["client"][field]
    if field == "pid" or field.startswith("rusage"):
        probe.parse_report(json.dumps(report))
    else:
        with pytest.raises(TrialError):
            probe.parse_report(json.dumps(report))


@given(value=st.one_of(st.floats(), st.integers(max_value=-1), st.text(), st.booleans(), st.none()))
def test_a_count_is_a_natural_number(value: object) -> None:
    report = json.loads(ALONE)
    report["client"]["cpu_ns"] = value
    with pytest.raises(TrialError):
        probe.parse_report(json.dumps(report))
