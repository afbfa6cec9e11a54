# SPDX-License-Identifier: MIT
"""`kmlbench try` refuses what cannot be tried before anything is started, and says what to do instead."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from support.played_machines import ready
from support.programs import compiled, library, search_options

from kmlbench.cli.main import main
from kmlbench.errors import HostError, TrialError
from kmlbench.hosts.base import Booted, Ready
from kmlbench.model import Boot
from kmlbench.results import reader
from kmlbench.run import session

WHOLE = ["--server", "guest:sleep 60", "--ready", "x", "--", "guest:true"]


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory, and machines that nobody may ask for."""

    def claimed(*arguments: object, **options: object) -> None:
        raise AssertionError(f"the machines were claimed: {arguments} {options}")

    monkeypatch.setattr(session, "claimed_machines", claimed)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(*words: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["try", *words]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    return output.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--", "./absent"], "absent does not exist"),
        (["--blocks", "0", "--", "guest:true"], "--blocks: '0' is not a number from 1 to 1000"),
        (["--rounds", "x", "--", "guest:true"], "--rounds: 'x' is not a number from 1 to 1000"),
        (["--port", "70000", *WHOLE], "--port: '70000' is not a number from 1 to 65535"),
        (["--port", "1", *WHOLE], "--ready: not allowed with argument --port"),
        (["--ready", "x", "--", "guest:true"], "there is none: add --server"),
        (["--server", "", "--port", "1", "--", "guest:true"], "--server: there is no program in it"),
        (
            ["--server", "guest:cat '", "--", "guest:true"],
            '--server: "guest:cat \'" cannot be split into words',
        ),
        (["--server", "guest:sleep 60", "--", "guest:true"], "--server: it is not known when it is ready"),
        (["--server", "guest:sleep", "--port", "1", "--", "/bin/true"], "write guest: before both of them"),
        (["--", "guest:/etc/passwd"], "a program of the guest lies in its /usr/bin"),
        (["--hosts", "absent.yaml", "--", "guest:true"], "absent.yaml: cannot be read"),
        (["--no-such-option", "--", "guest:true"], "--no-such-option: unknown option"),
        ([], "the following arguments are required: PROGRAM"),
    ],
)
def test_bad_words_are_refused(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert said in refused(*words, capsys=capsys)


def test_a_program_for_another_architecture(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = compiled(place / "says")
    program.write_bytes(program.read_bytes()[:18] + struct.pack("<H", 183) + program.read_bytes()[20:])
    said = refused("--", "./says", capsys=capsys)
    assert "says is for AArch64 with 64 bits, and the kernels are for x86-64" in said
    assert "remedy: give a program that was built for x86-64" in said


def test_all_missing_libraries_at_once(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parts = [library(place / "parts", f"lib{name}.so") for name in ("one", "two")]
    compiled(place / "says", *search_options(parts, paths="", old=False))
    said = refused("--", "./says", capsys=capsys)
    assert "needs libone.so, which is not on this machine" in said
    assert "needs libtwo.so, which is not on this machine" in said
    assert "remedy: install the package that has it, or add its directory to LD_LIBRARY_PATH" in said


def test_a_name_in_several_places(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b"):
        compiled(place / name / "says", f"-DNAME={name}")
    monkeypatch.setenv("PATH", f"{place / 'a'}:{place / 'b'}:/usr/bin:/bin")
    said = refused("--", "says", capsys=capsys)
    assert f"2 different programs are called 'says': {place / 'a/says'}, {place / 'b/says'}" in said


def lost(planned: Boot, directory: Path) -> AbstractContextManager[Booted]:
    assert directory.is_dir()
    raise HostError(f"boot {planned.index} ({planned.kernel}) ended: panic")


def test_a_guest_that_is_lost_without_kernel_mode_ends_the_campaign(
    place: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The KML kernel's may be the program's doing, the stock kernel's will be lost in every block."""

    @contextmanager
    def claimed(*arguments: object, **options: object) -> Iterator[Ready]:
        del arguments, options
        yield ready(lost)

    monkeypatch.setattr(session, "claimed_machines", claimed)
    assert main(["try", "--blocks", "1", "--", "/bin/true"]) == TrialError.exit_code
    said = capsys.readouterr().err
    assert re.search(r"from stock:/\w+, where it runs in user mode: boot [01] \(stock\) ended: panic", said)
    stored = reader.read_campaign(place / "results/latest")
    assert {failed.stage for failed in stored.failed} == {"boot"}
    assert stored.campaign.options["try"].startswith("--blocks 1 ")
    assert (stored.directory / "raw/functions-libc.so.6.gz").exists()


def test_nothing_is_left_of_what_was_refused(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refused("--", "./absent", capsys=capsys)
    assert list(place.iterdir()) == []
