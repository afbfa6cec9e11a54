# SPDX-License-Identifier: MIT
"""The steps of one trial, in order, on a host with a server."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.fake_host import Exchange, FakeHost
from support.instrument import played_plugin
from support.paths import DATA

from kmlbench.errors import CommandTimeout, HostError, ProofError, TrialError
from kmlbench.hosts.base import Recording
from kmlbench.model import Kernel, PlannedCampaign, Prefix, Server, Trial, Variant
from kmlbench.results import writer
from kmlbench.results.reader import RAW
from kmlbench.results.writer import CampaignDirectory
from kmlbench.run import trial as trials
from kmlbench.run.recording import BootRecording
from kmlbench.run.trial import Bench
from kmlbench.servers.server import ServerHandle
from kmlbench.verify.rederive import Rederived, rederive
from kmlbench.workloads.registry import ADAPTERS

RELEASE = "6.12.117-kml"
TRIAL = Trial(
    block=0,
    boot=0,
    position=0,
    variant=Variant(kernel=Kernel.KML, prefix=Prefix.TRUSTED),
    workload="oltp_point_select",
)
ADAPTER = ADAPTERS["oltp_point_select"]
HANDLE = ServerHandle(
    pid=77,
    prefix=Prefix.TRUSTED,
    directory="/run/d",
    socket="/run/d/socket",
    port=13306,
    user="kmlbench",
    database="kmlbench",
    password="secret",
    password_file="/run/d/password",
)
OUTPUT = (DATA / "workloads" / "oltp_point_select.txt").read_text()
EVENTS = int(OUTPUT.split("sysbench: events ")[1].split(".")[0])
# The scale at which the captured run did its events.
SCALE = EVENTS / next(
    int(word.removeprefix("--events="))
    for word in ADAPTER.steps(HANDLE.setting(seed=3, scale=1.0))[1].argv
    if word.startswith("--events=")
)
SETTING = HANDLE.setting(seed=3, scale=SCALE)
STEPS = ADAPTER.steps(SETTING)

CLIENT = (
    "/usr/bin/mysql",
    "--defaults-file=/run/d/password",
    "--socket=/run/d/socket",
    "--user=kmlbench",
)
EMPTY = Exchange(argv=(*CLIENT, "--execute=DROP DATABASE IF EXISTS kmlbench; CREATE DATABASE kmlbench"))
ANALYZE = Exchange(argv=(*CLIENT, f"--execute={trials.ANALYZE.format(schema='kmlbench')}"))


def flushed(dirty: int) -> Exchange:
    status = f"Variable_name\tValue\nInnodb_buffer_pool_pages_dirty\t{dirty}\n"
    return Exchange(argv=(*CLIENT, f"--execute={trials.FLUSH}"), stdout=status)


READY = (ANALYZE, flushed(0))
PREPARE = Exchange(argv=STEPS[0].argv)
MEASURED = (
    *(trials.MEASURE, "--report", trials.REPORT, "--server", "77", "--settle", "120", "--seed", "3", "--"),
    *STEPS[1].argv,
)


def report(*, server_mode: bool) -> bytes:
    document = json.loads((DATA / "workloads" / "measure.json").read_text())
    document["client"]["kernel_mode"] = True
    document["server"]["kernel_mode"] = server_mode
    return json.dumps(document).encode()


def measured(*, server_mode: bool = True) -> Exchange:
    return Exchange(argv=MEASURED, stdout=OUTPUT, leaves={trials.REPORT: report(server_mode=server_mode)})


FORGET = Exchange(argv=trials.FORGET)
PROBE = Exchange(
    argv=("/trusted/lib/kmlbench/cpl",),
    stdout=f'{{"cpl": 0, "pid": 9, "kernel_mode": true, "release": "{RELEASE}"}}\n',
)


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[CampaignDirectory]:
    campaign = PlannedCampaign(
        id="test",
        started_utc="2026-11-23T00:00:00Z",
        title="a test",
        platform="QEMU TCG, instruction clock",
        control=False,
        seed=2,
        options={},
        plan=(TRIAL,),
        git_commit="unknown",
        tools={},
    )
    with writer.create(tmp_path, campaign) as made:
        yield made


def bench(directory: CampaignDirectory, *script: Exchange) -> Bench:
    host = FakeHost(script=list(script))
    return Bench(host=host, release=RELEASE, server=Server.MYSQL, handle=HANDLE, directory=directory)


def test_a_trial_empties_the_schema_prepares_measures_and_proves(directory: CampaignDirectory) -> None:
    on = bench(directory, EMPTY, PREPARE, *READY, measured(), FORGET, PROBE)
    proof, samples = trials.perform(on, TRIAL, ADAPTER, SETTING)
    assert (proof.cpl, proof.client_kernel_mode, proof.server_kernel_mode) == (0, True, True)
    result = {(sample.process, sample.metric) for sample in samples}
    assert {("client", "throughput"), ("server", "cpu_total"), ("together", "cpu_total")} <= result
    raw = directory.raw(TRIAL)
    steps = {"00-prepare", "01-run", "02-privilege"}
    assert {path.name for path in raw.iterdir()} == {"commands.json", "measure.json", *steps}
    assert (raw / "01-run" / "stdout").read_text() == OUTPUT


def test_only_the_measured_step_is_counted(directory: CampaignDirectory, tmp_path: Path) -> None:
    on = bench(directory, EMPTY, PREPARE, *READY, measured(), FORGET, PROBE)
    host = on.host
    assert isinstance(host, FakeHost)
    windows = tmp_path / "windows"
    windows.write_text("kmlbench-windows 1\nqemu 1 1\ncostly syscall\nsection 0\n")
    symbols = b"ffffffff81000000 T _text\nffffffff82000000 T _end\n"
    (directory.path / RAW).mkdir()
    (directory.path / RAW / "kernel-kml.gz").write_bytes(gzip.compress(symbols))
    heard = []

    def hear(word: str) -> None:
        heard.append((word, host.script[0]))
        if word == "count":
            windows.write_text(windows.read_text() + "section 0\n")

    with played_plugin({"count": "counting", "sleep": "asleep"}, hear) as control:
        files = Recording(windows=windows, system_map=tmp_path / "m", root=tmp_path / "r", control=control)
        recording = BootRecording(recording=files, text="ffffffff81000000", functions="kernel-kml.gz")
        trials.perform(replace(on, recording=recording), TRIAL, ADAPTER, SETTING)
    assert heard == [("count", measured()), ("sleep", FORGET)]


def test_the_raw_output_says_the_same_again(directory: CampaignDirectory) -> None:
    proof, samples = trials.perform(
        bench(directory, EMPTY, PREPARE, *READY, measured(), FORGET, PROBE),
        TRIAL,
        ADAPTER,
        SETTING,
    )
    assert rederive(directory.path, TRIAL) == Rederived(samples=samples, proof=proof)


def test_a_server_that_ran_in_the_other_mode_is_no_trial_of_this_cell(directory: CampaignDirectory) -> None:
    on = bench(directory, EMPTY, PREPARE, *READY, measured(server_mode=False), FORGET, PROBE)
    with pytest.raises(ProofError, match="kml:/trusted: the server ran outside kernel mode"):
        trials.perform(on, TRIAL, ADAPTER, SETTING)


def test_a_schema_that_cannot_be_emptied(directory: CampaignDirectory) -> None:
    gone = Exchange(argv=EMPTY.argv, returncode=1, stderr="Can't connect to local server")
    with pytest.raises(TrialError, match="could not be emptied: Can't connect") as caught:
        trials.perform(bench(directory, gone), TRIAL, ADAPTER, SETTING)
    assert caught.value.stage == "prepare"
    assert json.loads((directory.raw(TRIAL) / "commands.json").read_text())[1] == list(MEASURED)


def test_a_step_that_fails_leaves_its_raw_output(directory: CampaignDirectory) -> None:
    failing = Exchange(argv=MEASURED, returncode=1, stderr="FATAL: Lost connection to MySQL server")
    with pytest.raises(TrialError, match="sysbench ended with 1: FATAL: Lost connection") as caught:
        trials.perform(bench(directory, EMPTY, PREPARE, *READY, failing, FORGET), TRIAL, ADAPTER, SETTING)
    assert caught.value.stage == "run"
    assert "Lost connection" in (directory.raw(TRIAL) / "01-run" / "stderr").read_text()


@pytest.mark.parametrize("error", [HostError("it is gone"), CommandTimeout("it is slow")])
def test_a_report_is_removed_however_its_step_ends(directory: CampaignDirectory, error: HostError) -> None:
    """And what ended the step is what is told, whether the report could be removed or not."""
    late = Exchange(argv=MEASURED, raises=error)
    for forgotten in (FORGET, Exchange(argv=trials.FORGET, raises=HostError("too late"))):
        on = bench(directory, EMPTY, PREPARE, *READY, late, forgotten)
        with pytest.raises(HostError, match=str(error)):
            trials.perform(on, TRIAL, ADAPTER, SETTING)
        assert isinstance(on.host, FakeHost)
        assert on.host.script == []


def test_tables_that_cannot_be_analyzed(directory: CampaignDirectory) -> None:
    failing = Exchange(argv=ANALYZE.argv, returncode=1, stderr="ERROR 1064")
    with pytest.raises(TrialError, match="could not be analyzed: ERROR 1064"):
        trials.perform(bench(directory, EMPTY, PREPARE, failing), TRIAL, ADAPTER, SETTING)


def test_a_measurement_waits_for_clean_pages(
    directory: CampaignDirectory,
) -> None:
    flushes = (flushed(415), flushed(31), flushed(trials.FEW_PAGES))
    on = bench(directory, EMPTY, PREPARE, ANALYZE, *flushes, measured(), FORGET, PROBE)
    trials.perform(on, TRIAL, ADAPTER, SETTING)
    on = bench(directory, EMPTY, PREPARE, ANALYZE, *(flushed(9) for _ in range(trials.FLUSHES)))
    with pytest.raises(TrialError, match="60 times flushed, the server still has dirty pages: 9"):
        trials.perform(on, TRIAL, ADAPTER, SETTING)


def test_a_trial_that_counts_calls_has_no_report_of_measure_and_is_proven_by_the_probe(
    directory: CampaignDirectory,
) -> None:
    adapter = ADAPTERS[f"calls_{ADAPTER.name}"]
    summary = "".join(f"{process}: 7 futex\n{process}: 7 total\n" for process in ("server", "client"))
    counting = Exchange(argv=adapter.steps(SETTING)[1].argv, stdout=OUTPUT + summary)
    trial = replace(TRIAL, workload=adapter.name)
    on = bench(directory, EMPTY, PREPARE, *READY, counting, PROBE)
    proof, samples = trials.perform(on, trial, adapter, SETTING)
    assert (proof.cpl, proof.client_kernel_mode, proof.server_kernel_mode) == (0, None, None)
    assert {sample.metric for sample in samples} == {"queries", "calls_futex"}
    assert not (directory.raw(trial) / "measure.json").exists()
    assert rederive(directory.path, trial) == Rederived(samples=samples, proof=proof)
