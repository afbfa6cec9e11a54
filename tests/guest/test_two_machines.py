# SPDX-License-Identifier: MIT
"""The tutorial for two machines, command by command, against guests that stand for the machines.

Every command of docs/two-machines.md is run as it stands there, by a shell, with the real ssh, scp, dpkg,
and commands of the project. What had to be replaced, and by what, is here and nowhere else:

* `kmlbench kernel deb`: compiling takes an hour or more. The packages are stand-ins with the same names,
  which hold the configuration of the kernels that the tests boot; dpkg really installs and purges them.
  tests/build/test_deb.py builds real ones.
* GRUB: the guests have none. tests/support/powered_machine.py boots what the packages put into /boot with
  the command line
  that the tutorial writes for GRUB; `reboot` and `update-grub` are stand-ins in the guest. The reboots are
  real.
* hosts.yaml: addresses, ports and keys are those of the guests; one block of `getpid` and
  `oltp_point_select` at a small scale instead of twenty blocks of everything.
* `sleep 5` is shorter.
* oak has a server's data where `prepare` would make it: making it takes half a minute, and is seen on elm.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from support.paths import REPOSITORY
from support.powered_machine import ARMED, USERS_OWN, Powered, powered, stand_ins

from kmlbench import process
from kmlbench.build import deb
from kmlbench.build.artifacts import ImageArtifact, KernelArtifact
from kmlbench.build.bases import DEFAULT
from kmlbench.hosts.qemu import GuestSpec
from kmlbench.hosts.ssh import SshHost, connect
from kmlbench.model import Completed, Kernel, Prefix, Server
from kmlbench.results import reader
from kmlbench.servers import server

TUTORIAL = REPOSITORY / "docs/two-machines.md"
BUILD = "kmlbench kernel deb config --output packages"
NAMES = {"oak": Kernel.STOCK, "elm": Kernel.KML}
COMMAND_TIMEOUT_S = 600.0
PLACES = "/trusted /usr/share/kmlbench /var/lib/kmlbench /usr/lib/kmlbench/*"

pytestmark = pytest.mark.guest


def blocks() -> list[str]:
    """The indented blocks of the tutorial."""
    result: list[list[str]] = [[]]
    for line in TUTORIAL.read_text().splitlines():
        if line.startswith("    "):
            result[-1].append(line[4:])
        elif result[-1]:
            result.append([])
    return ["\n".join(block) for block in result if block]


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """The third machine: a directory to work in, and two machines to reach."""

    directory: Path
    machines: dict[str, Powered]
    environment: dict[str, str]
    image: ImageArtifact

    def run(self, line: str) -> subprocess.CompletedProcess[str]:
        """What the shell of a user would do with a line of the tutorial."""
        return subprocess.run(
            ["bash", "-uc", line.replace("sleep 5", "sleep 0.2")],
            cwd=self.directory,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=COMMAND_TIMEOUT_S,
            check=False,
        )

    def connected(self, name: str) -> AbstractContextManager[SshHost]:
        return connect(
            "127.0.0.1",
            port=self.machines[name].port,
            user="root",
            key=self.image.client_key,
            host_key=self.image.host_key,
            deadline_s=120,
        )

    def on(self, name: str, script: str) -> str:
        with self.connected(name) as host:
            result = host.run(("sh", "-c", script), timeout_s=120)
        assert result.returncode == 0, result
        return result.stdout


@pytest.fixture
def desk(
    stock_spec: GuestSpec,
    stock_kernel: KernelArtifact,
    kml_kernel: KernelArtifact,
    mysql_image: ImageArtifact,
    tmp_path: Path,
) -> Iterator[Desk]:
    kernels = {built.release: built for built in (stock_kernel, kml_kernel)}
    with ExitStack() as stack:
        machines = {
            name: stack.enter_context(powered(replace(stock_spec, name=name), kernels, tmp_path / name))
            for name in NAMES
        }
        made = Desk(
            directory=tmp_path / "desk",
            machines=machines,
            environment=environment(tmp_path, machines, mysql_image),
            image=mysql_image,
        )
        made.directory.mkdir()
        for name in NAMES:
            made.on(name, stand_ins(stock_kernel.config.read_text(), keep_data=name == "oak"))
        yield made


def environment(directory: Path, machines: dict[str, Powered], image: ImageArtifact) -> dict[str, str]:
    """ssh and scp that know where the two machines are, before everything else in the PATH."""
    tools = directory / "tools"
    tools.mkdir()
    lines = ["IdentitiesOnly yes", "BatchMode yes", f"UserKnownHostsFile {directory / 'known_hosts'}"]
    known = []
    for name, machine in machines.items():
        lines += [f"Host {name}.example.org", "HostName 127.0.0.1", f"Port {machine.port}"]
        lines += [f"IdentityFile {image.client_key}"]
        known.append(f"[127.0.0.1]:{machine.port} {image.host_key}")
    (directory / "ssh_config").write_text("\n".join(lines) + "\n")
    (directory / "known_hosts").write_text("\n".join(known) + "\n")
    for tool in ("ssh", "scp"):
        program = process.require(tool)
        (tools / tool).write_text(f'#!/bin/sh\nexec {program} -F {directory / "ssh_config"} "$@"\n')
        (tools / tool).chmod(0o755)
    path = f"{tools}:{REPOSITORY / '.venv/bin'}:{os.environ['PATH']}"
    return {**os.environ, "PATH": path}


def stand_in_packages(output: Path, kernels: tuple[KernelArtifact, ...]) -> None:
    """What stands for the packages of `kmlbench kernel deb`: their names, and files in /boot."""
    output.mkdir()
    for built in kernels:
        tree = output / built.kernel
        (tree / "DEBIAN").mkdir(parents=True)
        (tree / "boot").mkdir()
        name = f"linux-image-{built.release}"
        (tree / "DEBIAN/control").write_text(
            f"Package: {name}\nVersion: 6.12.117-1\nArchitecture: amd64\n"
            "Maintainer: kmlbench <kmlbench@localhost>\nDescription: stand-in for a kernel\n"
        )
        (tree / f"boot/vmlinuz-{built.release}").write_text("a stand-in\n")
        (tree / f"boot/config-{built.release}").write_text(built.config.read_text())
        target = output / f"{name}_6.12.117-1_amd64.deb"
        process.check(("dpkg-deb", "--build", "--root-owner-group", str(tree), str(target)), timeout_s=60)


def small(text: str, desk: Desk) -> str:
    """The hosts.yaml of the tutorial for these guests, and a campaign that takes a minute."""
    for name, machine in desk.machines.items():
        text = text.replace(f"address: {name}.example.org", f"address: 127.0.0.1\n    port: {machine.port}")
    text = text.replace("~/.ssh/id_ed25519", str(desk.image.client_key))
    text = text.replace("~/.ssh/known_hosts", str(desk.directory.parent / "known_hosts"))
    text = re.sub(r"workloads: .*", "workloads: [getpid]", text)
    return text.replace("blocks: 20", "blocks: 1").replace("scale: 1", "scale: 0.02")


def test_the_tutorial_for_two_machines(
    desk: Desk, stock_kernel: KernelArtifact, kml_kernel: KernelArtifact
) -> None:
    text: dict[str, str] = {}
    for block in blocks():
        if "\nhosts:\n" in block:
            (desk.directory / "hosts.yaml").write_text(small(block, desk))
            continue
        for line in block.splitlines():
            if line == BUILD:
                deb.request(str(desk.directory / "config"), DEFAULT)
                stand_in_packages(desk.directory / "packages", (stock_kernel, kml_kernel))
                continue
            started = time.monotonic()
            done = desk.run(line)
            print(f"{time.monotonic() - started:6.1f} s  {line}")
            assert done.returncode == 0, (line, done.stdout, done.stderr)
            text[line] = done.stdout + done.stderr
            if line == "kmlbench host check elm":
                the_prepared_server_starts(desk)
    assert BUILD in "\n".join(blocks())
    the_commands_said(text)
    the_campaign_is_whole(desk, stock_kernel, kml_kernel)
    nothing_is_left(desk)


def the_commands_said(message: dict[str, str]) -> None:
    assert (
        "kml: armed: programs below /trusted start in kernel mode"
        in message["ssh root@elm.example.org 'dmesg | grep kml:'"]
    )
    assert "would make the directory /trusted (0700)" in message["kmlbench host prepare oak --dry-run"]
    assert "elm: prepared" in message["kmlbench host prepare elm"]
    assert "oak: ready for campaigns with mysql" in message["kmlbench host check oak"]
    assert "elm: ready for campaigns with mysql" in message["kmlbench host check elm"]
    assert "numbers of 4 trials match the raw output" in message["kmlbench verify results/latest"]
    assert "elm: clean" in message["kmlbench host clean elm"]


def the_prepared_server_starts(desk: Desk) -> None:
    """One start, from /trusted on the kml kernel, in place of the campaign's many."""
    with desk.connected("elm") as host, server.running_server(host, Prefix.TRUSTED, Server.MYSQL) as handle:
        seen = host.run(("cat", f"/proc/{handle.pid}/status"), timeout_s=60)
        assert "KernelMode:\t1" in seen.stdout


