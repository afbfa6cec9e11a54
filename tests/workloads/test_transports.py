# SPDX-License-Identifier: MIT
"""What connections go through: a level of what talks to MySQL, and what its server says of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from support.paths import DATA

from kmlbench.errors import TrialError
from kmlbench.model import CommandResult, Prefix
from kmlbench.workloads.levels import Level, Transport, level_name, split_level
from kmlbench.workloads.registry import ADAPTERS, at_levels, find_adapter, has_transports, known_adapter
from kmlbench.workloads.steps import Setting
from kmlbench.workloads.transports import connection_samples

SOCKET_ONLY = Setting(
    prefix=Prefix.TRUSTED, socket="/run/d/socket", user="u", password_file="/run/d/password", seed=7
)
ALL = replace(SOCKET_ONLY, directory="/run/d", port=13306)
SOCKET, PLAIN = "localhost - -", "127.0.0.1 - -"
ENCRYPTED = "127.0.0.1 TLSv1.3 TLS_AES_256_GCM_SHA384"
SAID = {Transport.SOCKET: SOCKET, Transport.TCP: PLAIN, Transport.TLS: ENCRYPTED}


def run_argv(workload: str, setting: Setting = ALL) -> tuple[str, ...]:
    """The command line of the measured step."""
    (step,) = (step for step in find_adapter(workload).steps(setting) if step.measured)
    return step.argv


def told(workload: str, *lines: str, client: str = "sysbench") -> CommandResult:
    """What a client said of its connections."""
    text = "".join(f"{client}: connection {line}\n" for line in lines)
    return CommandResult(argv=run_argv(workload), returncode=0, stdout=text, stderr="", elapsed_s=1.0)


@pytest.mark.parametrize("workload", ["oltp_insert", "wisconsin"])
def test_sysbench_goes_through_what_the_level_says(workload: str) -> None:
    socket, tcp, tls = (set(run_argv(f"{workload}{level}")) for level in ("", "_tcp", "_tls"))
    address = {"--mysql-host=127.0.0.1", "--mysql-port=13306", "--transport=tcp"}
    assert (socket - tcp, tcp - socket) == ({"--mysql-socket=/run/d/socket", "--transport=socket"}, address)
    encrypted = {"--mysql-ssl=on", "--transport=tls", "--tls-files=/run/d"}
    assert (tls - tcp, tcp - tls) == (encrypted, {"--transport=tcp"})


@pytest.mark.parametrize("workload", ["oltp_insert_pymysql", "wisconsin32_pymysql"])
def test_the_second_client_does_too(workload: str) -> None:
    socket, tcp, tls = (set(run_argv(f"{workload}{level}")) for level in ("", "_tcp", "_tls"))
    assert tcp - socket == {"--host=127.0.0.1", "--port=13306", "--transport=tcp"}
    assert tls - tcp == {"--transport=tls", "--tls-files=/run/d"}


@pytest.mark.parametrize("workload", ["oltp_insert", "oltp_insert_pymysql", "wisconsin"])
def test_a_client_is_asked_only_where_there_is_a_choice(workload: str) -> None:
    assert not [word for word in run_argv(workload, SOCKET_ONLY) if "transport" in word]
    assert "--transport=socket" in run_argv(workload)


def test_the_tables_are_prepared_through_the_socket() -> None:
    prepare, _ = find_adapter("oltp_insert_tls_4_threads").steps(ALL)
    assert prepare.argv == find_adapter("oltp_insert_4_threads").steps(SOCKET_ONLY)[0].argv


def test_the_counted_calls_are_those_of_the_level() -> None:
    counting = find_adapter("calls_oltp_insert_tls")
    assert counting.name == "calls_oltp_insert_tls"
    run = run_argv("oltp_insert_tls")
    assert counting.steps(ALL)[1].argv[-len(run) :] == run


def test_a_name_says_its_level() -> None:
    for transport in Transport:
        for threads in (1, 4, 16):
            level = Level(transport=transport, threads=threads)
            name = level_name("oltp_insert", level)
            assert split_level(name) == ("oltp_insert", level)
            assert find_adapter(name).name == name
    assert level_name("x", Level(transport=Transport.TLS, threads=4)) == "x_tls_4_threads"


@pytest.mark.parametrize(
    "name", ["getpid_tcp", "oltp_insert_socket", "oltp_insert_4_threads_tls", "oltp_insert_tls_tcp", "x_tcp"]
)
def test_what_is_no_level_is_no_workload(name: str) -> None:
    assert known_adapter(name) is None


def test_each_workload_runs_at_the_levels_that_it_can_have() -> None:
    asked = ("getpid", "oltp_insert", "wisconsin")
    assert at_levels(asked, [1, 4], [Transport.SOCKET, Transport.TLS]) == (
        "getpid",
        *("oltp_insert", "oltp_insert_4_threads", "oltp_insert_tls", "oltp_insert_tls_4_threads"),
        *("wisconsin", "wisconsin_tls"),
    )


def test_a_server_is_reached_by_the_network_only_where_a_level_is() -> None:
    assert not has_transports(ADAPTERS)
    assert has_transports(["getpid", "calls_wisconsin_tcp"])


@pytest.mark.parametrize("transport", Transport)
def test_what_the_server_said_is_counted(transport: Transport) -> None:
    level = Level(transport=transport, threads=4)
    result = told(level_name("oltp_insert", level), *[SAID[transport]] * 4)
    (sample,) = connection_samples(result, level, "sysbench")
    assert (sample.metric, sample.value, sample.unit) == (f"connections_{transport}", 4, "1")


@pytest.mark.parametrize("transport", Transport)
def test_another_transport_than_the_level_is_an_error(transport: Transport) -> None:
    level = Level(transport=transport)
    for said in (*SAID.values(), "127.0.0.1 TLSv1.3 -", "localhost TLSv1.3 TLS_AES_256_GCM_SHA384"):
        if said != SAID[transport]:
            with pytest.raises(TrialError, match="as the server says") as caught:
                connection_samples(told(level_name("oltp_insert", level), said), level, "sysbench")
            assert caught.value.stage == "check"


@pytest.mark.parametrize("count", [0, 1, 3])
def test_every_connection_is_asked_about(count: int) -> None:
    level = Level(transport=Transport.TLS, threads=2)
    with pytest.raises(TrialError, match=f"about {count} of 2 connections"):
        connection_samples(told("oltp_insert_tls_2_threads", *[ENCRYPTED] * count), level, "sysbench")


@pytest.mark.parametrize("workload", ["oltp_point_select", "oltp_point_select_pymysql", "wisconsin"])
def test_an_older_record_says_nothing_of_its_connections(workload: str) -> None:
    adapter = find_adapter(workload)
    text = (DATA / "workloads" / f"{workload}.txt").read_text()
    argv = run_argv(workload, SOCKET_ONLY)
    result = CommandResult(argv=argv, returncode=0, stdout=text, stderr="", elapsed_s=1.0)
    assert connection_samples(result, Level(), adapter.driver) == ()
