# SPDX-License-Identifier: MIT
"""Standard output and error that cannot be written: told once, with a remedy, and nothing is damaged."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

import pytest
from support.paths import PYTHONPATH, REPOSITORY
from support.played_machines import Playing, stage
from support.synthetic_campaigns import stored_campaign

from kmlbench.cli.main import main, run_benchmark
from kmlbench.results import reader

HOSTS = str(REPOSITORY / "hosts.yaml")
FULL = "standard output could not be written: No space left on device"
REMEDY = "  remedy: redirect it to a terminal, a pipe or a disk with free space, then run again\n"

# Standard output is full from the second trial on: DIRECTORY PAIRS [OPTIONS…].
FILLING = """
import os, sys
from pathlib import Path
import pytest
from support import played_machines
from kmlbench.run import trial
from kmlbench.cli.main import run_benchmark

class Filling(played_machines.Played):
    def run(self, argv, **more):
        if argv[0] == trial.MEASURE and not any(one.argv[0] == trial.MEASURE for one in self.script[1:]):
            os.dup2(os.open("/dev/full", os.O_WRONLY), 1)
        return super().run(argv, **more)

directory, pairs = Path(sys.argv[1]), int(sys.argv[2])
patch = pytest.MonkeyPatch()
played_machines.stage(patch, played_machines.Playing())
patch.setattr(played_machines, "Played", Filling)
hosts = played_machines.hosts_file(directory, blocks=2 * pairs, pairs=pairs)
sys.exit(run_benchmark(["--hosts", str(hosts), "--results", str(directory / "results"), *sys.argv[3:]]))
"""


@pytest.fixture
def full() -> Iterator[TextIO]:
    """What every write to fails, sooner or later."""
    with Path("/dev/full").open("w") as stream:
        yield stream


@pytest.mark.parametrize(
    "words", [["--dry-run"], ["--dry-run", "--json"], ["--help"], ["--version"]], ids=" ".join
)
def test_a_full_disk_below_standard_output(
    full: TextIO, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], words: Sequence[str]
) -> None:
    monkeypatch.setattr(sys, "stdout", full)
    assert run_benchmark(["--hosts", HOSTS, *words]) == 3
    assert capsys.readouterr().err == f"run-benchmark: {FULL}\n{REMEDY}"


@pytest.mark.slow
def test_a_full_disk_below_a_verb(full: TextIO, tmp_path: Path) -> None:
    """To the end of its process, where Python looks once more whether everything is written."""
    program = "import sys; from kmlbench.cli.main import main; sys.exit(main())"
    words = ("plan", str(stored_campaign(tmp_path)), "--half-width", "1%")
    ran = subprocess.run(
        (sys.executable, "-c", program, *words), stdout=full, stderr=subprocess.PIPE, text=True, check=False
    )
    assert ran.returncode == 3
    assert ran.stderr.endswith(f"\nkmlbench: {FULL}\n{REMEDY}")


def test_an_error_has_its_exit_code_though_its_last_line_cannot_be_written(
    full: TextIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", full)
    assert run_benchmark(["--json", "--bloks"]) == 2


@pytest.mark.parametrize("closed", [False, True])
def test_standard_error_that_nobody_can_read(
    full: TextIO, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, closed: bool
) -> None:
    """Full, it ends things; closed by the caller, it is not wanted."""
    monkeypatch.setattr(sys, "stderr", None if closed else full)
    assert main(["report", str(tmp_path)]) == (2 if closed else 3)


def test_what_an_encoding_does_not_have_is_escaped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (tmp_path / "told").open("w", encoding="ascii") as stream:
        monkeypatch.setattr(sys, "stdout", stream)
        assert main(["plan", str(stored_campaign(tmp_path)), "--half-width", "0.5%"]) == 0
    assert "now \\xb10.48 % with 3 blocks" in (tmp_path / "told").read_text()


@pytest.mark.slow
@pytest.mark.parametrize("pairs", [1, 2])
def test_a_campaign_whose_output_fills_a_disk_keeps_its_trials_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pairs: int
) -> None:
    """The trial whose end could not be told is stored, and so is the kernel's log of its boot."""
    ran = subprocess.run(
        (sys.executable, "-c", FILLING, str(tmp_path), str(pairs), "--json"),
        env={**os.environ, "PYTHONPATH": PYTHONPATH},
        capture_output=True,
        text=True,
        check=False,
    )
    (directory,) = (path.parent for path in (tmp_path / "results").glob("2*/campaign.json"))
    assert ran.returncode == 3
    assert f"run-benchmark: {FULL}\n{REMEDY}  what was measured is in {directory}" in ran.stderr
    assert "Traceback" not in ran.stderr
    stored = reader.read_campaign(directory)
    assert len(stored.completed) >= 2
    assert stored.notes == ()
    assert (directory / "raw" / "boot-0000" / "dmesg").exists()

    stage(monkeypatch, Playing())
    assert run_benchmark(["--results", str(directory.parent), "--resume", str(directory)]) == 0
    stored = reader.read_campaign(directory)
    assert {outcome.trial for outcome in stored.completed} == set(stored.campaign.plan)
    assert main(["verify", str(directory)]) == 0
