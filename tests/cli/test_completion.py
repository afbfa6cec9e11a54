# SPDX-License-Identifier: MIT
"""Manual pages and completions: they know what the parsers know, and real shells complete with them."""

from __future__ import annotations

import argparse
import os
import pty
import re
import select
import subprocess
import time
from collections.abc import Iterator
from contextlib import redirect_stdout
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from support.paths import REPOSITORY

from kmlbench import errors
from kmlbench.cli.interrupts import INTERRUPTED
from kmlbench.cli.main import HUNG_UP, main
from kmlbench.cli.parser import option_names
from kmlbench.cli.programs import benchmark_parser, kmlbench_parser
from kmlbench.workloads.registry import ADAPTERS

COMMANDS = (REPOSITORY / "docs/commands.md").read_text()


def verbs(parser: argparse.ArgumentParser) -> Iterator[str]:
    """The verbs of a command, with those below them: `host check`."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, inner in action.choices.items():
                below = [f"{name} {verb}" for verb in verbs(inner)]
                yield from below or [name]


PARSERS = {"run-benchmark": benchmark_parser(), "kmlbench": kmlbench_parser()}
ANSWER_S = 60.0


def script_of(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    capsys.readouterr()
    assert main(words) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("program", PARSERS)
def test_the_manual_has_every_option_verb_and_exit_code(
    capsys: pytest.CaptureFixture[str], program: str
) -> None:
    page = script_of(capsys, "manual", program).replace(r"\-", "-")
    # What prints this very text is in the synopsis, by its short name.
    for option in set(option_names(PARSERS[program])) - {"--help"}:
        assert re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", page), option
    for code, meaning in errors.MEANINGS.items():
        assert f".B {code}\n{meaning}\n" in page
    if program == "kmlbench":
        for verb in ("kernel deb", "guest boot", "host prepare", "completion", "manual"):
            assert f"'kmlbench {verb}'" in page


def test_the_manual_is_what_troff_understands(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for program in PARSERS:
        path = tmp_path / f"{program}.1"
        path.write_text(script_of(capsys, "manual", program))
        lines = [line for line in path.read_text().splitlines() if line.startswith(".")]
        assert {line.split()[0] for line in lines} <= {".TH", ".SH", ".B", ".TP", ".PP"}


def test_page_and_manual_agree_on_the_exit_codes() -> None:
    section = COMMANDS.partition("## Exit codes\n")[2].partition("\n## ")[0]
    assert [int(code) for code in re.findall(r"^\| (\d+) \| ", section, re.MULTILINE)] == [*errors.MEANINGS]
    after = errors.AFTER.partition(" can be ")[0]
    assert after in " ".join(section.split())


@pytest.mark.parametrize("verb", sorted(verbs(kmlbench_parser())))
def test_the_page_of_commands_has_every_verb(verb: str) -> None:
    assert f"| `kmlbench {verb}" in COMMANDS


@pytest.mark.parametrize("workload", ADAPTERS)
def test_the_page_of_commands_has_every_workload(workload: str) -> None:
    section = COMMANDS.partition("## Workloads\n")[2].partition("\n## ")[0]
    named = re.findall(r"`([\w…]+)`", section)
    assert any(fnmatchcase(workload, name.replace("…", "*")) for name in named)


def test_every_error_has_its_exit_code() -> None:
    def below(kind: type[errors.KmlbenchError]) -> Iterator[type[errors.KmlbenchError]]:
        yield kind
        for subclass in kind.__subclasses__():
            yield from below(subclass)

    raised = {kind.exit_code for kind in below(errors.KmlbenchError)}
    assert {0, INTERRUPTED, HUNG_UP, *raised} == set(errors.MEANINGS)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory to complete in: scripts, two campaigns, something hostile, and hosts."""
    place = tmp_path_factory.mktemp("shell")
    for name in ("20261125T010203Z-5e7", "20261126T010203Z-abc", "$(touch owned)", "x;touch owned"):
        (place / "results" / name).mkdir(parents=True)
        (place / "results" / name / "campaign.json").touch()
    (place / "results" / "latest").symlink_to("20261126T010203Z-abc")
    (place / "elsewhere" / "other-1").mkdir(parents=True)
    (place / "elsewhere" / "other-1" / "campaign.json").touch()
    (place / "hosts.yaml").write_text(
        "# mine\nhosts:\n  oak:\n    kind: ssh\n  ash: {kind: ssh}\n\ncampaign:\n  stock: oak\n"
    )
    for shell in ("bash", "zsh"):
        with (place / shell).open("w") as out, redirect_stdout(out):
            assert main(["completion", shell]) == 0
    return place


