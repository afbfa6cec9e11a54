# SPDX-License-Identifier: MIT
"""kind: ssh, a machine that already runs, reached over SSH."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from kmlbench.build.image import NOTHING, Extras
from kmlbench.errors import HostError
from kmlbench.hosts import reboot
from kmlbench.hosts.base import Booted, Claim, Job, Machines, Ready, by_pair
from kmlbench.hosts.login import Login
from kmlbench.hosts.spec import CONNECT_DEADLINE_S, HostSpec
from kmlbench.hosts.ssh import reach
from kmlbench.model import Boot, Host, Kernel, Platform, Server
from kmlbench.results.command_line import differing
from kmlbench.results.facts import digest
from kmlbench.rules import flag_field, number, plain_field

ALIKE = "a boot must mean the same on both"

REBOOTED = "the hosts are rebooted for each boot of the plan"

ALIKE_LINES = "give both kernels the same options (GRUB_CMDLINE_LINUX in /etc/default/grub) and reboot"

CONNECTED = "the hosts are not rebooted: a boot of the plan is a connection to the running kernel"


@dataclass(frozen=True, slots=True, kw_only=True)
class SshHostSpec(Login, HostSpec):
    """A machine that is already running. The connection goes through `jump`, if there is one.

    With `sudo`, commands become root's by sudo without a password. With `reboot`, the suite may reboot the
    machine, which then has `boot_deadline_s` seconds to come back.
    """

    kind: ClassVar[str] = "ssh"
    about: ClassVar[str] = "a machine that is already running"
    outlasts: ClassVar[bool] = True

    name: str
    kernel: Kernel = field(metadata=plain_field("which of the two kernels it runs"))
    jump: Login | None = field(
        default=None,
        metadata=plain_field(
            "a jump host that the connection goes through: address, port, user, key, host_key or known_hosts"
        ),
    )
    sudo: bool = field(
        default=False,
        metadata=flag_field("whether `user` becomes root with sudo, which must not ask for a password"),
    )
    reboot: bool = field(
        default=False,
        metadata=flag_field(
            "whether the suite may reboot it; then every boot of the plan is a reboot, else a connection"
        ),
    )
    boot_deadline_s: int = field(
        default=600, metadata=number("seconds it may take to come back from a reboot", 10, 7200)
    )

    @property
    def description(self) -> str:
        return f"{self.name} ({self.address})"

    @property
    def machine(self) -> str:
        """Its address and port, and those of its jump host: an address may exist behind several of them."""
        through = f" through {self.jump.address}, port {self.jump.port}" if self.jump else ""
        return f"{plain_address(self.address)}, port {self.port}{through}".lower()

    @property
    def claim(self) -> Claim:
        """The machine by its host key, if that is known: it may have several addresses."""
        identity = " ".join(self.host_key.split()[:2]) if self.host_key else f"{self.address}:{self.port}"
        return Claim(key=f"host-{digest(identity)[:20]}", name=f"host {self.name}")

    @classmethod
    def conflicts(cls, given: Mapping[str, object]) -> Iterator[tuple[str, str]]:
        user = given.get("user", "root")
        if user != "root" and not given.get("sudo"):
            yield "user", f"{user!r} is not root; set sudo: true if sudo asks for no password"

    def same_machine(self, other: HostSpec) -> str:
        if not isinstance(other, SshHostSpec) or self.machine == other.machine:
            return HostSpec.same_machine(self, other)
        keys = {" ".join(host.host_key.split()[:2]) for host in (self, other)}
        addresses = {plain_address(host.address) for host in (self, other)}
        if len(keys) == 1 and keys != {""} and len(addresses) == 2 and self.jump == other.jump:
            return "they present the same host_key"
        return ""

    def differences(self, other: HostSpec) -> Iterator[str]:
        if isinstance(other, SshHostSpec) and other.reboot is not self.reboot:
            yield f"reboot: {ALIKE}"

    def unusable(self) -> Iterator[tuple[tuple[str, ...], HostError]]:
        yield from (((name,), error) for name, error in self.faults())
        if self.jump is not None:
            yield from ((("jump", name), error) for name, error in self.jump.faults())

    def outlook(self, server: Server, kernels: Iterable[Kernel], extras: Extras = NOTHING) -> Iterator[str]:
        del server, kernels, extras
        yield REBOOTED if self.reboot else CONNECTED

    @classmethod
    def prepare(cls, pairs: Sequence[Mapping[Kernel, SshHostSpec]], job: Job) -> Ready:
        job.progress.stage("connecting")
        for pair in pairs:
            _require_two(pair)
            _require_alike([host for host in pair.values() if not host.reboot])
        return Ready(
            machines=by_pair([running_hosts(pair) for pair in pairs]),
            platform=Platform.HOSTS,
            clock=None,
            releases={kernel: _common_release([pair[kernel] for pair in pairs]) for kernel in pairs[0]},
        )

    def connection(self, deadline_s: float = CONNECT_DEADLINE_S) -> AbstractContextManager[Host]:
        return reach(self, deadline_s=deadline_s, name=self.name, sudo=self.sudo)

    def command_line(self, deadline_s: float = CONNECT_DEADLINE_S) -> str:
        """Its kernel's command line. Raises HostError if it does not answer."""
        with self.connection(deadline_s) as host:
            return host.run(("cat", "/proc/cmdline"), timeout_s=CONNECT_DEADLINE_S).stdout

    def boot_id(self) -> str:
        """Which boot of which machine it is. Raises HostError if it does not answer."""
        with self.connection() as host:
            return reboot.boot_id(host)

    def release(self) -> str:
        """Its kernel release. Raises HostError if it does not answer."""
        with self.connection() as host:
            return host.run(("uname", "-r"), timeout_s=CONNECT_DEADLINE_S).stdout.strip()


