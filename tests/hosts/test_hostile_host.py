# SPDX-License-Identifier: MIT
"""A host is not trusted: what one that lies, floods or stalls can do to the controller, which is nothing."""

from __future__ import annotations

import io
import random
import socket
import time
import tracemalloc
from collections.abc import Iterator, Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from pathlib import Path

import paramiko
import pytest
from support.ssh_server import IGNORED, Listening, listening, new_key

from kmlbench.cli.main import run_benchmark
from kmlbench.cli.progress.display import shown
from kmlbench.config import campaign as config
from kmlbench.errors import CommandTimeout, HostError, KmlbenchError
from kmlbench.hosts import ssh
from kmlbench.hosts.base import Booted
from kmlbench.hosts.kind_ssh import SshHostSpec
from kmlbench.hosts.login import Login
from kmlbench.hosts.ssh import SshHost, reach
from kmlbench.model import ByteStream, CommandResult, Kernel, PlannedCampaign, Server
from kmlbench.plan import schedule
from kmlbench.plan.comparisons import CELLS
from kmlbench.progress import Silent
from kmlbench.results import writer
from kmlbench.run import inspect
from kmlbench.run.campaign import CampaignRun, Experiment

pytestmark = pytest.mark.slow

MEBIBYTE = 1 << 20
SEEN: list[str] = []
MODE: set[str] = set()


def behave(command: str, channel: paramiko.Channel) -> None:
    """What the host of these tests does with a command."""
    SEEN.append(command)
    if command.endswith("id -u") and "root" in MODE:
        _tell(channel, "0\n")
        return
    if "flood" in command or command.startswith("cat"):
        while True:
            channel.sendall(b"\xff" * 65536)
            channel.sendall_stderr(b"\xff" * 65536)
    if "drip" in command:
        while True:
            channel.sendall(b"x")
            time.sleep(0.05)
    if "silent" in command:
        channel.shutdown_write()
        time.sleep(5)
    if "vanish" in command:
        channel.get_transport().sock.shutdown(socket.SHUT_RDWR)
        return
    channel.sendall(b"said\n")
    channel.send_exit_status(0)
    channel.close()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listening]:
    with listening(tmp_path_factory.mktemp("server"), behave) as result:
        yield result


@pytest.fixture
def host(server: Listening, monkeypatch: pytest.MonkeyPatch) -> Iterator[SshHost]:
    monkeypatch.setattr(ssh, "OUTPUT_BYTES", 4 * MEBIBYTE)
    with reach(server.login(), deadline_s=30, name="liar") as result:
        yield result


def test_the_server_of_these_tests_also_behaves(host: SshHost) -> None:
    assert host.run(("true",), timeout_s=30).stdout == "said\n"


def test_a_flood_is_ended_and_takes_little_memory(host: SshHost) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(HostError, match="liar: `flood` printed more than 4 MiB and was killed"):
            host.run(("flood",), timeout_s=60)
        assert tracemalloc.get_traced_memory()[1] < 24 * MEBIBYTE
    finally:
        tracemalloc.stop()


def test_a_file_without_end_leaves_nothing_behind(host: SshHost, tmp_path: Path) -> None:
    with pytest.raises(HostError, match="printed more than"):
        host.get("/run/report", tmp_path / "report")
    assert list(tmp_path.iterdir()) == []


def test_a_stream_without_end_is_cut(server: Listening, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh, "OUTPUT_BYTES", 3 * 512)

    class Endless:
        def recv(self, size: int) -> bytes:
            return b"x" * size

        def close(self) -> None:
            pass

    # mypy: of a channel only what a stream of bytes has.
    stream = ssh.BoundedStream(name="liar", stream=Endless(), left=ssh.OUTPUT_BYTES)  # type: ignore[arg-type]
    assert [len(stream.recv(512)) for _ in range(3)] == [512] * 3
    with pytest.raises(HostError, match="liar: its server sent more than"):
        stream.recv(1)
    with reach(server.login(), deadline_s=30, name="liar") as result:
        assert isinstance(result.dial(3306), ssh.BoundedStream)


@pytest.mark.parametrize("word", ["drip", "silent", IGNORED])
def test_what_does_not_end_meets_its_deadline(host: SshHost, word: str) -> None:
    started = time.monotonic()
    with pytest.raises(CommandTimeout, match=r"did not end within 0\.5 s"):
        host.run((word,), timeout_s=0.5)
    assert time.monotonic() - started < 3


def test_a_host_that_hangs_up_is_a_host_error(host: SshHost) -> None:
    with pytest.raises(HostError, match="went away"):
        host.run(("vanish",), timeout_s=30)


