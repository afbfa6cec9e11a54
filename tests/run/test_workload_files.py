# SPDX-License-Identifier: MIT
"""A workload is added by a TOML file alone: run, reported, verified, resumed and read without the file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from support import host_sessions as sessions
from support import rounds
from support.fake_host import Exchange
from support.played_machines import DMESG, RELEASES, Playing, hosts_file, stage

import kmlbench
from kmlbench.cli.main import main as kmlbench_main
from kmlbench.cli.main import run_benchmark
from kmlbench.config.campaign import load_config
from kmlbench.config.workloadfile import read_workload_file
from kmlbench.model import Boot
from kmlbench.paths import WORKLOADS
from kmlbench.results import reader
from kmlbench.run import setup
from kmlbench.workloads.program import ProgramWorkload

TEXT = """\
about = "sums"
unit = "number"
packages = ["a-sum"]
trusted = ["lib/sum/*"]
prepare = [["/usr/bin/true", "{directory}"]]

[files]
numbers = "1 2 3"

[client]
argv = ["{prefix}/bin/sum", "{directory}/numbers", "{work}"]
work = [10, 30]
rounds = 2
expect = ['^{work} numbers$']

[[readings]]
metric = "throughput"
pattern = '^([0-9]+) numbers$'

[[checks]]
argv = ["/usr/bin/check-sum"]
expect = 'numbers'
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "sums.toml"
    path.write_text(TEXT)
    return path


def session(file: Path, text: str = "{work} numbers\n") -> Callable[[Boot], list[Exchange]]:
    """Boots in which every trial is one of the file's."""
    workload = ProgramWorkload(read_workload_file(file))

    def play(boot: Boot) -> list[Exchange]:
        release = RELEASES[boot.kernel]
        trials = [
            exchange
            for trial in boot.trials
            for exchange in rounds.measured(workload, trial.variant, release=release, text=text)
        ]
        return [*sessions.inspecting(release=release, measured=("bin/sum",)), *trials, DMESG]

    return play


def benchmark(directory: Path, *arguments: str) -> int:
    hosts = hosts_file(directory, blocks=2)
    return run_benchmark(["--hosts", str(hosts), "--results", str(directory / "results"), *arguments])


def test_a_file_is_all_that_a_workload_needs(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stage(monkeypatch, Playing(script=session(file)))
    assert benchmark(tmp_path, "--workload", str(file)) == 0
    file.unlink()
    latest = tmp_path / "results/latest"
    assert kmlbench_main(["verify", str(latest)]) == 0, capsys.readouterr().err
    frame = kmlbench.load(latest)
    assert set(frame["workload"]) == {"sums"}
    assert {"throughput", "cpu_total", "wall"} <= set(frame["metric"])
    assert set(frame.loc[frame["metric"] == "throughput", "value"]) == {30.0}
    document = json.loads((latest / "campaign.json").read_text())
    assert 'unit = "number"' in document["definitions"]["sums"]
    assert "sums" in (latest / "report.html").read_text()


def test_it_runs_besides_the_others_if_they_are_named(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert benchmark(tmp_path, "--workload", str(file), "--workloads", "getpid", "--dry-run") == 0
    planned = capsys.readouterr().out
    assert planned.count("-sums\n") == planned.count("-getpid\n") == 8
    assert "the image with mysql, a-sum" in planned


@pytest.mark.parametrize("given", ["redis_get", str(WORKLOADS / "redis_get.toml")])
def test_one_of_the_package_runs_by_its_name_or_its_path(
    given: str, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = hosts_file(tmp_path, blocks=2)
    path.write_text(path.read_text().replace("blocks: 2", f"blocks: 2, workload_files: [{file.name}]"))
    arguments = ["--hosts", str(path), "--dry-run", "--workload", given]
    assert run_benchmark(arguments) == 0
    alone = capsys.readouterr().out
    assert (alone.count("-redis_get\n"), alone.count("-sums\n"), alone.count("-getpid\n")) == (8, 0, 0)
    assert run_benchmark([*arguments, "--workload", str(file), "--workloads", "getpid"]) == 0
    besides = capsys.readouterr().out
    assert besides.count("-redis_get\n") == besides.count("-sums\n") == besides.count("-getpid\n") == 8


def test_a_name_that_no_workload_has_and_a_copy_with_a_name_that_one_has_are_faults(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert benchmark(tmp_path, "--workload", "redis_gte") == 2
    assert "unknown: 'redis_gte'; did you mean 'redis_get'?" in capsys.readouterr().err
    copy = tmp_path / "redis_get.toml"
    copy.write_bytes((WORKLOADS / "redis_get.toml").read_bytes())
    assert benchmark(tmp_path, "--workload", str(copy)) == 2
    assert "there is a workload 'redis_get' already" in capsys.readouterr().err


def test_its_packages_and_programs_are_in_the_image_of_the_campaign(file: Path, tmp_path: Path) -> None:
    path = hosts_file(tmp_path, blocks=2)
    path.write_text(path.read_text().replace("blocks: 2", f"blocks: 2, workload_files: [{file.name}]"))
    extras = setup.extras(load_config(path).campaign)
    assert (extras.packages, extras.trusted) == (("a-sum",), ("bin/sum", "lib/sum/*"))


def test_faults_of_a_file_are_told_before_anything_starts(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_text(TEXT.replace("rounds = 2", "rounds = 0").replace('sum", "{directory}', 'sum", "{dir}'))
    assert benchmark(tmp_path, "--workload", str(file), "--blocks", "0") == 2
    told = capsys.readouterr().err
    assert f"{file}:11: client: argv: unknown placeholder {{dir}}" in told
    assert f"{file}:13: client: rounds: 0 is not between 1 and 1000" in told
    assert "--blocks" in told
    assert not (tmp_path / "results").exists()


def test_a_wrong_answer_fails_its_trials(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    answers = session(file, "{work} words\n")

    def failing(boot: Boot) -> list[Exchange]:
        """After each failed trial the host is asked whether it lives, and not for its privilege."""
        alive = Exchange(argv=("true",))
        return [alive if each.argv[0].endswith("/cpl") else each for each in answers(boot)]

    stage(monkeypatch, Playing(script=failing))
    assert benchmark(tmp_path, "--workload", str(file)) == 5
    stored = reader.read_campaign(tmp_path / "results/latest")
    assert {outcome.stage for outcome in stored.failed} == {"check"}
    assert "did not print '^10 numbers$'" in stored.failed[0].cause


def test_a_resumption_has_the_workload_as_it_was_begun(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    play = session(file)
    lost = Exchange(argv=("*",) * 40)

    def breaking(boot: Boot) -> list[Exchange]:
        return play(boot) if boot.index < 2 else [*play(boot)[:3], lost]

    playing = Playing(script=breaking)
    stage(monkeypatch, playing)
    with pytest.raises(AssertionError):
        benchmark(tmp_path, "--workload", str(file))
    file.write_text("not TOML")
    playing.script = play
    latest = str(tmp_path / "results/latest")
    assert run_benchmark(["--resume", latest, "--results", str(tmp_path / "results")]) == 0
    stored = reader.read_campaign(Path(latest))
    assert not stored.missing
    assert set(stored.own) == {"sums"}