def running_hosts(hosts: Mapping[Kernel, SshHostSpec]) -> Machines:
    """A boot of the plan is a reboot if hosts.yaml allows it, else a connection."""

    @contextmanager
    def boot(planned: Boot, directory: Path) -> Iterator[Booted]:
        spec = hosts[planned.kernel]
        if spec.reboot:
            reboot.reboot(spec.name, spec.connection, deadline_s=spec.boot_deadline_s)
        with spec.connection() as host:
            (directory / "boot_id").write_text(reboot.boot_id(host) + "\n")
            yield Booted(host=host, facts={"boots_are": "reboots" if spec.reboot else "connections"})

    return boot


def plain_address(address: str) -> str:
    """An IP address in its shortest form, and localhost as what it stands for; other names as they are."""
    try:
        return str(ipaddress.ip_address({"localhost": "127.0.0.1"}.get(address.lower(), address)))
    except ValueError:
        return address


def _require_two(pair: Mapping[Kernel, SshHostSpec]) -> None:
    """Raises HostError if the two hosts of a pair are one machine under two names."""
    boots = {host.name: host.boot_id() for host in pair.values()}
    if len(set(boots.values())) < len(boots):
        raise HostError(
            f"{' and '.join(boots)} are one machine: both run the boot {next(iter(boots.values()))}",
            remedy="name two machines, one for each kernel",
        )


def _require_alike(hosts: Sequence[SshHostSpec]) -> None:
    """Raises HostError for two hosts whose kernels were started differently."""
    if len(hosts) < 2:
        return
    if difference := differing({host.name: host.command_line() for host in hosts}):
        raise HostError(f"the command lines of the kernels differ: {difference}", remedy=ALIKE_LINES)


def _common_release(arm: Sequence[SshHostSpec]) -> str:
    """The kernel release of all hosts of an arm. Raises HostError if they differ."""
    releases = {host.name: host.release() for host in arm}
    if len(set(releases.values())) > 1:
        listed = ", ".join(f"{name} runs {release}" for name, release in releases.items())
        raise HostError(
            f"the pairs of this campaign have different kernels: {listed}",
            remedy="boot the same two kernels on every pair of hosts",
        )
    return releases[arm[0].name]
