# SPDX-License-Identifier: MIT
"""What the controller says of a guest, and which parts of it may differ between the kernels."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from support.fake_host import Exchange, FakeHost

from kmlbench import model
from kmlbench.build.artifacts import ImageArtifact, KernelArtifact
from kmlbench.build.cache import Cache
from kmlbench.build.instrument import Instrument, Unavailable
from kmlbench.errors import HostError
from kmlbench.hosts import kind_qemu, kind_ssh, qemu, reboot
from kmlbench.hosts.base import Job, Machines
from kmlbench.hosts.kind_qemu import Builds, QemuHostSpec
from kmlbench.hosts.kind_ssh import SshHostSpec
from kmlbench.hosts.login import Login
from kmlbench.model import Acceleration, Clock, Kernel, Server
from kmlbench.plan import schedule
from kmlbench.plan.comparisons import CELLS
from kmlbench.progress import Silent
from kmlbench.run import setup
from kmlbench.servers import daemon

WORKLOADS = {"getpid": False}


@pytest.fixture
def builds(tmp_path: Path) -> Builds:
    packages = tmp_path / "packages"
    packages.write_text("mysql-server-core 9.7\n")
    image = ImageArtifact(
        server=Server.MYSQL,
        root=tmp_path / "root.img",
        packages=packages,
        host_key="ssh-ed25519 AAAA",
        client_key=tmp_path / "key",
        key="image-key",
    )
    return Builds(
        kernels={kernel: _kernel(kernel, tmp_path) for kernel in Kernel},
        image=image,
        acceleration=Acceleration.TCG,
        clock=Clock.INSTRUCTIONS,
    )


def _kernel(kernel: Kernel, directory: Path) -> KernelArtifact:
    return KernelArtifact(
        kernel=kernel,
        release=f"6.12.117-{kernel}",
        image=directory / kernel / "bzImage",
        config=directory / kernel / "config",
        key=f"{kernel}-key",
    )


def hosts(**changed: int) -> dict[Kernel, QemuHostSpec]:
    return {
        kernel: QemuHostSpec(
            name=f"{kernel}-guest",
            kernel=kernel,
            memory_mb=changed.get("memory_mb", 1024) if kernel is Kernel.KML else 1024,
            cpus=1,
            cpu_model="max",
            clock=Clock.INSTRUCTIONS,
        )
        for kernel in Kernel
    }


@pytest.fixture
def booted(monkeypatch: pytest.MonkeyPatch) -> list[qemu.GuestSpec]:
    """The specifications of the guests that were booted."""
    specs: list[qemu.GuestSpec] = []

    @contextmanager
    def boot(spec: qemu.GuestSpec, *, directory: Path) -> Iterator[FakeHost]:
        assert directory == Path("boot")
        specs.append(spec)
        yield FakeHost()

    monkeypatch.setattr(qemu, "boot", boot)
    return specs


def test_the_guests_of_a_block_differ_in_the_kernel_alone(
    builds: Builds, booted: list[qemu.GuestSpec]
) -> None:
    boot = kind_qemu.guests(hosts(), builds, seed=9)
    facts = {}
    trials = schedule.make_schedule(CELLS, WORKLOADS, blocks=2, seed=9)
    for planned in schedule.boots(trials, WORKLOADS):
        with boot(planned, Path("boot")) as result:
            facts[planned.kernel] = result.facts
    assert {name for name, value in facts[Kernel.STOCK].items() if facts[Kernel.KML][name] != value} == {
        "kernel_key"
    }
    assert [spec.seed for spec in booted] == [9, 9, 10, 10]
    assert {spec.kernel.kernel for spec in booted[:2]} == set(Kernel)


def test_an_instrument_that_can_be_told_when_to_count_has_a_conversation(
    builds: Builds, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    plugin = Instrument(plugin=tmp_path / "plugin.so", format=1, interface=1, on_demand=True)

    @contextmanager
    def boot(spec: qemu.GuestSpec, *, directory: Path) -> Iterator[FakeHost]:
        argv = qemu.qemu_argv(spec, port=1, console="c", windows=directory / qemu.WINDOWS)
        assert argv[-1].endswith(f"/windows,control={spec.control}")
        assert spec.control is not None
        with socket.socket(fileno=os.dup(spec.control)) as qemus:
            qemus.send(b"counting")
        yield FakeHost()

    monkeypatch.setattr(qemu, "boot", boot)
    (planned, *_) = schedule.boots(schedule.make_schedule(CELLS, WORKLOADS, blocks=1, seed=9), WORKLOADS)
    machines = kind_qemu.guests(hosts(), replace(builds, instrument=plugin), seed=9)
    with machines(planned, tmp_path) as opened:
        assert opened.recording is not None
        assert opened.recording.control is not None
        assert opened.recording.control.recv(100) == b"counting"
        # QEMU's end is QEMU's alone, so that its end is seen.
        assert opened.recording.control.recv(100) == b""


def test_the_instrument_is_a_fact_and_its_file_is_the_trials(
    builds: Builds, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    plugin = Instrument(plugin=tmp_path / "kmlbench,windows.so", format=1, interface=4, on_demand=False)

    @contextmanager
    def boot(spec: qemu.GuestSpec, *, directory: Path) -> Iterator[FakeHost]:
        (directory / qemu.WINDOWS).write_text("kmlbench-windows 1\n")
        argv = qemu.qemu_argv(spec, port=1, console="c", windows=directory / qemu.WINDOWS)
        if spec.instrument:
            assert argv[-2:] == ("-plugin", f"{tmp_path}/kmlbench,,windows.so,output={directory}/windows")
        assert ("-plugin" in argv) is (spec.instrument is not None)
        yield FakeHost()

    monkeypatch.setattr(qemu, "boot", boot)
    (planned, *_) = schedule.boots(schedule.make_schedule(CELLS, WORKLOADS, blocks=1, seed=9), WORKLOADS)
    facts = {}
    for item in (plugin, Unavailable(reason="QEMU has no plugins")):
        with kind_qemu.guests(hosts(), replace(builds, instrument=item), seed=9)(planned, tmp_path) as opened:
            facts[opened.recording is not None] = dict(opened.facts)
        assert not (tmp_path / qemu.WINDOWS).exists()
    assert facts[True].pop("instrument") == "kmlbench-windows, format 1, QEMU's plugin interface 4"
    assert facts[False].pop("instrument") == "not loaded: QEMU has no plugins"
    assert facts[True] == facts[False]


@pytest.mark.parametrize(
    ("asked", "cpus", "acceleration", "note"),
    [
        (False, 1, Acceleration.TCG, ""),
        (True, 2, Acceleration.TCG, "one CPU"),
        (True, 1, Acceleration.KVM, "under TCG only"),
    ],
)
def test_a_campaign_without_the_instrument_says_so_unless_it_asked_for_none(
    asked: bool, cpus: int, acceleration: Acceleration, note: str, tmp_path: Path
) -> None:
    job = Job(
        server=Server.MYSQL, seed=1, cache=Cache(tmp_path), progress=(notes := Notes()), instrument=asked
    )
    host = replace(hosts()[Kernel.STOCK], cpus=cpus, clock=None)
    assert isinstance(kind_qemu.choose_instrument(host, acceleration, job), Unavailable)
    assert [note in text for text in notes.texts] == ([True] if note else [])


class Notes(Silent):
    """Keeps the notes."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def note(self, text: str) -> None:
        self.texts.append(text)


