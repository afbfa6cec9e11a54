# SPDX-License-Identifier: MIT
"""Counting calls: the same work under strace, its summary read or refused."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from workloads.test_workloads import WORKLOADS, golden, setting

from kmlbench.errors import TrialError
from kmlbench.model import CommandResult, Process
from kmlbench.workloads.registry import ADAPTERS
from kmlbench.workloads.syscall_counts import is_counting

SERVED = [name for name in WORKLOADS if ADAPTERS[name].needs_server]
# As strace 7.2 said it in a guest, shortened.
SUMMARY = """\
server:     calls syscall
server: --------- ------------------
server:       260 futex
server:        18 io_pgetevents
server:        35 fdatasync
server: --------- ------------------
server:       313 total
client:     calls syscall
client: --------- ----------------
client:       242 recvfrom
client:       119 poll
client: --------- ----------------
client:       361 total
"""


def counted(workload: str, summary: str = SUMMARY) -> list[CommandResult]:
    """The steps of a workload as they went, with strace's summary behind what the client said."""
    steps = ADAPTERS[f"calls_{workload}"].steps(replace(setting(), server_pid=321))
    return [
        replace(result, stdout=result.stdout + summary) if step.argv[0] == "/usr/bin/sh" else result
        for step, result in zip(steps, golden(workload), strict=True)
    ]


@pytest.mark.parametrize("workload", SERVED)
def test_every_served_workload_can_be_counted(workload: str) -> None:
    asked = replace(setting(), server_pid=321)
    steps, plain = (ADAPTERS[name].steps(asked) for name in (f"calls_{workload}", workload))
    assert is_counting(f"calls_{workload}")
    assert not is_counting(workload)
    assert not any(step.measured for step in steps)
    assert [step.traced for step in steps] == [step.measured for step in plain]
    for ours, theirs in zip(steps, plain, strict=True):
        if theirs.measured:
            assert ours.argv[:2] == ("/usr/bin/sh", "-c")
            assert ours.argv[4:] == ("321", *theirs.argv)
            assert ours.timeout_s > theirs.timeout_s
        else:
            assert ours == theirs
    assert ADAPTERS[f"calls_{workload}"].dataset == ADAPTERS[workload].dataset


@pytest.mark.parametrize("workload", SERVED)
def test_the_calls_are_read_by_process_and_name(workload: str) -> None:
    samples = ADAPTERS[f"calls_{workload}"].samples(counted(workload))
    result = {(sample.process, sample.metric): sample.value for sample in samples}
    queries = next(
        sample.value for sample in ADAPTERS[workload].samples(golden(workload)) if sample.metric == "queries"
    )
    assert result == {
        (Process.CLIENT, "queries"): queries,
        (Process.SERVER, "calls_futex"): 260,
        (Process.SERVER, "calls_io_pgetevents"): 18,
        (Process.SERVER, "calls_fdatasync"): 35,
        (Process.CLIENT, "calls_recvfrom"): 242,
        (Process.CLIENT, "calls_poll"): 119,
    }
    assert {sample.driver for sample in samples} == {ADAPTERS[workload].driver}


@pytest.mark.parametrize(
    "summary",
    [
        "",
        SUMMARY.replace("313 total", "314 total"),
        SUMMARY.replace("server:       313 total\n", ""),
        SUMMARY[: SUMMARY.index("client:")],
        SUMMARY.replace("242 recvfrom", "x recvfrom"),
    ],
)
def test_a_summary_that_is_not_whole_is_no_count(summary: str) -> None:
    with pytest.raises(TrialError, match=r"strace's summary of the (server|client)'s calls is not whole"):
        ADAPTERS["calls_wisconsin"].samples(counted("wisconsin", summary))


def test_a_tracer_that_cannot_attach_fails_the_trial_with_its_own_words(tmp_path: Path) -> None:
    """The script, with a program of the test's own in the place of strace."""
    argv = ADAPTERS["calls_wisconsin"].steps(replace(setting(), server_pid=1))[0].argv
    strace = tmp_path / "strace"
    strace.write_text("#!/bin/sh\necho no such tracer >&2\nexit 3\n")
    strace.chmod(0o755)
    script = argv[2].replace("/run/", f"{tmp_path}/").replace("/usr/lib/kmlbench/measure", "true")
    ended = subprocess.run(
        (*argv[:2], script, *argv[3:]),
        env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode != 0
    assert "no such tracer" in ended.stderr
    assert "server:" not in ended.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["strace"]
