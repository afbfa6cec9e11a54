# SPDX-License-Identifier: MIT
"""Nothing is armed unless root says so, and ordinary processes keep what protects them and the kernel."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from support.guest_programs import check, run
from support.watched_guest import SMAP, SMEP, Monitor, Processor, watched, without

from kmlbench.build.bases import Base
from kmlbench.hosts.qemu import BOOT_DEADLINE_S, GuestSpec, boot, power_on
from kmlbench.hosts.qemu_process import tied_to_parent
from kmlbench.hosts.ssh import SshHost
from kmlbench.model import Clock

SWITCH = "/proc/sys/kernel/kernel_mode_linux"
KEEP_USERCOPY = "/proc/sys/kernel/kernel_mode_linux_keep_usercopy"
CAT = "/trusted/bin/cat"
STATUS = "/proc/self/status"
LOOKS = 40
ENOUGH = 8
ROUNDS = 5

# Words of the kernel's command line, and why a kernel that has them is not armed.
REFUSALS = [
    ("pti=on", "page table isolation is on"),
    ("nofsgsbase", "the CPU has no RDGSBASE and WRGSBASE, or they are off"),
]

# Of Linux 7.2. Under QEMU, which has no LASS, it stops when it sets the bit in CR4, after that.
LASS = ("setcpuid=lass", "linear address space separation is on")

pytestmark = pytest.mark.guest


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "refusal" in metafunc.fixturenames:
        of_this = [LASS] if metafunc.config.getoption("--kernel") == Base.LINUX_7_2 else []
        metafunc.parametrize("refusal", [*REFUSALS, *of_this], ids=lambda refusal: refusal[0])


Watched = tuple[SshHost, Monitor]


@pytest.fixture(scope="module")
def unarmed(kml_spec: GuestSpec, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """A guest whose command line does not say kernel_mode_linux=on."""
    directory = tmp_path_factory.mktemp("unarmed")
    with watched(kml_spec, directory=directory, changed=without("kernel_mode_linux=on")) as guest:
        yield guest


@pytest.fixture
def armed(unarmed: Watched) -> Iterator[Watched]:
    """The same guest, armed for one test by the sysctl."""
    write(unarmed[0], "1")
    yield unarmed
    write(unarmed[0], "0")


def write(guest: SshHost, value: str) -> None:
    check(guest, "sh", "-c", f"echo {value} > {SWITCH}")


def kernel_mode(guest: SshHost) -> bool:
    return "KernelMode:\t1" in check(guest, CAT, STATUS)


def log(guest: SshHost) -> str:
    """The kernel's log as it was written, with whatever somebody may have smuggled into it."""
    return check(guest, "dmesg", "--syslog", "--notime")


def test_without_the_parameter_nothing_is_armed(unarmed: Watched) -> None:
    guest, _ = unarmed
    assert "kernel_mode_linux" not in check(guest, "cat", "/proc/cmdline")
    assert check(guest, "cat", SWITCH) == "0\n"
    assert not kernel_mode(guest)
    assert "kml:" not in log(guest)


def test_the_sysctl_arms_and_disarms(unarmed: Watched) -> None:
    guest, _ = unarmed
    write(guest, "1")
    assert kernel_mode(guest)
    assert "kml: armed: programs below /trusted start in kernel mode" in log(guest)
    write(guest, "0")
    assert not kernel_mode(guest)
    assert "kml: disarmed: programs below /trusted start in user mode" in log(guest)


@pytest.mark.parametrize("value", ["2", "-1", "on"])
def test_the_sysctl_takes_0_and_1(unarmed: Watched, value: str) -> None:
    guest, _ = unarmed
    assert run(guest, "sh", "-c", f"echo {value} > {SWITCH}").returncode != 0
    assert not kernel_mode(guest)


