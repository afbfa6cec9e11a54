# SPDX-License-Identifier: MIT
"""Machines that let in no root: a user who becomes root by the real sudo, behind a real gate.

The server is MariaDB, whose data are made in a fraction of MySQL's time; MySQL's are made by the tutorial.
elm is bare and is prepared; oak has what the image of a guest has, which is the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from support.guest_programs import check

from kmlbench.build.artifacts import ImageArtifact
from kmlbench.cli.main import main, run_benchmark
from kmlbench.errors import HostError
from kmlbench.hosts.kind_ssh import SshHostSpec
from kmlbench.hosts.login import Login
from kmlbench.hosts.qemu import GuestSpec, boot
from kmlbench.hosts.ssh import SshHost
from kmlbench.model import Completed, Host, Kernel, Prefix, Server
from kmlbench.results import reader
from kmlbench.servers import server

pytestmark = pytest.mark.guest

FORWARDED = re.compile(r"hostfwd=tcp:127\.0\.0\.1:(\d+)")
# A bare machine with a Debian, as in tests/support/powered_machine.py.
BARE = """
set -eu
rm -rf /trusted /usr/share/kmlbench /var/lib/kmlbench
find /usr/lib/kmlbench -type f ! -name init -delete
"""
USERS = """
set -eu
for user in bench asked; do
    number=$((1000 + $(wc -l < /etc/passwd)))
    echo "$user:*:$number:$number::/home/$user:/bin/sh" >> /etc/passwd
    install --directory --owner=$user /home/$user
    install --directory --owner=$user --mode=0700 /home/$user/.ssh
    install --owner=$user --mode=0600 ~/.ssh/authorized_keys /home/$user/.ssh/authorized_keys
done
echo 'bench ALL=(root) NOPASSWD: ALL' > /etc/sudoers.d/bench
echo 'asked ALL=(root) ALL' > /etc/sudoers.d/asked
chmod 0440 /etc/sudoers.d/bench /etc/sudoers.d/asked
"""
PLACES = "/trusted /usr/share/kmlbench /var/lib/kmlbench /usr/lib/kmlbench/* /run/kmlbench*"
HOSTS = """
hosts:
{hosts}
campaign:
  stock: oak
  kml: elm
  server: mariadb
  workloads: [getpid]
  blocks: 1
  scale: 0.02
"""
# Root logs in at the gate, which is the machine itself; the user does behind it.
HOST = """
  {name}:
    kind: ssh
    kernel: {kernel}
    address: 127.0.0.1
    user: {user}
    key: {key}
    host_key: {host_key}
    sudo: true
    jump: {{address: 127.0.0.1, port: {port}, user: root, key: {key}, known_hosts: known_hosts}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """Two machines, the connections of their root, and a hosts.yaml in which they are oak and elm."""

    roots: dict[str, SshHost]
    ports: dict[str, int]
    image: ImageArtifact
    directory: Path

    def hosts(self, user: str) -> Path:
        entries = (
            HOST.format(
                name=name,
                kernel={"oak": "stock", "elm": "kml"}[name],
                user=user,
                port=port,
                key=self.image.client_key,
                host_key=self.image.host_key,
            )
            for name, port in self.ports.items()
        )
        path = self.directory / f"{user}.yaml"
        path.write_text(HOSTS.format(hosts="".join(entries)))
        return path


@pytest.fixture(scope="module")
def house(
    stock_spec: GuestSpec,
    kml_spec: GuestSpec,
    mariadb_image: ImageArtifact,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[House]:
    directory = tmp_path_factory.mktemp("house")
    roots, ports = {}, {}
    with ExitStack() as stack:
        for name, spec in (("oak", stock_spec), ("elm", kml_spec)):
            roots[name] = stack.enter_context(
                boot(replace(spec, image=mariadb_image), directory=directory / name)
            )
            match = FORWARDED.search((directory / name / "qemu.txt").read_text())
            assert match
            ports[name] = int(match[1])
            check(roots[name], "sh", "-c", USERS)
        check(roots["elm"], "sh", "-c", BARE)
        known = (f"[127.0.0.1]:{port} {mariadb_image.host_key}\n" for port in ports.values())
        (directory / "known_hosts").write_text("".join(known))
        yield House(roots=roots, ports=ports, image=mariadb_image, directory=directory)


def test_a_campaign_of_a_user_who_becomes_root(
    house: House, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hosts, results = str(house.hosts("bench")), str(tmp_path / "results")
    assert main(["host", "check", "elm", "--hosts", hosts]) == 4
    assert main(["host", "prepare", "elm", "--hosts", hosts]) == 0
    assert main(["host", "check", "elm", "--hosts", hosts]) == 0
    with door(house, "elm") as host, server.running_server(host, Prefix.TRUSTED, Server.MARIADB) as handle:
        # The server's own answers come through the gate, too.
        with closing(host.dial(handle.port)) as stream:
            stream.settimeout(60)
            # The first packet of MySQL's protocol: three bytes of length, its number 0, and version 10.
            assert stream.recv(5)[3:] == b"\x00\x0a"
        assert "KernelMode:\t1" in host.run(("cat", f"/proc/{handle.pid}/status"), timeout_s=60).stdout
    assert run_benchmark(["--hosts", hosts, "--results", results]) == 0
    stored = reader.read_campaign(Path(results) / "latest")
    assert stored.campaign.platform == "real hosts"
    completed = [outcome for outcome in stored.outcomes if isinstance(outcome, Completed)]
    assert sorted(outcome.proof.cpl for outcome in completed) == [0, 3, 3, 3]
    root = house.roots["elm"]
    # What was installed below /trusted is root's, whoever logged in.
    assert check(root, "sh", "-c", "find /trusted ! -user root; stat -c %a /trusted") == "700\n"
    assert main(["host", "clean", "elm", "--hosts", hosts]) == 0
    left = check(root, "sh", "-c", f"ls -d {PLACES} 2>/dev/null; true")
    assert left == "/usr/lib/kmlbench/init\n"
    assert "elm: clean" in capsys.readouterr().out


def test_a_command_that_runs_as_root_ends_at_its_deadline(house: House) -> None:
    with door(house, "oak") as host:
        with pytest.raises(HostError, match="did not end within"):
            host.run(("sleep", "4711"), timeout_s=1)
        # The user may not kill it: root's own timeout does, a little later.
        script = (
            "for try in $(seq 150); do pgrep -x sleep -a | grep -q 4711 || exit 0; sleep 0.1; done; exit 1"
        )
        check(house.roots["oak"], "sh", "-c", script)


def test_a_sudo_that_asks_for_a_password_is_said_with_the_remedy(
    house: House, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["host", "check", "oak", "--hosts", str(house.hosts("asked"))]) == 4
    printed = capsys.readouterr().err
    assert "asked@127.0.0.1:22 through root@127.0.0.1:" in printed
    assert "does not become root by sudo: " in printed
    assert "sudo: a password is required" in printed
    assert "NOPASSWD" in printed


def door(house: House, name: str) -> AbstractContextManager[Host]:
    """A connection to a machine as hosts.yaml describes it."""
    key, host_key = house.image.client_key, house.image.host_key
    gate = Login(address="127.0.0.1", port=house.ports[name], user="root", key=key, host_key=host_key)
    inner = SshHostSpec(
        name=name,
        kernel=Kernel.STOCK,
        address="127.0.0.1",
        user="bench",
        key=key,
        host_key=host_key,
        jump=gate,
        sudo=True,
    )
    return inner.connection()
