# SPDX-License-Identifier: MIT
"""What a host's answers mean for a campaign, and that its own apt is asked before a package is named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from support.directory_host import RootedHost

from kmlbench.errors import HostError
from kmlbench.model import ByteStream, CommandResult, Server
from kmlbench.provision import conditions

GOOD = {
    **{"machine": "x86_64", "user": "106", "pymysql": "yes", "run_free": "2000", "tmp_free": "900"},
    **{f"mount_{name}": "rw,relatime" for name in conditions.WRITTEN},
}


def lacks_of(changed: Mapping[str, str] | None = None, *, server: Server = Server.MYSQL) -> list[str]:
    answers = {name: value for name, value in {**GOOD, **(changed or {})}.items() if value}
    return [f"{lack.what}; {lack.remedy}" for lack in conditions.lacks_in(answers, server)]


def test_a_good_host_lacks_nothing() -> None:
    assert lacks_of() == []
    assert lacks_of({"mount_run": "rw,nosuid,noexec", "apparmor": "", "selinux": "0"}) == []
    assert lacks_of({"mount_trusted": "", "tmp_free": "", "run_free": "nonsense"}) == []


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"machine": "aarch64"}, "its processor is aarch64"),
        ({"user": ""}, "no user mysql; adduser --system"),
        ({"pymysql": ""}, "has no pymysql"),
        ({"run_free": "511"}, "/run has 511 MiB free"),
        (
            {"tmp_free": "0"},
            "/tmp has 0 MiB free; the server's temporary files need 64 MiB there; remove what",
        ),
        ({"mount_trusted": "rw,nodev,noexec"}, "/trusted is on a file system that is mounted noexec"),
        ({"mount_usr": "ro,relatime"}, "/usr is on a file system that is mounted read-only"),
        ({"mount_base": "ro"}, "/var/lib/kmlbench is on a file system that is mounted read-only"),
        ({"apparmor": "/usr/sbin/mysqld (enforce)"}, "AppArmor confines /usr/sbin/mysqld and not its copy"),
        (
            {"apparmor": "mysqld (complain)"},
            "confines /usr/sbin/mysqld and not its copy below /trusted (AppArmor: mysqld (c",
        ),
        ({"selinux": "1"}, "SELinux is enforcing"),
    ],
)
def test_each_lack_is_told_alone_with_its_remedy(changed: dict[str, str], words: str) -> None:
    (line,) = lacks_of(changed)
    assert words.partition(";")[0] in line
    assert words.rpartition("; ")[2] in line


def test_a_profile_of_the_other_server_does_not_matter() -> None:
    assert lacks_of({"apparmor": "/usr/sbin/mysqld (enforce)"}, server=Server.MARIADB) == []
    assert lacks_of({"apparmor": "mariadbd (enforce) /usr/sbin/mysqldump (enforce)"}) == []
    assert len(lacks_of({"apparmor": "mariadbd (enforce)"}, server=Server.MARIADB)) == 1


def test_the_script_is_answered_by_a_real_shell(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    answers = conditions.ask(RootedHost(tmp_path))
    assert answers["machine"] == "x86_64"
    assert answers["tmp_free"].isdigit()
    assert "rw" in answers["mount_trusted"].split(",")


class Server1:
    """An SSH server that forwards nothing and has one session at a time; `gone`: that breaks off."""

    name = "strict"

    def __init__(self, *, gone: bool = False) -> None:
        self.gone = gone

    def run(self, argv: Sequence[str], *, timeout_s: float, stdin: bytes = b"") -> CommandResult:
        del timeout_s, stdin
        if argv[0] == "true":
            state = "went away" if self.gone else "refused"
            raise HostError(f"strict {state} while it ran `true`: ChannelException(2, 'Connect failed')")
        return CommandResult(argv=tuple(argv), returncode=0, stdout="", stderr="", elapsed_s=0.0)

    def put(self, source: Path, destination: str) -> None:
        raise AssertionError((source, destination))

    def get(self, source: str, destination: Path) -> None:
        raise AssertionError((source, destination))

    def dial(self, port: int) -> ByteStream:
        cause = "ChannelException(1, 'Administratively prohibited')"
        raise HostError(f"strict refused while port {port} of it was opened: {cause}")


def test_a_strict_ssh_server_is_told_with_its_settings() -> None:
    remedies = [lack.remedy for lack in conditions.lacks_of_connection(Server1())]
    assert [remedy.split()[0] for remedy in remedies] == ["AllowTcpForwarding", "MaxSessions"]


def test_a_host_that_goes_away_is_no_setting() -> None:
    with pytest.raises(HostError, match="went away"):
        list(conditions.lacks_of_connection(Server1(gone=True)))
