# SPDX-License-Identifier: MIT
"""What a host is asked, in which order, and what its answers become."""

from __future__ import annotations

import pytest
from support.fake_host import Exchange, FakeHost
from support.host_sessions import GETPID, SERVER_AND_CLIENTS, asking_the_machine, programs

from kmlbench.errors import HostError, ProofError
from kmlbench.model import Server
from kmlbench.run import inspect


def test_the_answers_become_facts() -> None:
    with FakeHost(script=asking_the_machine()) as host:
        result = inspect.inspect(host, Server.MYSQL)
    assert result.facts["kernel_release"] == "6.12.117-kml"
    assert result.facts["kernel_build"] == "notes-of-6.12.117-kml"
    assert result.facts["command_line"] == "console=ttyS0"
    assert result.facts["memory_kib"] == "2036364"
    assert result.facts["cpus"] == "2"
    assert result.facts["cpu_model"] == "QEMU TCG CPU version 2.5+"
    assert result.facts["vulnerability_spectre_v2"] == "Mitigation: Retpolines; RSB filling"
    assert result.facts["config_kml"] == "CONFIG_KERNEL_MODE_LINUX=y"


@pytest.mark.parametrize(
    ("message", "fact"),
    [
        ("", "none"),
        ("0\n", "none"),
        ("/usr/sbin/mysqld (enforce)\nman_groff (enforce)\n", "AppArmor: /usr/sbin/mysqld (enforce)"),
        ("mysqld (complain)\n1\n", "AppArmor: mysqld (complain); SELinux: enforcing"),
        ("mariadbd (enforce)\nmysqldump (enforce)\n", "none"),
    ],
)
def test_what_confines_the_server_below_usr_alone_is_a_fact(message: str, fact: str) -> None:
    with FakeHost(script=asking_the_machine(confining=message)) as host:
        assert inspect.inspect(host, Server.MYSQL).facts["server_confinement"] == fact


def test_programs_are_known_by_their_bytes_and_versions() -> None:
    with FakeHost(script=programs(SERVER_AND_CLIENTS)) as host:
        facts = inspect.program_facts(host, Server.MYSQL, {"oltp_point_select", "getpid"})
    assert facts == {
        "mysqld_sha256": "mysqld-sum",
        "sysbench_sha256": "sysbench-sum",
        "getpid_sha256": "getpid-sum",
        "cpl_sha256": "cpl-sum",
        "mysqld_version": "Ver 9.7.4 for Linux",
        "sysbench_version": "sysbench 1.0.20",
    }


def test_a_server_that_nothing_measures_is_not_asked_for() -> None:
    with FakeHost(script=programs(GETPID)) as host:
        facts = inspect.program_facts(host, Server.MYSQL, {"getpid"})
    assert set(facts) == {"getpid_sha256", "cpl_sha256"}


def test_a_copy_below_trusted_that_is_another_file_stops_everything() -> None:
    host = FakeHost(script=programs(SERVER_AND_CLIENTS, wrong="/trusted/bin/sysbench"))
    with pytest.raises(ProofError, match="bin/sysbench is not the same file"):
        inspect.program_facts(host, Server.MYSQL, {"oltp_point_select", "getpid"})


def test_a_distribution_kernel_keeps_its_configuration_in_boot() -> None:
    with FakeHost(script=asking_the_machine(config_status=1)) as host:
        assert inspect.inspect(host, Server.MYSQL).config == "CONFIG_KERNEL_MODE_LINUX=y\n"


def test_a_question_that_fails_names_the_command_and_the_moment() -> None:
    failing = Exchange(argv=("grep", "-r", "", *inspect.SOURCES), returncode=2, stderr="no such file")
    with pytest.raises(HostError, match="ended with 2 while reading the host's facts: no such file"):
        inspect.inspect(FakeHost(script=[failing]), Server.MYSQL)
