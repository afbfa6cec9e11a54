# SPDX-License-Identifier: MIT
"""The two commands: their faults, exit codes and outputs, and that docs/commands.md has every option."""

from __future__ import annotations

import argparse
import io
import re
import shutil
import subprocess
import sys
from collections import Counter
from importlib import metadata
from pathlib import Path

import pytest
from support.paths import REPOSITORY
from support.ssh_server import new_key
from support.synthetic_campaigns import build

from kmlbench import provenance
from kmlbench.cli import main as cli
from kmlbench.cli.main import main, run_benchmark
from kmlbench.cli.parser import option_names
from kmlbench.cli.programs import benchmark_parser, kmlbench_parser
from kmlbench.cli.progress.display import shown
from kmlbench.cli.progress.plain import Plain
from kmlbench.errors import (
    BuildError,
    DifferenceError,
    HostError,
    KmlbenchError,
    MachineError,
    ProofError,
    TrialError,
)
from kmlbench.hosts.kind_ssh import SshHostSpec
from kmlbench.report import write
from kmlbench.run import preflight

HOSTS = str(REPOSITORY / "hosts.yaml")


@pytest.fixture
def nothing_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that gets as far as the machine has failed."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("something was started")

    monkeypatch.setattr(preflight, "check_machine", refuse)


@pytest.mark.parametrize("option", [*option_names(benchmark_parser()), *option_names(kmlbench_parser())])
def test_the_page_of_commands_has_every_option(option: str) -> None:
    if option not in {"-h", "--help"}:
        page = (REPOSITORY / "docs/commands.md").read_text()
        assert re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", page)


