# SPDX-License-Identifier: MIT
"""Commands on this machine end as told, or are ended."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kmlbench import process as commands
from kmlbench.errors import BuildError, CommandTimeout, MachineError


def test_a_command_returns_its_streams_and_its_exit() -> None:
    result = commands.run(("sh", "-c", "echo out; echo err >&2; exit 3"), timeout_s=10)
    assert (result.stdout, result.stderr, result.returncode) == ("out\n", "err\n", 3)


def test_arguments_are_not_read_by_a_shell() -> None:
    assert commands.run(("printf", "%s", "$HOME; *"), timeout_s=10).stdout == "$HOME; *"


def test_environment_is_passed_on_and_directory_is_changed(tmp_path: Path) -> None:
    argv = ("sh", "-c", 'echo "$HOME $PWD"')
    result = commands.run(argv, timeout_s=10, cwd=tmp_path)
    assert result.stdout == f"{os.environ['HOME']} {tmp_path}\n"


def test_a_missing_program_names_itself_and_the_remedy() -> None:
    with pytest.raises(MachineError, match=r"no-such-program[^$]*make setup"):
        commands.run(("no-such-program",), timeout_s=10)


@pytest.mark.slow
def test_a_deadline_ends_the_command_and_its_children(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    argv = ("sh", "-c", f"sleep 1000 & echo $! > {pid_file}; wait")
    with pytest.raises(CommandTimeout, match="within 1 s"):
        commands.run(argv, timeout_s=1)
    _wait_until_gone(int(pid_file.read_text()))


def test_a_failed_command_shows_the_end_of_its_output() -> None:
    with pytest.raises(BuildError, match=r"ended with 1[^$]*line 40") as caught:
        commands.check(("sh", "-c", "seq --format='line %g' 40; exit 1"), timeout_s=10)
    assert "line 20\n" not in str(caught.value)


def test_a_failed_command_with_a_log_names_the_log(tmp_path: Path) -> None:
    log = tmp_path / "build.log"
    with pytest.raises(BuildError, match=r"the cause[^$]*build\.log"):
        commands.check(("sh", "-c", "echo the cause >&2; exit 1"), timeout_s=10, log=log)
    assert log.read_text() == "the cause\n"


def test_a_command_dies_with_its_controller(tmp_path: Path) -> None:
    """Even when the controller is killed and can run no cleanup."""
    pid_file = tmp_path / "pid"
    script = (
        "from kmlbench import process;"
        f"process.run(('sh', '-c', 'echo $$ > {pid_file}; echo; exec sleep 1000'), timeout_s=1000)"
    )
    os.mkfifo(pid_file)
    controller = subprocess.Popen((sys.executable, "-c", script))
    child = int(pid_file.read_text())
    controller.send_signal(signal.SIGKILL)
    controller.wait()
    _wait_until_gone(child)


def test_what_a_command_started_dies_with_its_controller(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    script = (
        "from kmlbench import process;"
        f"process.run(('sh', '-c', 'sleep 1000 & echo $! > {pid_file}; wait'), timeout_s=1000)"
    )
    os.mkfifo(pid_file)
    controller = subprocess.Popen((sys.executable, "-c", script))
    grandchild = int(pid_file.read_text())
    controller.send_signal(signal.SIGKILL)
    controller.wait()
    _wait_until_gone(grandchild)


@pytest.mark.slow
def test_a_command_that_is_told_to_end_may_tidy_up(tmp_path: Path) -> None:
    script = f"trap 'echo tidy > {tmp_path}/said; exit' TERM; sleep 1000 & wait"
    with pytest.raises(CommandTimeout):
        commands.run(("sh", "-c", script), timeout_s=1)
    assert (tmp_path / "said").read_text() == "tidy\n"


def test_a_signal_that_ends_a_command_is_its_exit() -> None:
    assert commands.run(("sh", "-c", "kill -KILL $$"), timeout_s=10).returncode == 128 + signal.SIGKILL


def _wait_until_gone(pid: int) -> None:
    """A pidfd is readable once its process has ended, whether or not somebody has waited for it."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    with os.fdopen(descriptor) as process:
        assert select.select([process], [], [], 10)[0], f"process {pid} still runs"
