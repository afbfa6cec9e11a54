# SPDX-License-Identifier: MIT
"""What starting and stopping a server does to a host, in order; with a scripted host."""

from __future__ import annotations

import secrets
import socket
import ssl
import subprocess
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from support.fake_host import Exchange, FakeHost

from kmlbench import process
from kmlbench.errors import CommandTimeout, TrialError
from kmlbench.model import CommandResult, Prefix, Server
from kmlbench.servers import identity
from kmlbench.servers import server as mysql
from kmlbench.servers.options import arguments

DIRECTORY = "/run/kmlbench/00c0ffee"
SECRET = "5ec4e7"


@pytest.fixture(autouse=True)
def tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "token_hex", lambda size: "00c0ffee" if size == 4 else SECRET)


def shell(*arguments: str) -> tuple[str, ...]:
    return ("sh", "-c", "*", "sh", *arguments)


def launch(prefix: Prefix, *more: str) -> Exchange:
    options = (*arguments(Server.MYSQL, DIRECTORY, "mysql", mysql.PORT), *more)
    return Exchange(argv=shell(DIRECTORY, f"{prefix}/sbin/mysqld", *options), stdout="4321\n")


def set_up(prefix: Prefix) -> list[Exchange]:
    return [
        Exchange(argv=("stat", "--format=%U", "/var/lib/kmlbench/data"), stdout="mysql\n"),
        Exchange(argv=("install", "--directory", "--mode=0750", "--owner=mysql", DIRECTORY)),
        Exchange(argv=("cp", "--archive", "*", "/var/lib/kmlbench/data", f"{DIRECTORY}/data")),
        Exchange(argv=shell(f"{DIRECTORY}/password", "root")),
        Exchange(argv=shell(f"{DIRECTORY}/init.sql", "mysql")),
        launch(prefix),
    ]


def ready(returncode: int = 0, stderr: str = "") -> Exchange:
    arguments = ("4321", f"{DIRECTORY}/socket", "/usr/bin/mysql", f"{DIRECTORY}/password", "kmlbench")
    return Exchange(argv=("timeout", "180", *shell(*arguments)), returncode=returncode, stderr=stderr)


FORGET_INIT = Exchange(argv=("rm", f"{DIRECTORY}/init.sql"))
REMOVE = Exchange(argv=shell(DIRECTORY))
TAIL = Exchange(argv=("tail", "--lines=15", f"{DIRECTORY}/log"), stdout="[ERROR] no more room\n")
KILL = Exchange(argv=("timeout", "120", *shell(DIRECTORY)))


def stop(returncode: int = 0) -> Exchange:
    return Exchange(argv=("timeout", "120", *shell("4321")), returncode=returncode)


@pytest.mark.parametrize("prefix", list(Prefix))
def test_a_server_is_set_up_awaited_stopped_and_forgotten_in_this_order(prefix: Prefix) -> None:
    script = [*set_up(prefix), ready(), FORGET_INIT, stop(), REMOVE]
    with FakeHost(script=script) as host:
        with mysql.running_server(host, prefix, Server.MYSQL) as handle:
            assert handle.pid == 4321
            setting = handle.setting(seed=3, scale=0.5)
        assert (setting.prefix, setting.socket) == (prefix, f"{DIRECTORY}/socket")
        assert (setting.seed, setting.scale) == (3, 0.5)


def test_a_server_for_the_network_has_a_certificate_and_its_user_has_logged_in() -> None:
    certificate = f"{DIRECTORY}/identity.pem"
    names = ("cacert.pem", "client-cert.pem", "client-key.pem")
    script = [
        *set_up(Prefix.USR)[:-1],
        Exchange(argv=shell(certificate, "mysql")),
        Exchange(argv=shell(DIRECTORY, "identity.pem", *names)),
        launch(Prefix.USR, *(f"--ssl-{part}={certificate}" for part in ("ca", "cert", "key"))),
        ready(),
        Exchange(
            argv=(
                *("/usr/bin/mysql", f"--defaults-file={DIRECTORY}/password", "--host=127.0.0.1"),
                *("--port=13306", "--user=kmlbench", "--execute=SELECT 1"),
            )
        ),
        *(FORGET_INIT, stop(), REMOVE),
    ]
    with FakeHost(script=script) as host:
        with mysql.running_server(host, Prefix.USR, Server.MYSQL, by_network=True) as handle:
            setting = handle.setting(seed=3, scale=0.5)
        assert (setting.directory, setting.port) == (DIRECTORY, 13306)


def test_a_client_and_a_server_that_trust_the_certificate_alone_believe_each_other(tmp_path: Path) -> None:
    """Its names and times are right for the loopback interface. sysbench shows it, too."""
    file = tmp_path / "identity.pem"
    file.write_text(identity.new_identity())
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context(cafile=file)
    server.load_cert_chain(file)
    server.load_verify_locations(file)
    server.verify_mode = ssl.CERT_REQUIRED
    client.load_cert_chain(file)
    ours, theirs = socket.socketpair()
    with ours, theirs, ThreadPoolExecutor(1) as beside:
        accepted = beside.submit(server.wrap_socket, theirs, server_side=True)
        with client.wrap_socket(ours, server_hostname="127.0.0.1") as wrapped:
            shown = wrapped.getpeercert()
        accepted.result().close()
    assert shown is not None
    assert (shown["notBefore"], shown["notAfter"]) == ("Jan  1 00:00:00 2000 GMT", "Jan  1 00:00:00 2100 GMT")