BASH = """
source ./bash
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
function=$(complete -p "$1" | sed 's/.*-F \\([^ ]*\\).*/\\1/')
$function "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}" 2>&1
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.mark.parametrize(
    ("line", "actual"),
    [
        ("run-benchmark --re", ["--results", "--resume"]),
        ("run-benchmark --js", ["--json"]),
        ("run-benchmark --resume 2026", ["20261125T010203Z-5e7", "20261126T010203Z-abc"]),
        ("run-benchmark --resume la", ["latest"]),
        ("run-benchmark --resume x", []),
        ("run-benchmark --results elsewhere --resume ", ["other-1"]),
        ("run-benchmark --workloads getp", ["getpid"]),
        ("run-benchmark --workloads getpid,wisconsin32_", ["getpid,wisconsin32_pymysql"]),
        ("run-benchmark --workload redis_get_", ["redis_get_16"]),
        ("run-benchmark --workload ho", ["hosts.yaml"]),
        ("run-benchmark --server m", ["mysql", "mariadb"]),
        ("run-benchmark --clock i", ["instructions"]),
        ("run-benchmark --kernel ", ["6.12", "7.2"]),
        ("run-benchmark --control kml", ["kml:/usr", "kml:/trusted"]),
        ("run-benchmark --control stock:/u", ["stock:/usr"]),
        ("run-benchmark --control stock : /u", ["/usr"]),
        ("run-benchmark --control kml :", ["/usr", "/trusted"]),
        ("run-benchmark --hosts ho", ["hosts.yaml"]),
        ("kmlbench ver", ["verify"]),
        ("kmlbench guest b", ["build", "boot"]),
        ("kmlbench guest build --server ma", ["mariadb"]),
        ("kmlbench kernel build --kernel 7", ["7.2"]),
        ("kmlbench host check ", ["oak", "ash"]),
        ("kmlbench report re", ["results"]),
        ("kmlbench completion z", ["zsh"]),
    ],
)
def test_bash_completes(place: Path, line: str, actual: list[str]) -> None:
    ran = subprocess.run(
        ("bash", "--norc", "-c", BASH, "bash", *line.split(" ")),
        cwd=place,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stderr == ""
    assert sorted(ran.stdout.split()) == sorted(actual)
    assert not (place / "owned").exists()


def test_bash_knows_every_workload(place: Path) -> None:
    text = (place / "bash").read_text()
    assert all(re.search(rf"\b{name}\b", text) for name in ADAPTERS)


class Terminal:
    """A shell on a terminal of its own."""

    def __init__(self, *argv: str, cwd: Path) -> None:
        self._screen, inside = pty.openpty()
        self.shell = subprocess.Popen(
            argv, cwd=cwd, stdin=inside, stdout=inside, stderr=inside, start_new_session=True
        )
        os.close(inside)

    def type(self, keys: str, until: str) -> None:
        """Press keys; the shell has to show this."""
        os.write(self._screen, keys.encode())
        shown, deadline = "", time.monotonic() + ANSWER_S
        while until not in shown:
            ready, _, _ = select.select([self._screen], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, shown
            shown += os.read(self._screen, 4096).decode(errors="replace")

    def close(self) -> None:
        self.shell.kill()
        self.shell.wait()
        os.close(self._screen)


def test_bash_completes_a_value_with_a_colon_on_a_terminal(place: Path) -> None:
    terminal = Terminal("bash", "--norc", "--noprofile", "-i", cwd=place)
    try:
        terminal.type(
            "PS1='> ' TERM=dumb; source ./bash; run-benchmark() { printf '<%s>' \"$@\"; echo; }\n", "> "
        )
        for control, completed in (("stock:/u", "stock:/usr"), ("kml:/t", "kml:/trusted"), ("st", "stock:/")):
            terminal.type(f"run-benchmark --control {control}\t\n", f"<--control><{completed}>")
        terminal.type('COMP_WORDBREAKS=${COMP_WORDBREAKS//:}; echo un""split\n', "unsplit\r\n")
        terminal.type("run-benchmark --control kml:/u\t\n", "<--control><kml:/usr>")
    finally:
        terminal.close()


def test_zsh_completes_on_a_terminal(place: Path) -> None:
    terminal = Terminal("zsh", "-f", "-i", cwd=place)
    try:
        terminal.type(
            'PS1=\'> \' TERM=dumb; autoload -U compinit; compinit -u -D; eval "$(cat zsh)"; print rea""dy\n',
            "ready\r\n",
        )
        for line, completed in (
            ("run-benchmark --resu\t", "--resume"),
            ("run-benchmark --resume 20261125\t", "20261125T010203Z-5e7"),
            ("run-benchmark --workloads getpid,wisconsin32_\t", "wisconsin32_pymysql"),
            ("kmlbench host check o\t", "oak"),
        ):
            terminal.type(line, completed)
            terminal.type("\x15\n", "> ")
    finally:
        terminal.close()
    assert not (place / "owned").exists()
