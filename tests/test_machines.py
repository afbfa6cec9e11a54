# SPDX-License-Identifier: MIT
"""What the controller says of a guest, and which parts of it may differ between the kernels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from kmlbench import machines, mysql, plan
from kmlbench.artifacts import ImageArtifact, KernelArtifact
from kmlbench.config import QemuHostSpec, SshHostSpec
from kmlbench.hosts import qemu
from kmlbench.hosts.fake import Exchange, FakeHost
from kmlbench.machines import Builds
from kmlbench.model import Acceleration, Clock, Kernel, Server

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
    boot = machines.guests(hosts(), builds, seed=9)
    facts = {}
    trials = plan.make(plan.VARIANTS, WORKLOADS, blocks=2, seed=9)
    for planned in plan.boots(trials, WORKLOADS):
        with boot(planned, Path("boot")) as found:
            facts[planned.kernel] = found.facts
    assert {name for name, value in facts[Kernel.STOCK].items() if facts[Kernel.KML][name] != value} == {
        "kernel_key"
    }
    assert [spec.seed for spec in booted] == [9, 9, 10, 10]
    assert {spec.kernel.kernel for spec in booted[:2]} == set(Kernel)


def test_the_two_boots_of_a_control_do_not_share_their_random_numbers(
    builds: Builds, booted: list[qemu.GuestSpec]
) -> None:
    boot = machines.guests(hosts(), builds, seed=9)
    trials = plan.make_control(plan.VARIANTS[0], WORKLOADS, blocks=3, seed=9)
    for planned in plan.boots(trials, WORKLOADS):
        with boot(planned, Path("boot")):
            pass
    assert len({spec.seed for spec in booted}) == len(booted) == 6


def test_a_guest_of_another_size_shows_in_the_facts(builds: Builds, booted: list[qemu.GuestSpec]) -> None:
    boot = machines.guests(hosts(memory_mb=2048), builds, seed=9)
    trials = plan.make(plan.VARIANTS, WORKLOADS, blocks=1, seed=9)
    arguments = set()
    for planned in plan.boots(trials, WORKLOADS):
        with boot(planned, Path("boot")) as found:
            arguments.add(found.facts["qemu_arguments"])
    assert len(arguments) == len(booted) == 2


@pytest.mark.parametrize(
    ("cpus", "wanted", "found", "settled"),
    [
        (1, None, Acceleration.TCG, (Acceleration.TCG, Clock.INSTRUCTIONS)),
        (1, None, Acceleration.KVM, (Acceleration.KVM, Clock.TIME)),
        (2, None, Acceleration.TCG, (Acceleration.TCG, Clock.TIME)),
        (1, Clock.TIME, Acceleration.TCG, (Acceleration.TCG, Clock.TIME)),
        (1, Clock.INSTRUCTIONS, Acceleration.KVM, (Acceleration.TCG, Clock.INSTRUCTIONS)),
    ],
)
def test_the_clock_follows_the_acceleration_unless_it_is_given(
    cpus: int, wanted: Clock | None, found: Acceleration, settled: tuple[Acceleration, Clock]
) -> None:
    host = replace(hosts()[Kernel.KML], cpus=cpus, clock=wanted)
    assert machines.settle(host, lambda: found) == settled


def test_a_host_that_runs_is_connected_to(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    asked: list[dict[str, object]] = []

    @contextmanager
    def connect(address: str, **more: object) -> Iterator[FakeHost]:
        asked.append({"address": address, **more})
        first = [Exchange(argv=("timeout", "120", "sh", "-c", "*", "sh", mysql.RUNTIME), stdout="/run/old\n")]
        later = [Exchange(argv=("uname", "-r"), stdout="6.12.117-kml\n")]
        yield FakeHost(name="far", script=first if len(asked) == 1 else later)

    monkeypatch.setattr(machines, "connect", connect)
    spec = SshHostSpec(
        name="far",
        kernel=Kernel.KML,
        address="192.0.2.7",
        port=2222,
        user="root",
        key=tmp_path / "key",
        host_key="ssh-ed25519 AAAA",
    )
    boot = machines.running_hosts({Kernel.KML: spec})
    planned = plan.Boot(index=0, block=0, twin=0, kernel=Kernel.KML, groups=())
    with boot(planned, tmp_path) as found:
        assert found.host.name == "far"
    assert (tmp_path / "leftovers").read_text() == "/run/old\n"
    assert machines.release(spec) == "6.12.117-kml"
    assert len(asked) == 2
    assert asked[0]["port"] == 2222
    assert asked[0]["host_key"] == "ssh-ed25519 AAAA"