@pytest.mark.usefixtures("nothing_starts")
def test_every_fault_of_options_and_file_is_told_at_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hosts = tmp_path / "hosts.yaml"
    hosts.write_text(Path(HOSTS).read_text().replace("cpu_model: max", "cpu_modell: max", 1))
    options = [
        "--bloks",
        "--blocks",
        "0",
        "--workloads",
        "getpid,sysbench",
        "--clock",
        "fast",
        "--kernel",
        "7.1",
        "--scale",
        "x",
    ]
    assert run_benchmark(["--hosts", str(hosts), *options, "--server", "postgres"]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    for fault in (
        "--bloks: unknown option; did you mean --blocks?",
        "--blocks: campaign: blocks: 0 is not between 1 and 1000",
        "--workloads: campaign: workloads: unknown: 'sysbench'",
        "--clock: unknown: 'fast'; known: instructions, time",
        "--kernel: unknown: '7.1'; did you mean '7.2'?",
        "--scale: campaign: scale: must be a number",
        "--server: campaign: server: unknown: 'postgres'",
        "host 'stock': the key 'cpu_model' is missing",
        "unknown key; did you mean 'cpu_model'?",
    ):
        assert fault in printed.err
    assert "Traceback" not in printed.err


@pytest.mark.parametrize("arguments", [["--blocks"], ["extra"], ["--block", "3"]])
@pytest.mark.usefixtures("nothing_starts")
def test_unknown_arguments_and_missing_values(arguments: list[str]) -> None:
    assert run_benchmark(["--hosts", HOSTS, *arguments]) == 2


@pytest.mark.parametrize(
    "arguments", [[], ["nonsense"], ["report"], ["kernel", "build", "other"], ["report", "a", "b"]]
)
def test_bad_verbs(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert "--help" in capsys.readouterr().err


@pytest.mark.usefixtures("nothing_starts")
def test_a_dry_run_prints_the_plan_and_starts_nothing(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    options = ["--blocks", "1", "--seed", "5", "--workloads", "getpid,wisconsin", "--dry-run"]
    assert run_benchmark(["--hosts", HOSTS, *options]) == 0
    *lines, summary = capsys.readouterr().out.splitlines()
    assert [line[:5] for line in lines[:8]] == [f"{position:04d}-" for position in range(8)]
    text = "\n".join(lines[8:])
    for sentence in (
        "pair 1: the stock kernel on the guest stock (Linux 6.12, 1536 MiB, processors: 1), the kml kernel",
        "built first, since not in the cache: the stock kernel 6.12, the kml kernel 6.12, the image with",
        "the question: kml:/trusted against stock:/usr, by cpu_total of wisconsin",
        "results: a new directory below results",
        "the time is a guess",
    ):
        assert sentence in text
    assert "it may end" not in text
    assert "draws its own" not in text
    assert summary.startswith("8 trials in 2 boots, about ")
    assert summary.endswith("; seed 5")


@pytest.mark.usefixtures("nothing_starts")
def test_a_dry_run_has_a_trial_for_each_level(capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--workloads", "getpid,oltp_insert", "--threads", "1,4", "--blocks", "1", "--dry-run"]
    assert run_benchmark(["--hosts", HOSTS, *options]) == 0
    printed = capsys.readouterr().out
    workloads = Counter(line.rsplit("-", 1)[1] for line in printed.splitlines() if re.match(r"\d{4}-", line))
    assert workloads == {"getpid": 4, "oltp_insert": 4, "oltp_insert_4_threads": 4}
    assert "by cpu_total of getpid" in printed


@pytest.mark.usefixtures("nothing_starts")
def test_a_dry_run_has_a_trial_for_each_transport(capsys: pytest.CaptureFixture[str]) -> None:
    options = [
        "--workloads",
        "getpid,oltp_insert",
        "--transports",
        "tls,socket",
        "--blocks",
        "1",
        "--dry-run",
    ]
    assert run_benchmark(["--hosts", HOSTS, *options]) == 0
    printed = capsys.readouterr().out
    workloads = Counter(line.rsplit("-", 1)[1] for line in printed.splitlines() if re.match(r"\d{4}-", line))
    assert workloads == {"getpid": 4, "oltp_insert": 4, "oltp_insert_tls": 4}


@pytest.mark.usefixtures("nothing_starts")
@pytest.mark.parametrize("transports", ["udp", "tls,tls", "", "tls,", "1"])
def test_transports_that_cannot_be(capsys: pytest.CaptureFixture[str], transports: str) -> None:
    assert run_benchmark(["--hosts", HOSTS, "--dry-run", "--transports", transports]) == 2
    assert "--transports: campaign: transports: " in capsys.readouterr().err


@pytest.mark.usefixtures("nothing_starts")
@pytest.mark.parametrize("threads", ["0", "4,4", "many", "1,151", "1,", "1.5"])
def test_levels_that_cannot_be(capsys: pytest.CaptureFixture[str], threads: str) -> None:
    assert run_benchmark(["--hosts", HOSTS, "--dry-run", "--threads", threads]) == 2
    assert "--threads: campaign: threads: " in capsys.readouterr().err


@pytest.mark.usefixtures("nothing_starts")
@pytest.mark.parametrize(
    ("options", "cell"), [(["--control"], "stock-usr"), (["--control", "kml:/trusted"], "kml-trusted")]
)
def test_a_control_plans_one_cell_twice(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    cell: str,
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    more = ["--blocks", "2", "--seed", "5", "--workloads", "getpid", "--dry-run"]
    assert run_benchmark(["--hosts", HOSTS, *more, *options]) == 0
    *lines, summary = capsys.readouterr().out.splitlines()
    kernel = cell.partition("-")[0]
    guest = f"{kernel} (Linux 6.12, 1536 MiB, processors: 1)"
    assert f"pair 1: the {kernel} kernel on the guest {guest}" in lines
    built = f"built first, since not in the cache: the {kernel} kernel 6.12, the image with mysql"
    assert built in lines
    trials = [line for line in lines if re.match(r"\d{4}-", line)]
    assert trials == [f"{position:04d}-{cell}-getpid" for position in range(4)]
    assert summary.startswith("4 trials in 4 boots")


@pytest.mark.usefixtures("nothing_starts")
def test_a_campaign_of_another_linux_is_of_it_on_both_sides(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert run_benchmark(["--hosts", HOSTS, "--dry-run", "--kernel", "7.2"]) == 0
    printed = capsys.readouterr().out
    for name in ("stock", "kml"):
        assert f"the {name} kernel on the guest {name} (Linux 7.2, 1536 MiB" in printed
        assert f"the {name} kernel 7.2, " in printed
    assert "6.12" not in printed


@pytest.mark.usefixtures("nothing_starts")
def test_machines_that_run_have_the_linux_that_they_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hosts = real_hosts(tmp_path)
    assert run_benchmark(["--hosts", str(hosts), "--dry-run", "--kernel", "7.2"]) == 2
    fault = "--kernel: host 'stock' is a machine that is already running: it has a kernel"
    assert fault in capsys.readouterr().err


@pytest.mark.usefixtures("nothing_starts")
def test_a_dry_run_names_real_hosts_and_the_rule(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    hosts = real_hosts(tmp_path)
    assert run_benchmark(["--hosts", str(hosts), "--dry-run", "--stop-at", "0.5%", "--control"]) == 0
    printed = capsys.readouterr().out
    assert "pair 1: the stock kernel on stock (192.0.2.1)\n" in printed
    assert "cache" not in printed
    assert "built" not in printed
    assert "the question: stock:/usr B against stock:/usr A, by cpu_total of getpid" in printed
    assert "it may end after 6 blocks, and every 2 more, once the interval is within ±0.5 %" in printed


def real_hosts(directory: Path, *, reboot: bool = False) -> Path:
    """A hosts.yaml of two machines that run."""
    keys = [
        new_key(directory, name).with_name(f"{name}.pub").read_text().strip() for name in ("key", "other")
    ]
    host = (
        "  {0}: {{kind: ssh, kernel: {0}, address: 192.0.2.{1}, port: 22, user: root, key: key, "
        "host_key: {3}, reboot: {2}}}\n"
    )
    hosts = directory / "hosts.yaml"
    campaign = "campaign: {stock: stock, kml: kml, server: mysql, workloads: [getpid], blocks: 9, scale: 1}\n"
    listed = "".join(
        host.format(name, last, str(reboot).lower(), keys[last - 1])
        for last, name in enumerate(("stock", "kml"), start=1)
    )
    hosts.write_text(f"hosts:\n{listed}{campaign}")
    return hosts


@pytest.mark.usefixtures("nothing_starts")
def test_a_control_needs_no_login_of_the_kernel_that_it_does_not_boot(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hosts = real_hosts(tmp_path)
    stock, kml = hosts.read_text().split("  kml:", 1)
    hosts.write_text(f"{stock}  kml:{kml.replace('key: key', 'key: nokey', 1)}")
    command = ["--hosts", str(hosts), "--dry-run"]
    assert run_benchmark([*command, "--control", "stock:/usr"]) == 0
    for options in ([], ["--control", "kml:/usr"]):
        assert run_benchmark([*command, *options]) == 2
        assert "nokey" in capsys.readouterr().err


@pytest.mark.usefixtures("nothing_starts")
def test_a_dry_run_says_what_a_boot_of_a_real_host_is(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text = {
        True: "the hosts are rebooted for each boot of the plan",
        False: "the hosts are not rebooted: a boot of the plan is a connection to the running kernel",
    }
    for reboot in (True, False):
        (directory := tmp_path / str(reboot)).mkdir()
        assert run_benchmark(["--hosts", str(real_hosts(directory, reboot=reboot)), "--dry-run"]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert text[reboot] in lines
        assert text[not reboot] not in lines


def test_a_control_on_real_hosts_asks_the_one_that_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def connection(spec: SshHostSpec, *_: object) -> None:
        asked.append(spec.name)
        raise HostError("the host does not answer")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(SshHostSpec, "connection", connection)
    options = ["--hosts", str(real_hosts(tmp_path)), "--results", str(tmp_path / "results")]
    assert run_benchmark([*options, "--control", "kml:/usr"]) == 4
    assert asked == ["kml"]


@pytest.mark.usefixtures("nothing_starts")
@pytest.mark.parametrize(
    ("options", "fault"),
    [
        (["--stop-at", "1"], "--stop-at: '1' is not a percentage between 0 and 100, such as 0.5%"),
        (["--stop-at", "1%", "--blocks", "6"], "--stop-at: the first look is after 6 blocks"),
        (
            ["--control", "kml:trusted"],
            "--control: unknown cell: 'kml:trusted'; did you mean 'kml:/trusted'?",
        ),
    ],
)
def test_a_design_that_cannot_be_is_told(
    capsys: pytest.CaptureFixture[str], options: list[str], fault: str
) -> None:
    assert run_benchmark(["--hosts", HOSTS, *options]) == 2
    assert fault in capsys.readouterr().err


@pytest.mark.usefixtures("nothing_starts")
def test_a_seed_is_drawn_when_none_is_given(capsys: pytest.CaptureFixture[str]) -> None:
    seeds = set()
    for _ in range(3):
        run_benchmark(["--hosts", HOSTS, "--dry-run"])
        lines = capsys.readouterr().out.splitlines()
        seed = lines[-1].rpartition(" ")[2]
        assert (
            f"this order was drawn at random, and a run draws another: --seed {seed} gives this one" in lines
        )
        seeds.add(seed)
    assert len(seeds) == 3


@pytest.mark.slow
def test_a_report_is_written_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    directory = build(tmp_path)
    assert main(["report", str(directory)]) == 0
    assert capsys.readouterr().out.splitlines() == [str(directory / "report.html")]
    assert (directory / "report.html").stat().st_size < 5_000_000


def test_a_report_of_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["report", str(tmp_path)]) == 2
    assert "remedy: give the directory of a campaign" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (KmlbenchError("broken"), 1),
        (MachineError("no QEMU", remedy="install it"), 3),
        (BuildError("a patch does not apply"), 3),
        (HostError("the host is gone"), 4),
        (TrialError("it failed", stage="run"), 5),
        (ProofError("another cell"), 6),
        (DifferenceError("another number"), 7),
        (KeyboardInterrupt("what was measured is in results/x"), 130),
    ],
)
def test_errors_become_exit_codes_without_a_traceback(
    error: BaseException, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> Path:
        raise error

    monkeypatch.setattr(write, "write_report", fail)
    assert main(["report", "anywhere"]) == code
    printed = capsys.readouterr().err
    assert str(error) in printed
    assert "Traceback" not in printed


def test_a_bug_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> Path:
        raise ZeroDivisionError

    monkeypatch.setattr(write, "write_report", fail)
    with pytest.raises(ZeroDivisionError):
        main(["report", "anywhere"])


def test_no_qemu_is_told_with_a_remedy_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    which = shutil.which
    monkeypatch.setattr(shutil, "which", lambda name, **more: None if "qemu" in name else which(name, **more))
    assert run_benchmark(["--hosts", HOSTS, "--results", str(tmp_path / "results")]) == 3
    printed = capsys.readouterr().err
    assert "qemu-system-x86_64 is not installed on this machine" in printed
    assert "remedy: run `make setup`" in printed
    assert not (tmp_path / "results").exists()


def test_plain_progress_is_lines() -> None:
    stream = io.StringIO()
    with shown(stream) as progress:
        assert isinstance(progress, Plain)
        progress.stage("campaign", total=20)
        for _ in range(20):
            progress.advance()
        progress.note("a note")
        progress.stage("report")
    lines = stream.getvalue().splitlines()
    assert lines[0] == "[0:00] campaign, 20 to do"
    assert lines[1].startswith("[0:00] campaign: 2 of 20, about 0:00 left")
    assert lines[-2:] == ["[0:00] a note", "[0:00] report"]
    assert len(lines) == 13


def test_progress_on_a_terminal_shows_the_stage_and_the_time_left() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    with shown(stream) as progress:
        progress.stage("campaign", total=2)
        progress.advance()
        progress.note("[stock] is not markup")
    assert "campaign" in stream.getvalue()
    assert "1/2" in stream.getvalue()
    assert "[stock] is not markup" in stream.getvalue()


@pytest.mark.slow
@pytest.mark.parametrize("program", ["main", "run_benchmark"])
@pytest.mark.parametrize("word", ["report", "--help", "--dry-run"])
def test_copied_without_its_data_it_says_so(tmp_path: Path, program: str, word: str) -> None:
    ran = elsewhere(tmp_path, program, word)
    assert (ran.returncode, ran.stdout) == (3, "")
    assert "this copy of the package lacks its data: " in ran.stderr
    assert (
        "remedy: install kmlbench from its wheel or its checkout (pip install), or run it in a checkout"
        in ran.stderr
    )
    assert "Traceback" not in ran.stderr


def elsewhere(place: Path, program: str, *words: str) -> subprocess.CompletedProcess[str]:
    """What a command says whose package lies in this directory."""
    shutil.copytree(REPOSITORY / "kmlbench", place / "kmlbench")
    return subprocess.run(
        (
            sys.executable,
            "-c",
            f"import sys; from kmlbench.cli.main import {program}; sys.exit({program}())",
            *words,
        ),
        cwd=place,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("parser", [benchmark_parser(), kmlbench_parser()], ids=lambda parser: parser.prog)
def test_the_version_of_package_and_source(
    parser: argparse.ArgumentParser, capsys: pytest.CaptureFixture[str]
) -> None:
    program = {"kmlbench": main, "run-benchmark": run_benchmark}[parser.prog]
    with pytest.raises(SystemExit, match="0"):
        program(["--version"])
    version = re.escape(provenance.package_version())
    result = rf"{parser.prog} {version}, source ([0-9a-f]{{40}}(-dirty-[0-9a-f]{{12}})?|unknown)\n"
    assert re.fullmatch(result, capsys.readouterr().out)


@pytest.mark.slow
def test_the_version_of_a_tree_that_is_no_repository(tmp_path: Path) -> None:
    """Also where it lies in somebody else's."""
    tree = tmp_path / "tree"
    shutil.copytree(REPOSITORY / "workloads", tree / "workloads")
    other = ("git", "-C", str(tmp_path), "-c", "user.name=n", "-c", "user.email=e")
    subprocess.run((*other, "init", "--quiet"), check=True)
    subprocess.run((*other, "commit", "--quiet", "--allow-empty", "--message=other"), check=True)
    ran = elsewhere(tree, "main", "--version")
    assert (ran.returncode, ran.stdout) == (0, f"kmlbench {metadata.version('kmlbench')}, source unknown\n")


def test_the_console_scripts_are_these_functions() -> None:
    text = (REPOSITORY / "pyproject.toml").read_text()
    assert 'kmlbench = "kmlbench.cli.main:main"' in text
    assert 'run-benchmark = "kmlbench.cli.main:run_benchmark"' in text
    assert cli.main is main
    assert cli.run_benchmark is run_benchmark
