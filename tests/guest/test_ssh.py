# SPDX-License-Identifier: MIT
"""The contract of a host, against a real guest: what kmlbench.model.Host promises."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from kmlbench import process
from kmlbench.build.artifacts import ImageArtifact
from kmlbench.errors import CommandTimeout, HostError
from kmlbench.hosts.qemu import GuestSpec, boot
from kmlbench.hosts.ssh import SshHost, connect

TIMEOUT_S = 120.0
MEGABYTE = 1_000_000


@pytest.mark.guest
class TestRun:
    def test_streams_and_exit_come_back_apart(self, stock_guest: SshHost) -> None:
        result = stock_guest.run(("sh", "-c", "echo out; echo err >&2; exit 3"), timeout_s=TIMEOUT_S)
        assert (result.stdout, result.stderr, result.returncode) == ("out\n", "err\n", 3)

    def test_arguments_arrive_as_they_are(self, stock_guest: SshHost) -> None:
        words = ("two words", "$HOME", "*", "it's", '"', "", "a\nb", "-n", "~", "é")
        result = stock_guest.run(("printf", "%s|", *words), timeout_s=TIMEOUT_S)
        assert result.stdout == "".join(f"{word}|" for word in words)

    def test_standard_input_reaches_the_command(self, stock_guest: SshHost) -> None:
        content = bytes(range(256)) * 20_000
        result = stock_guest.run(("wc", "-c"), timeout_s=TIMEOUT_S, stdin=content)
        assert result.stdout == f"{len(content)}\n"

    def test_a_command_that_does_not_read_its_input_does_not_hang(self, stock_guest: SshHost) -> None:
        result = stock_guest.run(("true",), timeout_s=TIMEOUT_S, stdin=b"x" * 5 * MEGABYTE)
        assert result.returncode == 0

    def test_much_output_on_both_streams_does_not_block(self, stock_guest: SshHost) -> None:
        half = 10 * MEGABYTE  # Five times the window of a channel.
        script = f"head -c {half} /dev/zero >&2; head -c {half} /dev/zero"
        result = stock_guest.run(("sh", "-c", script), timeout_s=TIMEOUT_S)
        assert (len(result.stdout), len(result.stderr)) == (half, half)

    def test_a_missing_program_is_a_result(self, stock_guest: SshHost) -> None:
        result = stock_guest.run(("no-such-program",), timeout_s=TIMEOUT_S)
        assert result.returncode == 127

    def test_a_deadline_holds_and_kills_the_command(self, stock_guest: SshHost) -> None:
        started = time.monotonic()
        with pytest.raises(CommandTimeout, match=r"stock: `sleep 1234` did not end within 1 s"):
            stock_guest.run(("sleep", "1234"), timeout_s=1)
        assert time.monotonic() - started < 20
        assert stock_guest.run(("pgrep", "-f", "sleep 1234"), timeout_s=TIMEOUT_S).returncode == 1

    def test_a_deadline_holds_while_output_flows(self, stock_guest: SshHost) -> None:
        with pytest.raises(CommandTimeout):
            stock_guest.run(("sh", "-c", "while echo flowing; do :; done"), timeout_s=2)
        assert stock_guest.run(("true",), timeout_s=TIMEOUT_S).returncode == 0


@pytest.mark.guest
class TestFiles:
    def test_a_file_and_its_mode_survive_both_ways(self, stock_guest: SshHost, tmp_path: Path) -> None:
        source, back = tmp_path / "source", tmp_path / "back"
        source.write_bytes(bytes(range(256)) * 1000)
        source.chmod(0o750)
        stock_guest.put(source, "/tmp/copied")
        mode = stock_guest.run(("stat", "-c", "%a", "/tmp/copied"), timeout_s=TIMEOUT_S)
        stock_guest.get("/tmp/copied", back)
        assert (mode.stdout, back.read_bytes()) == ("750\n", source.read_bytes())

    def test_a_missing_file_is_an_error_and_leaves_nothing(
        self, stock_guest: SshHost, tmp_path: Path
    ) -> None:
        with pytest.raises(HostError, match="/tmp/missing"):
            stock_guest.get("/tmp/missing", tmp_path / "back")
        assert list(tmp_path.iterdir()) == []

    def test_a_place_that_cannot_be_written_is_an_error(self, stock_guest: SshHost, tmp_path: Path) -> None:
        (tmp_path / "source").write_text("x")
        with pytest.raises(HostError, match="/no/such/directory"):
            stock_guest.put(tmp_path / "source", "/no/such/directory/file")


@pytest.mark.guest
class TestDial:
    def test_a_stream_to_a_port_of_the_host(self, stock_guest: SshHost) -> None:
        stream = stock_guest.dial(22)
        stream.settimeout(TIMEOUT_S)
        assert stream.recv(8) == b"SSH-2.0-"
        stream.close()

    def test_a_port_where_nothing_listens_is_an_error(self, stock_guest: SshHost) -> None:
        with pytest.raises(HostError, match="port 9 "):
            stock_guest.dial(9)


@pytest.fixture(scope="module")
def port(stock_guest: SshHost) -> int:
    """The forwarded port of the running guest."""
    number: int = stock_guest._transport.getpeername()[1]
    return number


def new_key(directory: Path) -> Path:
    key = directory / "key"
    argv = ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key))
    process.check(argv, timeout_s=60)
    return key


@pytest.mark.guest
class TestLogin:
    def test_another_host_key_is_refused_at_once(
        self, port: int, mysql_image: ImageArtifact, tmp_path: Path
    ) -> None:
        other = new_key(tmp_path).with_name("key.pub").read_text()
        with (
            pytest.raises(HostError, match=r"(?s)different host key.*hosts\.yaml"),
            connect(
                "127.0.0.1",
                port=port,
                user="root",
                key=mysql_image.client_key,
                host_key=other,
                deadline_s=60,
            ),
        ):
            pytest.fail("it connected")

    def test_a_key_that_the_host_does_not_know_is_refused_at_once(
        self, port: int, mysql_image: ImageArtifact, tmp_path: Path
    ) -> None:
        with (
            pytest.raises(HostError, match=r"(?s)refused the login.*authorized_keys"),
            connect(
                "127.0.0.1",
                port=port,
                user="root",
                key=new_key(tmp_path),
                host_key=mysql_image.host_key,
                deadline_s=60,
            ),
        ):
            pytest.fail("it connected")


def test_a_host_that_is_not_there_is_given_up_at_the_deadline(tmp_path: Path) -> None:
    key = new_key(tmp_path)
    started = time.monotonic()
    with (
        pytest.raises(HostError, match=r"nobody@127\.0\.0\.1:9 did not answer within 1 s"),
        connect(
            "127.0.0.1",
            port=9,
            user="nobody",
            key=key,
            host_key=key.with_name("key.pub").read_text(),
            deadline_s=1,
        ),
    ):
        pytest.fail("it connected")
    assert time.monotonic() - started < 5


def test_an_unusable_private_key_says_so(tmp_path: Path) -> None:
    host_key = new_key(tmp_path).with_name("key.pub").read_text()
    (tmp_path / "broken").write_text("no key")
    for name in ("broken", "missing"):
        with (
            pytest.raises(HostError, match=f"private key .*{name}"),
            connect("127.0.0.1", port=9, user="root", key=tmp_path / name, host_key=host_key, deadline_s=1),
        ):
            pytest.fail("it connected")


@pytest.mark.guest
def test_a_host_that_goes_away_is_a_host_error(stock_spec: GuestSpec, tmp_path: Path) -> None:
    with boot(stock_spec, directory=tmp_path) as host:
        for argv in (("pkill", "-KILL", "-f", "sshd-session: root"), ("true",)):
            with pytest.raises(HostError, match="went away"):
                host.run(argv, timeout_s=5)
