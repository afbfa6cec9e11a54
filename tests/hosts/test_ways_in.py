# SPDX-License-Identifier: MIT
"""Who can get in, and what gets out: passwords, keys, ports."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import nullcontext, suppress
from pathlib import Path

import pymysql
import pytest
from pymysql.constants import CLIENT

from kmlbench.build import image
from kmlbench.build.artifacts import ImageArtifact, KernelArtifact
from kmlbench.errors import HostError, KmlbenchError
from kmlbench.hosts.base import Booted
from kmlbench.hosts.qemu import GuestSpec, qemu_argv
from kmlbench.model import (
    Acceleration,
    ByteStream,
    Clock,
    CommandResult,
    Kernel,
    PlannedCampaign,
    Prefix,
    Server,
)
from kmlbench.plan import schedule
from kmlbench.plan.comparisons import CELLS
from kmlbench.progress import Event
from kmlbench.results import writer
from kmlbench.run.campaign import CampaignRun, Experiment
from kmlbench.servers import server as mysql
from kmlbench.servers.options import arguments


class Obedient:
    """A host on which everything ends well and nothing is said but what is asked for."""

    name = "obedient"

    def __init__(self) -> None:
        self.commands: list[str] = []
        self.inputs: list[str] = []

    def run(self, argv: Sequence[str], *, timeout_s: float, stdin: bytes = b"") -> CommandResult:
        del timeout_s
        self.commands.append(" ".join(argv))
        self.inputs.append(stdin.decode())
        answers = {"stat": "mysql\n", "uname": "6.12\n", "grep": SOURCES}
        text = "4321\n" if "setsid" in " ".join(argv) else answers.get(argv[0], "")
        if argv[0] == "sha256sum":
            text = "".join(f"{'0' * 64}  {path}\n" for path in argv[1:])
        return CommandResult(argv=tuple(argv), returncode=0, stdout=text, stderr="", elapsed_s=0.0)

    def put(self, source: Path, destination: str) -> None:
        raise AssertionError((source, destination))

    def get(self, source: str, destination: Path) -> None:
        del source
        destination.write_text("{}")

    def dial(self, port: int) -> ByteStream:
        raise HostError(f"nothing listens on {port}")


SOURCES = "/proc/cmdline:quiet\n/proc/cpuinfo:flags : a\n/proc/meminfo:MemTotal: 9 kB\n"


class Notes:
    """A progress that keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def stage(self, name: str, *, total: int | None = None) -> None:
        self.told.append(f"{name} {total}")

    def advance(self, count: int = 1) -> None:
        self.told.append(str(count))

    def note(self, text: str) -> None:
        self.told.append(text)

    def tell(self, event: Event) -> None:
        self.told.append(str(event))


def test_no_password_is_kept_shown_or_in_a_command_line(tmp_path: Path) -> None:
    trials = schedule.make_schedule(CELLS, {"oltp_point_select": True, "wisconsin": True}, blocks=1, seed=1)
    experiment = Experiment(plan=trials, server=Server.MYSQL, scale=0.1, seed=1, releases={})
    record = PlannedCampaign(
        id="x",
        started_utc="2026-01-01T00:00:00Z",
        title="t",
        platform="real hosts",
        control=False,
        seed=1,
        options={},
        plan=trials,
        stopping=None,
        git_commit="c",
        tools={},
    )
    host, notes = Obedient(), Notes()
    with writer.create(tmp_path, record) as directory, suppress(KmlbenchError):
        CampaignRun(
            experiment=experiment,
            machines=lambda *_: nullcontext(Booted(host=host, facts={})),
            directory=directory,
            progress=notes,
        ).run()
    passwords = set(re.findall(r"^password=(.*)$", "\n".join(host.inputs), re.MULTILINE))
    assert len(passwords) >= 2
    assert all(re.fullmatch("[0-9a-f]{32}", password) for password in passwords)
    kept = [path.read_text() for path in tmp_path.rglob("*") if path.is_file()]
    assert len(kept) > len(trials)
    for password in passwords:
        assert not [text for text in (*kept, *host.commands, *notes.told) if password in text]


def test_a_password_file_is_written_for_its_reader_alone() -> None:
    host = Obedient()
    with mysql.running_server(host, Prefix.USR, Server.MYSQL) as handle:
        assert handle.password not in repr(handle)
    written = [line for line, text in zip(host.commands, host.inputs, strict=True) if handle.password in text]
    assert len(written) == 2
    assert all("umask 077" in line for line in written)


@pytest.mark.parametrize("server", list(Server))
def test_the_server_listens_on_loopback_alone(server: Server) -> None:
    options = arguments(server, "/run/x", "mysql", 13306)
    assert "--bind-address=127.0.0.1" in options
    assert server is Server.MARIADB or "--mysqlx=OFF" in options


def test_a_guest_can_be_reached_by_loopback_alone() -> None:
    path = Path("/k")
    spec = GuestSpec(
        name="g",
        kernel=KernelArtifact(kernel=Kernel.KML, release="r", image=path, config=path, key="k"),
        image=ImageArtifact(
            server=Server.MYSQL, root=path, packages=path, host_key="k", client_key=path, key="k"
        ),
        memory_mb=512,
        cpus=1,
        cpu_model="max",
        clock=Clock.TIME,
        acceleration=Acceleration.TCG,
        seed=1,
    )
    argv = qemu_argv(spec, port=2222, console="socket,id=console,fd=3")
    line = " ".join(argv)
    assert re.findall(r"hostfwd=(\S*)", line) == ["tcp:127.0.0.1:2222-:22"]
    assert argv.count("-netdev") == 1
    for other in ("-vnc", "-spice", "-qmp", "-gdb", "tcp::", "0.0.0.0", "telnet"):
        assert other not in line
    assert argv[argv.index("-monitor") + 1] == argv[argv.index("-display") + 1] == "none"


def test_keys_of_a_guest_are_for_their_owner_alone(tmp_path: Path) -> None:
    stage, directory = tmp_path / "stage", tmp_path / "image"
    (stage / "etc/ssh").mkdir(parents=True)
    directory.mkdir()
    image.add_keys(stage, directory, "test")
    for key in (directory / "client_key", stage / "etc/ssh/ssh_host_ed25519_key"):
        assert key.stat().st_mode & 0o777 == 0o600
    assert (stage / "root/.ssh").stat().st_mode & 0o077 == 0


def test_the_database_of_a_host_cannot_ask_for_files_of_the_controller() -> None:
    """Unless it is asked to, PyMySQL does not offer to send the files that a server asks for."""
    connection = pymysql.connections.Connection(defer_connect=True)
    assert connection.client_flag & CLIENT.LOCAL_FILES == 0
