# SPDX-License-Identifier: MIT
"""The command line of a guest, and its life: it boots, it explains its failures, it ends with its use."""

from __future__ import annotations

import os
import pickle
import select
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from kmlbench.build.artifacts import ImageArtifact, KernelArtifact
from kmlbench.errors import HostError
from kmlbench.hosts import qemu_process
from kmlbench.hosts.qemu import GuestSpec, boot, power_on, qemu_argv
from kmlbench.model import Acceleration, Clock, Kernel, Server

SPEC = GuestSpec(
    name="kml",
    kernel=KernelArtifact(
        kernel=Kernel.KML, release="6.12", image=Path("/k/bzImage"), config=Path("/k/config"), key="k"
    ),
    image=ImageArtifact(
        server=Server.MYSQL,
        root=Path("/i,1/root.img"),
        packages=Path("/i/packages"),
        host_key="ssh-ed25519 AAAA",
        client_key=Path("/i/client_key"),
        key="i",
    ),
    memory_mb=1024,
    cpus=1,
    cpu_model="max",
    clock=Clock.INSTRUCTIONS,
    acceleration=Acceleration.TCG,
    seed=7,
    command_line="kernel_mode=on",
)

GOLDEN = (
    "qemu-system-x86_64 -name kml -nodefaults -no-user-config -no-reboot -display none -monitor none "
    "-M pc -accel tcg -cpu max -m 1024M -smp 1 -seed 7 -icount shift=0,sleep=on -rtc base=utc,clock=vm "
    "-kernel /k/bzImage -append|root=/dev/vda rw console=ttyS0 panic=-1 quiet "
    "init=/usr/lib/kmlbench/init kernel_mode_linux=on kernel_mode=on|"
    "-drive file=/i,,1/root.img,format=raw,if=virtio,snapshot=on "
    "-netdev user,id=net0,ipv6=off,hostfwd=tcp:127.0.0.1:2222-:22 "
    "-device virtio-net-pci,netdev=net0,romfile= -chardev null,id=console -serial chardev:console"
)


def test_the_command_line_of_a_guest() -> None:
    before, append, after = GOLDEN.split("|")
    expected = (*before.split(), append, *after.split())
    assert qemu_argv(SPEC, port=2222, console="null,id=console") == expected


def test_real_time_and_kvm_change_the_clock_and_the_accelerator_only() -> None:
    instructions = qemu_argv(SPEC, port=2222, console="null,id=console")
    spec = replace(SPEC, clock=Clock.TIME, acceleration=Acceleration.KVM)
    in_time = qemu_argv(spec, port=2222, console="null,id=console")
    assert set(instructions) - set(in_time) == {"tcg", "-icount", "shift=0,sleep=on", "base=utc,clock=vm"}
    assert set(in_time) - set(instructions) == {"kvm", "base=utc,clock=host"}


@pytest.mark.parametrize(
    ("cpus", "acceleration", "expected"),
    [(1, Acceleration.TCG, "tcg"), (2, Acceleration.TCG, "tcg,thread=single"), (2, Acceleration.KVM, "kvm")],
)
def test_the_translator_emulates_several_processors_in_turn(
    cpus: int, acceleration: Acceleration, expected: str
) -> None:
    spec = replace(SPEC, cpus=cpus, clock=Clock.TIME, acceleration=acceleration)
    argv = qemu_argv(spec, port=2222, console="null,id=console")
    assert argv[argv.index("-accel") + 1] == expected


@pytest.mark.parametrize("change", [{"cpus": 2}, {"acceleration": Acceleration.KVM}])
def test_a_clock_of_instructions_needs_tcg_and_one_cpu(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="needs TCG and one CPU"):
        # mypy sees one type per dictionary.
        replace(SPEC, **change)  # type: ignore[arg-type]


@pytest.mark.guest
@pytest.mark.parametrize("clock", list(Clock))
def test_a_guest_boots_with_each_clock(stock_spec: GuestSpec, tmp_path: Path, clock: Clock) -> None:
    with boot(replace(stock_spec, clock=clock), directory=tmp_path) as host:
        assert host.run(("uname", "-r"), timeout_s=60).stdout.strip() == stock_spec.kernel.release
    assert "kmlbench: ready" in (tmp_path / "console.log").read_text(errors="replace")
    assert "qemu-system-x86_64" in (tmp_path / "qemu.txt").read_text()


@pytest.mark.guest
def test_a_guest_that_panics_shows_its_console(stock_spec: GuestSpec, tmp_path: Path) -> None:
    spec = replace(stock_spec, command_line="init=/no/such/init")
    with (
        pytest.raises(HostError, match=r"(?s)stock.*/no/such/init.*read .*console\.log"),
        boot(spec, directory=tmp_path),
    ):
        pytest.fail("it booted")


@pytest.mark.guest
def test_a_file_that_is_no_kernel_is_qemus_own_complaint(stock_spec: GuestSpec, tmp_path: Path) -> None:
    broken = tmp_path / "bzImage"
    broken.write_text("not a kernel")
    spec = replace(stock_spec, kernel=replace(stock_spec.kernel, image=broken))
    with pytest.raises(HostError, match="QEMU did not start"), boot(spec, directory=tmp_path / "run"):
        pytest.fail("it booted")


@pytest.mark.guest
def test_a_silent_guest_is_given_up_at_the_deadline(stock_spec: GuestSpec, tmp_path: Path) -> None:
    silent = power_on(stock_spec, directory=tmp_path)
    try:
        with pytest.raises(HostError, match=r"no 'never said' on the console within 1 s"):
            silent.wait_for("never said", deadline_s=1)
    finally:
        silent.stop()
    assert silent.process.poll() is not None


@pytest.mark.guest
def test_a_guest_that_dies_in_use_is_a_host_error_with_its_console(
    stock_spec: GuestSpec, tmp_path: Path
) -> None:
    with (
        pytest.raises(HostError, match=r"(?s)stock.*QEMU has ended.*console"),
        boot(stock_spec, directory=tmp_path) as host,
    ):
        host.run(("sh", "-c", "echo b > /proc/sysrq-trigger; sleep 60"), timeout_s=60)


@pytest.mark.guest
def test_when_somebody_else_has_the_port_another_is_taken(
    stock_spec: GuestSpec, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = qemu_process._free_port()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        ports = iter((taken.getsockname()[1], free))
        monkeypatch.setattr(qemu_process, "_free_port", lambda: next(ports))
        started = power_on(stock_spec, directory=tmp_path)
    started.stop()
    assert started.port == free


CONTROLLER = """
import pickle, sys
from pathlib import Path
from kmlbench.hosts.qemu_process import tied_to_parent
from kmlbench.hosts.qemu import power_on
directory = Path(sys.argv[1])
spec = pickle.loads((directory / "spec").read_bytes())
machine = power_on(spec, directory=directory, argv_prefix=tied_to_parent())
print(machine.process.pid, flush=True)
machine.wait_for("never said", deadline_s=600)
"""


@pytest.mark.guest
def test_a_guest_dies_with_its_controller(stock_spec: GuestSpec, tmp_path: Path) -> None:
    """Even when the controller is killed and can run no cleanup."""
    (tmp_path / "spec").write_bytes(pickle.dumps(stock_spec))
    argv = (sys.executable, "-c", CONTROLLER, str(tmp_path))
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as controller:
        assert controller.stdout is not None
        with os.fdopen(os.pidfd_open(int(controller.stdout.readline()))) as guest:
            controller.send_signal(signal.SIGKILL)
            assert select.select([guest], [], [], 10)[0], "the guest still runs"