@pytest.mark.parametrize(
    "who",
    [
        ("setpriv", "--reuid=1000", "--regid=1000", "--clear-groups", "env"),
        # Root of a container: the owner of the file, without the right to load kernel code.
        ("setpriv", "--bounding-set=-sys_module", "env"),
        ("unshare", "--user", "--map-root-user"),
    ],
)
def test_only_root_with_all_rights_arms(unarmed: Watched, who: tuple[str, ...]) -> None:
    guest, _ = unarmed
    assert run(guest, *who, "sh", "-c", f"echo 1 > {SWITCH}").returncode != 0
    assert check(guest, "cat", SWITCH) == "0\n"


def keep_usercopy(guest: SshHost, value: str) -> None:
    check(guest, "sh", "-c", f"echo {value} > {KEEP_USERCOPY}")
    assert check(guest, "cat", KEEP_USERCOPY) == f"{value}\n"


def test_only_root_with_modules_says_that_copies_are_checked(armed: Watched) -> None:
    guest, _ = armed
    assert check(guest, "cat", KEEP_USERCOPY) == "0\n"
    denied = run(guest, "setpriv", "--bounding-set=-sys_module", "sh", "-c", f"echo 1 > {KEEP_USERCOPY}")
    assert denied.returncode != 0
    assert check(guest, "cat", KEEP_USERCOPY) == "0\n"
    for value in ("1", "0"):
        keep_usercopy(guest, value)
        assert kernel_mode(guest)


def send_and_receive(guest: SshHost) -> float:
    """Instructions of a byte through a pair of sockets, from /trusted."""
    printed = check(guest, "/trusted/lib/kmlbench/syscalls", "100", "5", "/tmp")
    return float(statistics.median(json.loads(printed)["send_recv"]["cycles"])) / 100


def test_copies_of_kernel_mode_programs_are_checked_if_root_says_so(
    kml_spec: GuestSpec, tmp_path: Path
) -> None:
    """In a guest that counts instructions: a tenth more for four copies."""
    with boot(replace(kml_spec, clock=Clock.INSTRUCTIONS), directory=tmp_path) as guest:
        costs = []
        for value in ("0", "1", "0"):
            keep_usercopy(guest, value)
            costs.append(send_and_receive(guest))
    unchecked, checked, unchecked_again = costs
    assert checked > 1.05 * max(unchecked, unchecked_again)


def test_the_parameter_arms_at_boot(kml_guest: SshHost) -> None:
    assert "kernel_mode_linux=on" in check(kml_guest, "cat", "/proc/cmdline")
    assert check(kml_guest, "cat", SWITCH) == "1\n"
    assert "kml: armed: programs below /trusted start in kernel mode" in log(kml_guest)


def test_a_name_cannot_write_the_log(armed: Watched) -> None:
    guest, _ = armed
    name = "/trusted/bin/x\nkml: forged"
    check(guest, "cp", "/bin/true", name)
    check(guest, "chmod", "o+w", name)
    check(guest, "ln", "-sf", name, "/tmp/y\nkml: forged")
    check(guest, "/tmp/y\nkml: forged")
    check(guest, "rm", name)
    lines = log(guest).splitlines()
    assert [line for line in lines if "somebody other than root may change it or its path" in line]
    assert not [line for line in lines if line.startswith("kml: forged")]


def test_a_machine_that_does_not_fit_refuses_to_be_armed(
    kml_spec: GuestSpec, tmp_path: Path, refusal: tuple[str, str]
) -> None:
    words, reason = refusal
    spec = replace(kml_spec, command_line=words)
    machine = power_on(spec, directory=tmp_path, argv_prefix=tied_to_parent())
    try:
        machine.wait_for(f"kml: not armed: {reason}", deadline_s=BOOT_DEADLINE_S)
    finally:
        machine.stop()


def test_what_refuses_to_be_armed_at_boot_refuses_later(kml_spec: GuestSpec, tmp_path: Path) -> None:
    with boot(replace(kml_spec, command_line="pti=on"), directory=tmp_path) as guest:
        assert run(guest, "sh", "-c", f"echo 1 > {SWITCH}").returncode != 0
        assert not kernel_mode(guest)


