# SPDX-License-Identifier: MIT
"""Commands mean the same to every login shell, and a shell that prints at login is named."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import paramiko
import pytest
from support.ssh_server import Behaviour, listening

from kmlbench import process
from kmlbench.doctor import questions
from kmlbench.errors import HostError
from kmlbench.hosts.ssh import command_line, reach

SHELLS = ("sh", "bash", "zsh", "tcsh")
WORDS = (
    *(
        "two words",
        "$HOME",
        "`id`",
        "$(id)",
        "it's",
        '"',
        "",
        "a\nb\n",
        "\\",
        "\\\\n",
        "wow!",
        "!!",
        "*",
        "~",
        "é",
    ),
    *("[a]", "{a,b}", "#x", "-n", "%s", "a;b", "a&b", ">x", "^a^b", "=ls", "tab\there", "$?", "$$", "'\\''"),
)
SCRIPT = """
for word in "$@"; do
    printf '<%s>\\n' "$word" # it's "one" more!
done
read -r line && echo "input: $line"
exit 3
"""


def login_shell(shell: str, *, noise: str = "") -> Behaviour:
    """A host whose sshd gives each command to this shell, as sshd does."""

    def serve(command: str, channel: paramiko.Channel) -> None:
        given = channel.recv(1 << 20) if channel.recv_ready() else b""
        environment = {"SHELL": process.require(shell), "PATH": "/usr/bin:/bin", "HOME": "/"}
        argv = (process.require(shell), "-c", f"{noise}{command}")
        ended = subprocess.run(
            argv, check=False, input=given, env=environment, capture_output=True, timeout=60
        )
        channel.sendall(ended.stdout)
        channel.sendall_stderr(ended.stderr)
        channel.send_exit_status(ended.returncode)
        channel.close()

    return serve


def ran(shell: str, argv: Sequence[str], stdin: str) -> tuple[str, int]:
    ended = subprocess.run(
        (process.require(shell), "-c", command_line(argv)),
        check=False,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ended.stderr == ""
    return ended.stdout, ended.returncode


@pytest.mark.parametrize("shell", SHELLS)
def test_a_script_and_its_arguments_arrive_unchanged(shell: str) -> None:
    text, code = ran(shell, ("sh", "-c", SCRIPT, "sh", *WORDS), "a line\n")
    assert text == "".join(f"<{word}>\n" for word in WORDS) + "input: a line\n"
    assert code == 3
    for word in WORDS:
        assert ran(shell, ("printf", "%s.", word), "") == (f"{word}.", 0)


@pytest.mark.parametrize("shell", SHELLS)
def test_a_long_script_runs(shell: str) -> None:
    long = "# a comment of some length!\n" * 2000 + "echo done\n"
    assert ran(shell, ("sh", "-c", long), "") == ("done\n", 0)


@pytest.mark.slow
def test_a_host_is_examined_through_tcsh(tmp_path: Path) -> None:
    with (
        listening(tmp_path, login_shell("tcsh"), shell="") as server,
        reach(server.login(), deadline_s=20, name="oak") as host,
    ):
        answers = questions.ask_host(host)
    assert answers["release"]
    assert int(answers["processors"]) > 0


@pytest.mark.parametrize("shell", SHELLS)
def test_a_shell_that_prints_is_named_with_what_it_printed(tmp_path: Path, shell: str) -> None:
    noisy = login_shell(shell, noise="echo Welcome to oak; ")
    with (
        listening(tmp_path, noisy, shell="") as server,
        pytest.raises(HostError) as caught,
        reach(server.login(), deadline_s=20, name="oak", sudo=True),
    ):
        pass
    text = str(caught.value)
    assert (
        f"its login shell {process.require(shell)} prints something before each command: 'Welcome to oak'"
        in text
    )
    assert "remedy: let its start-up files" in text


def test_what_every_shell_reads_alike_stays_readable() -> None:
    assert command_line(("cat", "--", "/proc/cmdline")) == "cat -- /proc/cmdline"
    assert command_line(("sh", "-c", 'umask 077; cat > "$1"')) == """sh -c 'umask 077; cat > "$1"'"""
