# SPDX-License-Identifier: MIT
"""The hosts of hosts.yaml as frozen data, and the rule of each of their fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from kmlbench.config.rules import File, Flag, Integer, OneOf, Part, Schema, Text, mapping
from kmlbench.config.yamlfile import NAME, Faults, Fields, Value
from kmlbench.model import Clock, Kernel

ONE_CPU = "a clock that counts instructions needs one CPU; use clock: time for more"

PROOF = "say which key the host must show: either host_key or known_hosts"

BOOT_DEADLINE_S = 600


class Kind(StrEnum):
    """How a host is reached: a guest that the project boots, or a machine that is already running."""

    QEMU = "qemu"
    SSH = "ssh"


@dataclass(frozen=True, slots=True, kw_only=True)
class QemuHostSpec:
    """A guest; memory is in MiB.

    `clock` INSTRUCTIONS needs one CPU and QEMU's translator. None is time where KVM runs the guest, else
    instructions if it has one CPU.
    """

    name: str
    kernel: Kernel
    memory_mb: int
    cpus: int
    cpu_model: str
    clock: Clock | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where an SSH server is, who logs in with which private key, and how the server is known.

    Either `host_key` is its public key ("ssh-ed25519 AAAA..."), or `known_hosts` a file that has it. `where`
    says of each field that names a key or a file where it stands.
    """

    address: str
    port: int
    user: str
    key: Path
    host_key: str = ""
    known_hosts: Path | None = None
    where: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SshHostSpec(Address):
    """A machine of the user's. `jump` is a host that the connection goes through.

    With `sudo`, commands become root's by sudo without a password. With `reboot`, the suite may reboot the
    machine, which then has `boot_deadline_s` seconds to come back.
    """

    name: str
    kernel: Kernel
    jump: Address | None = None
    sudo: bool = False
    reboot: bool = False
    boot_deadline_s: int = BOOT_DEADLINE_S


HostSpec = QemuHostSpec | SshHostSpec

KIND = OneOf(key="kind", kind=Kind, about="qemu: a guest that is built and booted; ssh: a machine of yours")

KERNEL = OneOf(key="kernel", kind=Kernel, about="which of the two kernels it runs")

MEMORY = Integer(key="memory_mb", minimum=512, maximum=1 << 20, about="the guest's memory in MiB")

CPUS = Integer(key="cpus", minimum=1, maximum=64, about="the guest's processors")

MODEL = Text(key="cpu_model", about="QEMU's name of the processor: max, or host under KVM")

CLOCK = OneOf(
    key="clock",
    kind=Clock,
    required=False,
    about="what the guest's clock counts; without it time where KVM really runs guests, else instructions",
)

ADDRESS = Text(
    key="address",
    pattern=r"[A-Za-z0-9_][A-Za-z0-9_.:-]*",
    wanted="a name or an address, IPv6 without brackets",
    about="the name or address of its SSH server",
)

PORT = Integer(key="port", minimum=1, maximum=65535, default=22, about="the port of its SSH server")

USER = Text(
    key="user",
    pattern=r"[A-Za-z_][A-Za-z0-9_.-]*",
    wanted="the name of a user",
    about="who logs in: root, or a user who becomes root by sudo",
)

KEY = File(key="key", about="the private key that logs in: a file, unencrypted, that nobody else can read")

HOST_KEY = Text(
    key="host_key",
    required=False,
    pattern=r"(ssh-ed25519|ssh-rsa|ecdsa-sha2-[a-z0-9-]+) [A-Za-z0-9+/]+={0,3}( [^\x00-\x1f\x7f]*)?",
    wanted="the host's public key, such as 'ssh-ed25519 AAAA...'",
    about="the public key that it must show, a line of its ssh_host_ed25519_key.pub",
)

KNOWN_HOSTS = File(
    key="known_hosts",
    required=False,
    about="in place of host_key: a file as ssh keeps it that has the host's key, such as ~/.ssh/known_hosts",
)

SUDO = Flag(key="sudo", about="whether `user` becomes root by sudo, which must not ask for a password")

REBOOT = Flag(
    key="reboot",
    about="whether the suite may reboot the machine; then every boot of the plan is one, else a connection",
)