def test_the_two_boots_of_a_control_do_not_share_their_random_numbers(
    builds: Builds, booted: list[qemu.GuestSpec]
) -> None:
    boot = kind_qemu.guests(hosts(), builds, seed=9)
    trials = schedule.make_control(CELLS[0], WORKLOADS, blocks=3, seed=9)
    for planned in schedule.boots(trials, WORKLOADS):
        with boot(planned, Path("boot")):
            pass
    assert len({spec.seed for spec in booted}) == len(booted) == 6


def test_a_guest_of_another_size_shows_in_the_facts(builds: Builds, booted: list[qemu.GuestSpec]) -> None:
    boot = kind_qemu.guests(hosts(memory_mb=2048), builds, seed=9)
    trials = schedule.make_schedule(CELLS, WORKLOADS, blocks=1, seed=9)
    arguments = set()
    for planned in schedule.boots(trials, WORKLOADS):
        with boot(planned, Path("boot")) as result:
            arguments.add(result.facts["qemu_arguments"])
    assert len(arguments) == len(booted) == 2


@pytest.mark.parametrize(
    ("cpus", "wanted", "actual", "settled"),
    [
        (1, None, Acceleration.TCG, (Acceleration.TCG, Clock.INSTRUCTIONS)),
        (1, None, Acceleration.KVM, (Acceleration.KVM, Clock.TIME)),
        (2, None, Acceleration.TCG, (Acceleration.TCG, Clock.TIME)),
        (1, Clock.TIME, Acceleration.TCG, (Acceleration.TCG, Clock.TIME)),
        (1, Clock.INSTRUCTIONS, Acceleration.KVM, (Acceleration.TCG, Clock.INSTRUCTIONS)),
    ],
)
def test_the_clock_follows_the_acceleration_unless_it_is_given(
    cpus: int, wanted: Clock | None, actual: Acceleration, settled: tuple[Acceleration, Clock]
) -> None:
    host = replace(hosts()[Kernel.KML], cpus=cpus, clock=wanted)
    assert kind_qemu.choose_acceleration(host, lambda: actual) == settled


