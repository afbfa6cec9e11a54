# SPDX-License-Identifier: MIT
"""What a workload brings along is there in time and gone afterwards; with a scripted host."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from support import rounds
from support.fake_host import Exchange, FakeHost

from kmlbench.errors import TrialError
from kmlbench.model import Prefix
from kmlbench.servers import service
from kmlbench.workloads.base import Readiness
from kmlbench.workloads.definition import Client, Definition, ServerProgram
from kmlbench.workloads.program import ProgramWorkload
from kmlbench.workloads.steps import Setting

DIRECTORY = service.DIRECTORY
SERVER = ServerProgram(argv=("{prefix}/sbin/queue", "{socket}", "{port}"), ready=Readiness.SOCKET, start_s=9)
QUEUE = Definition(
    name="queue",
    files={"queue.conf": "x"},
    prepare=(("/usr/bin/true",),),
    server=SERVER,
    client=Client(argv=("{prefix}/bin/fill",)),
)
SETTING = Setting(prefix=Prefix.USR, socket="", user="", password_file="", seed=1)


def queue(*, ready: Readiness = SERVER.ready, pattern: str = SERVER.pattern) -> ProgramWorkload:
    return ProgramWorkload(replace(QUEUE, server=replace(SERVER, ready=ready, pattern=pattern)))


def launched() -> list[Exchange]:
    argv = ("sh", "-c", "*", "sh", DIRECTORY, "/usr/sbin/queue", f"{DIRECTORY}/socket", "13307")
    return [*rounds.laid_out(queue(), SETTING), Exchange(argv=argv, stdout="4321\n")]


def awaited(sign: Sequence[str], returncode: int = 0) -> Exchange:
    argv = ("timeout", "9", "sh", "-c", "*", "sh", "4321", *sign, DIRECTORY)
    return Exchange(argv=argv, returncode=returncode)


SOCKET = ("socket", f"{DIRECTORY}/socket")
STOP = Exchange(argv=("timeout", "120", "sh", "-c", "*", "sh", "4321"))
KILL = Exchange(argv=("timeout", "120", "sh", "-c", "*", "sh", DIRECTORY))
TAIL = Exchange(argv=("tail", "--lines=15", f"{DIRECTORY}/log"), stdout="no such option\n")


def test_files_and_server_are_there_within_the_block_and_gone_afterwards() -> None:
    script = [*launched(), awaited(SOCKET), STOP, rounds.REMOVE]
    with FakeHost(script=script) as host, service.provided(host, queue(), SETTING) as setting:
        assert (setting.directory, setting.socket, setting.port) == (DIRECTORY, f"{DIRECTORY}/socket", 13307)
        assert setting.server_pid == 4321


@pytest.mark.parametrize(
    ("ready", "pattern", "sign", "told"),
    [
        (Readiness.SOCKET, "", SOCKET, r"/usr/sbin/queue listens on no socket \{socket\} after 9 s"),
        (Readiness.PORT, "", ("port", "33FB"), "does not listen on port 13307 after 9 s"),
        (Readiness.OUTPUT, "up", ("output", "up"), "has printed nothing that 'up' matches after 9 s"),
    ],
)
def test_a_server_that_is_never_ready_is_killed_and_its_last_words_are_told(
    ready: Readiness, pattern: str, sign: tuple[str, str], told: str
) -> None:
    script = [*launched(), awaited(sign, 124), TAIL, KILL, rounds.REMOVE]
    with (
        FakeHost(script=script) as host,
        pytest.raises(TrialError, match=rf"(?s){told}.*no such option") as caught,
        service.provided(host, queue(ready=ready, pattern=pattern), SETTING),
    ):
        pytest.fail("it is not ready")
    assert caught.value.stage == "start server"


def test_a_server_that_does_not_stay_is_told_as_such() -> None:
    script = [*launched(), awaited(SOCKET, 1), TAIL, KILL, rounds.REMOVE]
    with (
        FakeHost(script=script) as host,
        pytest.raises(TrialError, match="queue exited while starting") as caught,
        service.provided(host, queue(), SETTING),
    ):
        pytest.fail("it is not there")
    assert "stay in the foreground" in caught.value.remedy


def test_a_command_that_fails_before_the_server_leaves_nothing_behind() -> None:
    script = launched()[:-1]
    script[-1] = replace(script[-1], returncode=3, stderr="no room")
    with (
        FakeHost(script=[*script, KILL, rounds.REMOVE]) as host,
        pytest.raises(TrialError, match="`/usr/bin/true` ended with 3: no room") as caught,
        service.provided(host, queue(), SETTING),
    ):
        pytest.fail("it is not prepared")
    assert caught.value.stage == "prepare"


def test_a_failure_within_the_block_kills_the_server() -> None:
    script = [*launched(), awaited(SOCKET), KILL, rounds.REMOVE]
    with (
        FakeHost(script=script) as host,
        pytest.raises(ValueError, match="within"),
        service.provided(host, queue(), SETTING),
    ):
        raise ValueError("within")


def test_without_a_server_there_is_only_the_directory() -> None:
    workload = ProgramWorkload(replace(QUEUE, server=None))
    with (
        FakeHost(script=[*rounds.laid_out(workload, SETTING), rounds.REMOVE]) as host,
        service.provided(host, workload, SETTING) as setting,
    ):
        assert setting.server_pid == 0