BOOT_DEADLINE = Integer(
    key="boot_deadline_s",
    minimum=10,
    maximum=7200,
    default=BOOT_DEADLINE_S,
    about="how many seconds it has to come back from a reboot",
)

ADDRESS_RULES = (ADDRESS, PORT, USER, KEY, HOST_KEY, KNOWN_HOSTS)

KNOWN_BY: Schema = {"oneOf": [{"required": [HOST_KEY.key]}, {"required": [KNOWN_HOSTS.key]}]}

JUMP = Part(
    key="jump",
    required=False,
    form=mapping(ADDRESS_RULES, also=KNOWN_BY),
    about="a host that the connection goes through: address, port, user, key, host_key or known_hosts",
)

RULES = {
    Kind.QEMU: (KIND, KERNEL, MEMORY, CPUS, MODEL, CLOCK),
    Kind.SSH: (KIND, KERNEL, *ADDRESS_RULES, JUMP, SUDO, REBOOT, BOOT_DEADLINE),
}


def read(section: Value, faults: Faults) -> Mapping[str, HostSpec | None]:
    """The hosts of the section `hosts` by name, None where something is wrong, which is added to `faults`."""
    return {name: _sound(name, value, faults) for name, value in Fields(section, faults, "hosts")}


def _sound(name: str, value: Value, faults: Faults) -> HostSpec | None:
    own = Faults()
    host = _host(name, value, own)
    faults.found += own.found
    return None if own.found else host


def _host(name: str, value: Value, faults: Faults) -> HostSpec | None:
    if not NAME.fullmatch(name):
        faults.add(value.place, f"hosts: {name!r} is not a name (letters, digits, '.', '_', '-')")
    fields = Fields(value, faults, f"host {name!r}")
    before = len(faults.found)
    kind = KIND.read(fields)
    if len(faults.found) > before:
        # Which fields it may have, the kind alone says.
        return None
    match kind:
        case Kind.QEMU:
            host: HostSpec = _qemu(name, fields)
        case Kind.SSH:
            host = _ssh(name, fields, faults, Path(value.source).parent)
    fields.finish()
    return host


def _qemu(name: str, fields: Fields) -> QemuHostSpec:
    spec = QemuHostSpec(
        name=name,
        kernel=KERNEL.read(fields),
        memory_mb=MEMORY.read(fields),
        cpus=CPUS.read(fields),
        cpu_model=MODEL.read(fields),
        clock=CLOCK.read_if_there(fields),
    )
    if spec.cpus > 1 and spec.clock is Clock.INSTRUCTIONS:
        fields.fault(CPUS.key, ONE_CPU)
    return spec


def _ssh(name: str, fields: Fields, faults: Faults, directory: Path) -> SshHostSpec:
    door, jump = _address(fields, directory), JUMP.read(fields)
    spec = SshHostSpec(
        name=name,
        kernel=KERNEL.read(fields),
        address=door.address,
        port=door.port,
        user=door.user,
        key=door.key,
        host_key=door.host_key,
        known_hosts=door.known_hosts,
        where=door.where,
        jump=None if jump is None else _jump(name, jump, faults, directory),
        sudo=SUDO.read(fields),
        reboot=REBOOT.read(fields),
        boot_deadline_s=BOOT_DEADLINE.read(fields),
    )
    if spec.user not in ("root", "") and not spec.sudo:
        fields.fault(USER.key, f"{spec.user!r} is not root; say sudo: true if sudo asks for no password")
    return spec


def _jump(name: str, value: Value, faults: Faults, directory: Path) -> Address:
    fields = Fields(value, faults, f"host {name!r}: {JUMP.key}")
    door = _address(fields, directory)
    fields.finish()
    return door


def _address(fields: Fields, directory: Path) -> Address:
    found = Address(
        address=ADDRESS.read(fields),
        port=PORT.read(fields),
        user=USER.read(fields),
        key=KEY.path(fields, directory),
        host_key=HOST_KEY.read_if_there(fields),
        known_hosts=KNOWN_HOSTS.path_if_there(fields, directory),
        where={rule.key: fields.where(rule.key) for rule in (KEY, HOST_KEY, KNOWN_HOSTS)},
    )
    if fields.has(HOST_KEY.key) == fields.has(KNOWN_HOSTS.key):
        fields.fault(HOST_KEY.key, PROOF)
    return found