def the_campaign_is_whole(desk: Desk, stock: KernelArtifact, kml: KernelArtifact) -> None:
    latest = desk.directory / "results/latest"
    stored = reader.read_campaign(latest)
    assert stored.campaign.platform == "real hosts"
    assert {boot.facts["boots_are"] for boot in stored.facts} == {"reboots"}
    assert {boot.facts["kernel_release"] for boot in stored.facts} == {stock.release, kml.release}
    assert len({file.read_text() for file in latest.glob("raw/boot-*/boot_id")}) == 2
    levels = {
        (outcome.trial.variant.kernel, outcome.trial.variant.prefix): outcome.proof.cpl
        for outcome in stored.outcomes
        if isinstance(outcome, Completed)
    }
    assert sorted(levels.values()) == [0, 3, 3, 3]
    for machine in desk.machines.values():
        assert machine.boots >= 3
        assert f"{USERS_OWN} {ARMED}" in machine.last_loader


def nothing_is_left(desk: Desk) -> None:
    for name in NAMES:
        left = desk.on(name, f"ls -d {PLACES} 2>/dev/null; true").split()
        # What was there before `prepare` is not its own.
        assert left == ["/usr/lib/kmlbench/init", *(["/var/lib/kmlbench"] if name == "oak" else [])]
        assert desk.on(name, "ls /boot/vmlinuz-* /run/kmlbench* 2>/dev/null; true") == ""
