# SPDX-License-Identifier: MIT
"""`run-benchmark --json`: every line is what the schema says, in order, and nothing else is there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from support.fake_host import Exchange
from support.host_sessions import ANY_GETPID, getpid, inspecting, slower
from support.paths import PYTHONPATH, REPOSITORY, SUPPORT
from support.played_machines import DMESG, RELEASES, Playing, Script, breaking, hosts_file, stage, whole

from kmlbench.cli.main import run_benchmark
from kmlbench.errors import HostError, MachineError
from kmlbench.model import Boot
from kmlbench.report import write
from kmlbench.results import reader

pytestmark = pytest.mark.slow

SCHEMA = jsonschema.Draft202012Validator(json.loads((REPOSITORY / "events.schema.json").read_text()))
ALIVE = Exchange(argv=("true",))
Line = dict[str, Any]


@pytest.fixture(autouse=True)
def unreported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports take seconds, and these tests are about what is benchmark."""
    monkeypatch.setattr(write, "write_report", lambda directory, **_: directory / "report.html")


class Benchmark:
    """Runs `run-benchmark --json` on played hosts; what it benchmark."""

    def __init__(self, directory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
        self.directory, self.results = directory, directory / "results"
        self._monkeypatch, self._capsys = monkeypatch, capsys

    def run(self, *options: str, script: Script = whole, blocks: int = 2, pairs: int = 1) -> list[Line]:
        stage(self._monkeypatch, Playing(script=script))
        hosts = hosts_file(self.directory, blocks=blocks, pairs=pairs)
        return self.benchmark("--hosts", str(hosts), *options)

    def benchmark(self, *options: str) -> list[Line]:
        self._capsys.readouterr()
        code = run_benchmark(["--results", str(self.results), "--json", *options])
        printed = self._capsys.readouterr()
        lines = [json.loads(line) for line in printed.out.splitlines()]
        for line in lines:
            SCHEMA.validate(line)
        assert [line["event"] for line in lines].index("end") == len(lines) - 1
        assert lines[-1]["exit_code"] == code
        assert lines[-1]["error"] is None or lines[-1]["error"] in printed.err
        assert printed.out.isascii()
        return lines


@pytest.fixture
def benchmark(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Benchmark:
    return Benchmark(tmp_path, monkeypatch, capsys)


def events(lines: Sequence[Line]) -> list[str]:
    return [line["event"] for line in lines]


def test_the_schema_is_one() -> None:
    SCHEMA.check_schema(SCHEMA.schema)


def test_a_campaign_from_its_plan_to_its_end(benchmark: Benchmark) -> None:
    lines = benchmark.run(blocks=1)
    trial = ["trial_begun", "trial_ended", "progress"]
    boot = ["boot", "stage", *trial, *trial, "stage"]
    assert events(lines) == ["plan", "begin", *boot, *boot, "end"]
    begun, end = lines[1], lines[-1]
    assert (end["exit_code"], end["completed"], end["failed"], end["error"]) == (0, 4, 0, None)
    assert end["directory"] == begun["directory"]
    assert end["report"] == f"{end['directory']}/report.html"
    stored = reader.read_campaign(Path(end["directory"]))
    planned = [trial["trial"] for trial in lines[0]["trials"]]
    assert planned == [trial.id for trial in stored.campaign.plan]
    assert [line["trial"] for line in lines if line["event"] == "trial_ended"] == planned
    assert lines[-3]["left_s"] == 0


def test_the_running_ratio_is_never_final(benchmark: Benchmark) -> None:
    def noisy(boot: Boot) -> list[Exchange]:
        return [slower(exchange, 1 + boot.index / 100) for exchange in whole(boot)]

    ratios = [line["running_ratio"] for line in benchmark.run(script=noisy) if line["event"] == "progress"]
    assert {ratio["final"] for ratio in ratios} == {False}
    assert [ratio["blocks"] for ratio in ratios][-1] == 2
    assert ratios[0]["estimate"] is None
    assert "no completed trial" in ratios[0]["reason"]
    assert ratios[-1]["low"] < ratios[-1]["estimate"] < ratios[-1]["high"]


def test_pairs_write_whole_lines(benchmark: Benchmark) -> None:
    lines = benchmark.run(blocks=4, pairs=2)
    assert {line["pair"] for line in lines if line["event"] == "boot"} == {0, 1}
    assert lines[-1]["completed"] == 16


def test_looking_at_the_ratio_does_not_change_when_a_rule_ends_the_campaign(benchmark: Benchmark) -> None:
    def noisy(boot: Boot) -> list[Exchange]:
        factor = 1 + (boot.index * 7 % 5) / 500
        return [slower(exchange, factor) for exchange in whole(boot)]

    options = ("--stop-at", "1%", "--seed", "3")
    watched = benchmark.run(*options, script=noisy, blocks=10)[-1]
    stored = reader.read_campaign(Path(watched["directory"]))
    hosts = str(benchmark.directory / "hosts.yaml")
    assert run_benchmark(["--results", str(benchmark.results), "--hosts", hosts, *options]) == 0
    unseen = reader.read_campaign((benchmark.results / "latest").resolve())
    assert unseen.directory != stored.directory
    assert [outcome.trial for outcome in unseen.outcomes] == [outcome.trial for outcome in stored.outcomes]
    assert len(stored.missing) > 0


def test_a_dry_run_is_its_plan(benchmark: Benchmark) -> None:
    lines = benchmark.run("--dry-run", "--seed", "5")
    assert events(lines) == ["plan", "end"]
    assert lines[0]["seed"] == 5
    assert lines[-1]["directory"] is None
    assert not benchmark.results.exists()


def wrong_level(boot: Boot) -> list[Exchange]:
    release = RELEASES[boot.kernel]
    session = inspecting(release=release)
    for trial in boot.trials:
        session += getpid(trial.variant, release=release, cpl=3)
        if trial.variant.kernel_mode:
            break
    return [*session, DMESG]


ENDS: dict[int, Script] = {
    5: lambda boot: breaking(boot, 1, Exchange(argv=ANY_GETPID, returncode=1), ALIVE, DMESG),
    6: wrong_level,
    130: lambda boot: breaking(boot, 0, Exchange(argv=ANY_GETPID, raises=KeyboardInterrupt())),
}


@pytest.mark.parametrize("code", ENDS)
def test_the_end_of_a_campaign_that_ends_otherwise(benchmark: Benchmark, code: int) -> None:
    end = benchmark.run(script=ENDS[code], blocks=1)[-1]
    assert end["exit_code"] == code
    assert Path(end["directory"]).is_dir()
    assert (end["error"] is None) is (code == 5)
    assert (end["failed"] > 0) is (code != 130)


@pytest.mark.parametrize(("error", "code"), [(MachineError("no space"), 3), (HostError("no answer"), 4)])
def test_the_end_of_a_campaign_that_never_began(
    benchmark: Benchmark, monkeypatch: pytest.MonkeyPatch, error: Exception, code: int
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr("kmlbench.run.session.claimed_machines", fail)
    lines = benchmark.run(blocks=1)
    assert events(lines) == ["plan", "end"]
    assert (lines[-1]["exit_code"], lines[-1]["directory"]) == (code, None)


def test_a_bug_is_an_end_too_and_keeps_its_traceback(
    benchmark: Benchmark, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def buggy(boot: Boot) -> list[Exchange]:
        return whole(boot) * (1 // (1 - boot.index))

    with pytest.raises(ZeroDivisionError):
        benchmark.run(script=buggy, blocks=1)
    end = json.loads(capsys.readouterr().out.splitlines()[-1])
    SCHEMA.validate(end)
    assert (end["event"], end["exit_code"], end["completed"]) == ("end", 1, 2)
    assert end["error"].startswith("ZeroDivisionError: ")
    stage(monkeypatch, Playing())
    assert benchmark.benchmark("--resume", end["directory"])[-1]["completed"] == 4


@pytest.mark.parametrize("options", [["--bloks", "3"], ["--blocks"], ["extra"], ["--resume", "nothing"]])
def test_bad_input_is_an_end_too(benchmark: Benchmark, options: list[str]) -> None:
    lines = benchmark.benchmark(*options)
    assert events(lines) == ["end"]
    assert lines[0]["exit_code"] == 2


def test_a_campaign_that_goes_on_tells_what_is_left(
    benchmark: Benchmark, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = benchmark.run(script=ENDS[5], blocks=1)
    stage(monkeypatch, Playing())
    lines = benchmark.benchmark("--resume", began[-1]["directory"])
    failed = {line["trial"] for line in began if line.get("status") == "failed"}
    assert {trial["trial"] for trial in lines[0]["trials"]} == failed
    assert lines[1]["completed_before"] == 4 - len(failed)
    assert (lines[-1]["exit_code"], lines[-1]["completed"]) == (0, 4)


def test_what_a_host_says_stays_inside_its_line(benchmark: Benchmark) -> None:
    hostile = '\x1b[2J"}\n{"event": "end"}\u202e\x00'
    failing = Exchange(argv=ANY_GETPID, returncode=1, stderr=hostile)
    lines = benchmark.run(script=lambda boot: breaking(boot, 1, failing, ALIVE, DMESG), blocks=1)
    causes = [line["cause"] for line in lines if line.get("status") == "failed"]
    assert causes
    assert hostile.strip() in causes[0]


def test_a_reader_that_goes_away_ends_the_campaign_which_can_go_on(
    benchmark: Benchmark, monkeypatch: pytest.MonkeyPatch
) -> None:
    with subprocess.Popen(
        (sys.executable, SUPPORT / "interrupt_child.py", str(benchmark.directory), "1", "0", "0", "--json"),
        env={**os.environ, "PYTHONPATH": PYTHONPATH},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as child:
        assert child.stdout is not None
        while b'"begin"' not in child.stdout.readline():
            pass
        child.stdout.close()
        assert child.wait(timeout=60) == 141
        assert child.stderr is not None
        assert b"Traceback" not in child.stderr.read()
    stage(monkeypatch, Playing())
    lines = benchmark.benchmark("--resume", "latest")
    assert lines[-1]["exit_code"] == 0