SPEC = SshHostSpec(
    name="far",
    kernel=Kernel.KML,
    address="192.0.2.7",
    port=2222,
    user="bench",
    key=Path("key"),
    host_key="ssh-ed25519 AAAA",
    sudo=True,
    jump=Login(address="gate", port=22, user="me", key=Path("k"), known_hosts=Path("known")),
)
CLEAR = ("timeout", "120", "sh", "-c", "*", "sh", daemon.RUNTIME)
PLANNED = model.Boot(index=0, block=0, twin=0, kernel=Kernel.KML, groups=())


@dataclass(slots=True)
class Network:
    """Answers each connection with the next script, or with the error in its place."""

    scripts: list[list[Exchange] | HostError]
    asked: list[tuple[Login, dict[str, object]]] = field(default_factory=list)

    @contextmanager
    def reach(self, login: Login, **more: object) -> Iterator[FakeHost]:
        self.asked.append((login, more))
        script = self.scripts.pop(0)
        if isinstance(script, HostError):
            raise script
        with FakeHost(name="far", script=script) as host:
            yield host


def running(hosts: dict[Kernel, SshHostSpec]) -> Machines:
    """The machines of such hosts, as a campaign uses them."""
    return setup.cleared(kind_ssh.running_hosts(hosts))


def in_boot(name: str, *more: Exchange) -> list[Exchange]:
    return [Exchange(argv=("cat", reboot.BOOT_ID), stdout=f"{name}\n"), *more]


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Network:
    result = Network(scripts=[])
    monkeypatch.setattr(kind_ssh, "reach", result.reach)
    monkeypatch.setattr(reboot, "POLL_S", 0.0)
    return result


def test_a_host_that_runs_is_connected_to(network: Network, tmp_path: Path) -> None:
    left = Exchange(argv=CLEAR, stdout="/run/old\n")
    network.scripts += [in_boot("one", left), [Exchange(argv=("uname", "-r"), stdout="6.12.117-kml\n")]]
    with running({Kernel.KML: SPEC})(PLANNED, tmp_path) as result:
        assert result.host.name == "far"
        assert result.facts == {"boots_are": "connections"}
    assert (tmp_path / "boot_id").read_text() == "one\n"
    assert (tmp_path / "leftovers").read_text() == "/run/old\n"
    assert SPEC.release() == "6.12.117-kml"
    login, more = network.asked[0]
    assert (login.address, login.port, login.user, login.host_key) == (
        *("192.0.2.7", 2222, "bench"),
        "ssh-ed25519 AAAA",
    )
    assert login.jump == Login(address="gate", port=22, user="me", key=Path("k"), known_hosts=Path("known"))
    assert more["sudo"] is True