def test_the_password_is_in_no_command_line_and_in_no_repr() -> None:
    script = [*set_up(Prefix.USR), ready(), FORGET_INIT, stop(), REMOVE]
    seen: list[tuple[str, ...]] = []

    class Listening(FakeHost):
        def run(self, argv, *, timeout_s, stdin=b""):  # type: ignore[no-untyped-def]
            seen.append(tuple(argv))
            return super().run(argv, timeout_s=timeout_s, stdin=stdin)

    with Listening(script=script) as host, mysql.running_server(host, Prefix.USR, Server.MYSQL) as handle:
        assert handle.password == SECRET
        assert SECRET not in repr(handle)
    assert not any(SECRET in argument for argv in seen for argument in argv)


@pytest.mark.parametrize(
    ("code", "cause"), [(124, "did not answer within 180 s"), (1, "exited while starting")]
)
def test_a_server_that_does_not_start_is_killed_and_its_log_is_told(code: int, cause: str) -> None:
    script = [*set_up(Prefix.USR), ready(code, "ERROR 2002: no socket"), TAIL, KILL, REMOVE]
    with FakeHost(script=script) as host:
        with (
            pytest.raises(TrialError, match="no more room") as caught,
            mysql.running_server(host, Prefix.USR, Server.MYSQL),
        ):
            pytest.fail("this server does not run")
        assert caught.value.stage == "start server"
        assert cause in str(caught.value)
        assert "ERROR 2002" in str(caught.value)


def test_a_host_without_room_fails_the_start() -> None:
    script = set_up(Prefix.USR)[:2]
    full = Exchange(argv=("cp", "--archive", "*", "*", "*"), returncode=1, stderr="No space left on device")
    with (
        FakeHost(script=[*script, full, KILL, REMOVE]) as host,
        pytest.raises(TrialError, match="No space left"),
        mysql.running_server(host, Prefix.USR, Server.MYSQL),
    ):
        pytest.fail("this server does not run")


def test_a_server_that_does_not_stop_is_killed_and_fails_the_trial() -> None:
    script = [*set_up(Prefix.USR), ready(), FORGET_INIT, stop(124), TAIL, KILL, REMOVE]
    with FakeHost(script=script) as host:
        with pytest.raises(TrialError) as caught, mysql.running_server(host, Prefix.USR, Server.MYSQL):
            pass
        assert caught.value.stage == "stop server"


def test_the_error_of_the_trial_is_not_hidden_by_one_of_the_clean_up() -> None:
    broken = Exchange(argv=KILL.argv, raises=CommandTimeout("the guest hangs"))
    script = [*set_up(Prefix.USR), ready(), FORGET_INIT, broken, REMOVE]
    with (
        FakeHost(script=script) as host,
        pytest.raises(KeyboardInterrupt),
        mysql.running_server(host, Prefix.USR, Server.MYSQL),
    ):
        raise KeyboardInterrupt


def test_both_servers_get_options_that_name_everything_they_touch() -> None:
    for server in Server:
        options = arguments(server, DIRECTORY, "mysql", 13306)
        assert options[0] == "--no-defaults"
        assert len({option.split("=")[0] for option in options}) == len(options)
        assert {"--basedir=/usr", "--bind-address=127.0.0.1", f"--datadir={DIRECTORY}/data"} <= set(options)


class Here(FakeHost):
    """This machine."""

    def run(self, argv: Sequence[str], *, timeout_s: float, stdin: bytes = b"") -> CommandResult:
        del stdin
        return process.run(argv, timeout_s=timeout_s)


def test_what_a_dead_controller_left_is_ended_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server, the number of one that is another's by now, and a start that never came to a server."""
    runtime = tmp_path / "run"
    monkeypatch.setattr(mysql, "RUNTIME", str(runtime))
    sleeping = ("sleep", "600")
    served, reused, begun = (runtime / name for name in ("served", "reused", "begun"))
    for directory in (served, reused, begun):
        (directory / "data").mkdir(parents=True)
    waiting = ("sh", "-c", "kill -STOP $$", f"--datadir={served}/data")
    with subprocess.Popen(waiting) as server, subprocess.Popen(sleeping) as other:
        (served / "started").write_text(f"{server.pid}\n")
        (reused / "started").write_text(f"{other.pid}\n")
        left = mysql.clear(Here())
        assert sorted(left.splitlines()) == sorted(map(str, (served, reused, begun)))
        assert server.wait(timeout=10) == -9
        assert other.poll() is None
        other.kill()
    assert not runtime.exists()
    assert mysql.clear(Here()) == ""