class TestLogin:
    def test_the_key_in_known_hosts_plain_or_hashed(self, server: Listening, tmp_path: Path) -> None:
        name = f"[127.0.0.1]:{server.port}"
        hashed = paramiko.HostKeys.hash_host(name)
        for number, spelled in enumerate((name, hashed)):
            known = tmp_path / str(number)
            known.write_text(f"# mine\n{spelled} {server.host_key}")
            self.answers(server, known_hosts=known)

    def test_a_known_hosts_without_the_host_says_what_to_do(self, server: Listening, tmp_path: Path) -> None:
        known = tmp_path / "known"
        known.write_text(f"127.0.0.2 {server.host_key}")
        with pytest.raises(HostError, match=r"(?s)has no key of \[127\.0\.0\.1\].*compare the key's finger"):
            self.answers(server, known_hosts=known)
        with pytest.raises(HostError, match=r"known_hosts file .* cannot be used"):
            self.answers(server, known_hosts=tmp_path / "none")

    def test_a_key_in_known_hosts_that_is_another_is_refused(self, server: Listening, tmp_path: Path) -> None:
        other, known = new_key(tmp_path).with_name("key.pub").read_text(), tmp_path / "known"
        known.write_text(f"[127.0.0.1]:{server.port} {other}")
        with pytest.raises(HostError, match="different host key"):
            self.answers(server, known_hosts=known)

    def test_a_private_key_that_others_can_read_is_refused(self, server: Listening, tmp_path: Path) -> None:
        key = new_key(tmp_path)
        key.chmod(0o644)
        with pytest.raises(HostError, match=r"(?s)others may read .*\(mode 0644\).*chmod 600"):
            self.answers(server, key=key, host_key=server.host_key)

    def test_sudo_that_makes_no_root_is_refused(self, server: Listening) -> None:
        with (
            pytest.raises(HostError, match=r"(?s)does not become root by sudo: said.*NOPASSWD"),
            reach(server.login(), deadline_s=30, name="liar", sudo=True),
        ):
            pytest.fail("it connected")

    def test_sudo_goes_before_every_command(self, server: Listening, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(globals(), "MODE", {"root"})
        with reach(server.login(), deadline_s=30, name="liar", sudo=True) as result:
            result.run(("ls", "a b"), timeout_s=30)
        assert SEEN[-1] == "sudo --non-interactive -- timeout --signal=KILL 35 ls 'a b'"

    def test_a_host_behind_another(self, server: Listening, tmp_path: Path) -> None:
        with listening(tmp_path, lambda _, channel: _tell(channel, "inner")) as inner:
            door = inner.login()
            login = SshHostSpec(
                name="inner",
                kernel=Kernel.STOCK,
                address=door.address,
                port=door.port,
                user=door.user,
                key=door.key,
                host_key=door.host_key,
                jump=server.login(),
            )
            with reach(login, deadline_s=30, name="inner") as result:
                assert result.run(("true",), timeout_s=30).stdout == "inner"
            away = replace(login, port=9)
            with (
                pytest.raises(HostError, match=r"root@127\.0\.0\.1:9 through root@.* did not answer"),
                reach(away, deadline_s=1, name="inner"),
            ):
                pytest.fail("it connected")

    def answers(
        self,
        server: Listening,
        *,
        key: Path | None = None,
        host_key: str = "",
        known_hosts: Path | None = None,
    ) -> None:
        login = Login(
            address="127.0.0.1",
            port=server.port,
            user="root",
            key=key or server.key,
            host_key=host_key,
            known_hosts=known_hosts,
        )
        with reach(login, deadline_s=30, name="liar") as result:
            assert result.run(("true",), timeout_s=30).stdout == "said\n"


def _tell(channel: paramiko.Channel, text: str) -> None:
    channel.sendall(text.encode())
    channel.send_exit_status(0)
    channel.close()


NASTY = (
    *("../../../../etc/passwd", "/etc/passwd", "a/../../b", "\x00", "\x1b]0;title\x07\x1b[2J", "\n" * 50),
    *("<script>alert(1)</script>", "{{ 7 * 7 }}", "'\"><img src=x onerror=alert(1)>", "9" * 5000, "NaN"),
    *(
        "[" * 5000,
        '{"cpl": 0, "kernel_mode": true, "release": "../../x"}',
        "\ufffd\u202e",
        "-rf /",
        "",
        "1e999",
    ),
    *("/proc/cmdline:x\n/proc/cpuinfo:flags : x\n/proc/meminfo:MemTotal: 1 kB", "KernelMode:\t1\n"),
    "/sys/devices/system/cpu/vulnerabilities/../../../../x:<b>y</b>",
)


class Liar:
    """Answers every question with something nasty."""

    def __init__(self, seed: int) -> None:
        self.name = "liar"
        self._random = random.Random(seed)

    def run(self, argv: Sequence[str], *, timeout_s: float, stdin: bytes = b"") -> CommandResult:
        del timeout_s, stdin
        status = self._random.choice((0, 0, 0, 1, 255))
        return CommandResult(
            argv=tuple(argv), returncode=status, stdout=self._say(), stderr=self._say(), elapsed_s=0.0
        )

    def put(self, source: Path, destination: str) -> None:
        pass

    def get(self, source: str, destination: Path) -> None:
        del source
        destination.write_bytes(self._say().encode())

    def dial(self, port: int) -> ByteStream:
        raise HostError(f"{self.name}: nothing listens on {port}")

    def _say(self) -> str:
        return "\n".join(self._random.choices(NASTY, k=self._random.randrange(4)))


class Believable(Liar):
    """Tells enough truth to get to the trials."""

    def run(self, argv: Sequence[str], *, timeout_s: float, stdin: bytes = b"") -> CommandResult:
        lie = super().run(argv, timeout_s=timeout_s, stdin=stdin)
        truth = {
            "grep": "/proc/cmdline:<b>x</b>\x1b[2J\n/proc/cpuinfo:model name : ../x\n"
            "/proc/meminfo:MemTotal: 9 kB\n"
            f"{inspect.VULNERABILITIES}/../../x:<script>",
            "uname": "../../../../x\n",
            "zcat": lie.stdout,
            "/usr/sbin/mysqld": lie.stdout,
            "/usr/bin/sysbench": lie.stdout,
        }
        sums = "".join(f"{'0' * 64}  {path}\n" for path in argv[1:])
        result = {**truth, "sha256sum": sums}.get(argv[0])
        if result is None:
            return lie
        return CommandResult(argv=tuple(argv), returncode=0, stdout=result, stderr="", elapsed_s=0.0)


@pytest.mark.parametrize("seed", range(12))
def test_a_lying_host_writes_nowhere_but_into_its_campaign(seed: int, tmp_path: Path) -> None:
    trials = schedule.make_schedule(CELLS, {"getpid": False, "oltp_point_select": True}, blocks=1, seed=seed)
    experiment = Experiment(plan=trials, server=Server.MYSQL, scale=0.1, seed=seed, releases={})
    record = PlannedCampaign(
        id="liar",
        started_utc="2026-01-01T00:00:00Z",
        title="t",
        platform="real hosts",
        control=False,
        seed=seed,
        options={},
        plan=trials,
        stopping=None,
        git_commit="c",
        tools={},
    )
    results = tmp_path / "inside" / "results"
    liar = Believable(seed) if seed % 2 else Liar(seed)
    with writer.create(results, record) as directory:
        campaign = CampaignRun(
            experiment=experiment,
            machines=lambda *_: nullcontext(Booted(host=liar, facts={})),
            directory=directory,
            progress=Silent(),
        )
        with suppress(KmlbenchError):
            campaign.run()
    assert {path.name for path in tmp_path.iterdir()} == {"inside"}
    assert {path.name for path in (tmp_path / "inside").iterdir()} == {"results"}
    assert {path.name for path in results.iterdir()} == {directory.path.name, "latest"}
    expected = {"campaign.json", "outcomes.jsonl", "raw", "timing.json"}
    assert {path.name for path in directory.path.iterdir()} <= expected
    known = {"boot-0000", "boot-0001", *(trial.id for trial in trials)}
    assert {path.name for path in (directory.path / "raw").iterdir()} <= known


ESCAPES = "\x1b]0;title\x07\x1b[2J\r\x9b31m\u202egnp\nsecond line"
SHOWN = r"\x1b]0;title\x07\x1b[2J\r\x9b31m\u202egnp"


def test_no_escape_of_a_host_reaches_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    plain, terminal = io.StringIO(), Terminal()
    for stream in (plain, terminal):
        with shown(stream) as progress:
            progress.stage(ESCAPES)
            progress.note(ESCAPES)
    assert plain.getvalue().count(SHOWN) == 2
    assert SHOWN in terminal.getvalue().replace("\n", "")
    for item in ("\x1b]0;", "\x1b[2J", "\x9b", "\u202e", "\x07"):
        assert item not in plain.getvalue() + terminal.getvalue()

    def fail(*_: object, **__: object) -> None:
        raise HostError(ESCAPES, remedy=ESCAPES)

    monkeypatch.setattr(config, "load_config", fail)
    assert run_benchmark(["--dry-run"]) == 4
    printed = capsys.readouterr().err
    assert printed.count(SHOWN) == 2
    assert "\x1b" not in printed