def test_two_kernels_that_were_started_differently_are_refused_before_anything_runs(network: Network) -> None:
    oak = replace(SPEC, name="oak", kernel=Kernel.STOCK)
    lines = ("root=/dev/sda1 quiet", "root=/dev/vda1 quiet mitigations=off")
    network.scripts += [in_boot("one"), in_boot("two")]
    network.scripts += [[Exchange(argv=("cat", "/proc/cmdline"), stdout=f"{line}\n")] for line in lines]
    job = Job(server=Server.MYSQL, seed=1, cache=Cache(Path("cache")), progress=Silent())
    with pytest.raises(HostError, match=r"(?s)differ: far alone has mitigations=off.*GRUB_CMDLINE_LINUX"):
        SshHostSpec.prepare([{Kernel.STOCK: oak, Kernel.KML: SPEC}], job)
    assert network.scripts == []


def test_two_names_of_one_machine_are_refused_when_it_answers(network: Network) -> None:
    network.scripts += [in_boot("one"), in_boot("one")]
    job = Job(server=Server.MYSQL, seed=1, cache=Cache(Path("cache")), progress=Silent())
    pair = {Kernel.STOCK: replace(SPEC, name="oak", kernel=Kernel.STOCK), Kernel.KML: SPEC}
    with pytest.raises(HostError, match="oak and far are one machine: both run the boot one"):
        SshHostSpec.prepare([pair], job)


SETTLED = Exchange(argv=("systemctl", "is-system-running", "--wait"), stdout="degraded\n", returncode=1)
LOST = HostError("far went away while it ran `reboot`")


def test_a_boot_of_a_host_that_may_be_rebooted_is_a_reboot(network: Network, tmp_path: Path) -> None:
    network.scripts += [
        in_boot("one", Exchange(argv=("reboot",), raises=LOST)),
        in_boot("one"),
        HostError("far did not answer"),
        in_boot("two", SETTLED),
        in_boot("two", Exchange(argv=CLEAR)),
    ]
    boot = running({Kernel.KML: replace(SPEC, reboot=True)})
    with boot(PLANNED, tmp_path) as result:
        assert result.facts == {"boots_are": "reboots"}
    assert (tmp_path / "boot_id").read_text() == "two\n"
    assert network.scripts == []


def test_a_host_that_may_not_reboot_says_why(network: Network, tmp_path: Path) -> None:
    refusal = Exchange(argv=("reboot",), returncode=1, stderr="Interactive authentication required.\n")
    network.scripts += [in_boot("one", refusal)]
    boot = running({Kernel.KML: replace(SPEC, reboot=True)})
    with (
        pytest.raises(HostError, match=r"(?s)far does not reboot: Interactive.*reboot: false"),
        boot(PLANNED, tmp_path),
    ):
        pytest.fail("it booted")


def test_a_host_that_does_not_come_back_is_given_up_at_its_deadline(
    network: Network, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(float(second) for second in range(100))
    # mypy: a module does not export what it imports.
    monkeypatch.setattr(reboot.time, "monotonic", lambda: next(clock))  # type: ignore[attr-defined]
    network.scripts += [in_boot("one", Exchange(argv=("reboot",))), in_boot("one")]
    network.scripts += [HostError("far did not answer")] * 10
    boot = running({Kernel.KML: replace(SPEC, reboot=True, boot_deadline_s=10)})
    text = r"(?s)far did not come back .* within 10 s: far did not answer.*boot_deadline_s"
    with pytest.raises(HostError, match=text), boot(PLANNED, tmp_path):
        pytest.fail("it booted")