@pytest.mark.parametrize(
    "question",
    [
        ("grep", "-r", ".", "/sys/devices/system/cpu/vulnerabilities"),
        ("grep", "-E", "^(flags|bugs)", "/proc/cpuinfo"),
    ],
)
def test_the_kernels_see_and_mitigate_the_same(
    stock_guest: SshHost, kml_guest: SshHost, question: tuple[str, ...]
) -> None:
    stock, kml = (sorted(check(guest, *question).splitlines()) for guest in (stock_guest, kml_guest))
    assert len(stock) > 1
    assert kml == stock


@contextmanager
def spinning(guest: SshHost, *programs: str) -> Iterator[None]:
    """While the block runs these shells turn in a loop, with a system call in each turn."""
    script = "while :; do : < /dev/null; done"
    started = [
        check(guest, "sh", "-c", f"{program} -c '{script}' >/dev/null 2>&1 & echo $!").strip()
        for program in programs
    ]
    yield
    check(guest, "kill", *started)


def ordinary(look: Processor) -> bool:
    return look.privilege == 3


def in_the_kernel(look: Processor) -> bool:
    return look.privilege == 0


def kernel_mode_program(look: Processor) -> bool:
    return look.in_kernel_mode_program


def looks(monitor: Monitor, *kinds: Callable[[Processor], bool]) -> list[Processor]:
    """Looks at the processor: more of them, on a busy machine, until each kind was seen ENOUGH times."""
    seen: list[Processor] = []
    for _ in range(ROUNDS):
        seen += [monitor.processor() for _ in range(LOOKS)]
        if all(sum(map(kind, seen)) >= ENOUGH for kind in kinds):
            break
    return seen


def test_the_cpu_keeps_smep_and_smap_for_an_ordinary_process(armed: Watched) -> None:
    guest, monitor = armed
    with spinning(guest, "/bin/bash"):
        seen = looks(monitor, ordinary, in_the_kernel)
    assert sum(map(ordinary, seen)) >= ENOUGH
    assert sum(map(in_the_kernel, seen)) >= 1
    assert all(look.control & SMEP and look.control & SMAP for look in seen)


def test_the_cpu_drops_smep_and_keeps_smap_for_a_kernel_mode_process(armed: Watched) -> None:
    guest, monitor = armed
    with spinning(guest, "/trusted/bin/bash"):
        seen = looks(monitor, kernel_mode_program)
    inside = [look for look in seen if look.in_kernel_mode_program]
    assert len(inside) >= ENOUGH
    assert not any(look.control & SMEP for look in inside)
    assert all(look.control & SMAP for look in seen)


def test_smep_follows_the_process_when_both_kinds_share_a_cpu(armed: Watched) -> None:
    guest, monitor = armed
    with spinning(guest, "/trusted/bin/bash", "/bin/bash"):
        seen = looks(monitor, ordinary, kernel_mode_program)
    in_user_mode = [look for look in seen if ordinary(look)]
    assert len(in_user_mode) >= ENOUGH
    assert len([look for look in seen if look.in_kernel_mode_program]) >= ENOUGH
    assert all(look.control & SMEP and look.control & SMAP for look in in_user_mode)
    assert all(look.control & SMAP for look in seen)


def test_a_locked_down_kernel_admits_nothing(armed: Watched) -> None:
    """The last one: nothing lifts a lockdown."""
    guest, _ = armed
    assert kernel_mode(guest)
    check(guest, "mount", "-t", "securityfs", "securityfs", "/sys/kernel/security")
    check(guest, "sh", "-c", "echo integrity > /sys/kernel/security/lockdown")
    assert not kernel_mode(guest)
    assert "stays in user mode: the kernel is locked down" in log(guest)
    write(guest, "0")
    assert run(guest, "sh", "-c", f"echo 1 > {SWITCH}").returncode != 0
    assert "kml: not armed: the kernel is locked down" in log(guest)
