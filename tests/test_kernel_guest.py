# SPDX-License-Identifier: MIT
"""Kernel mode as a program sees it: kernel/tests from both prefixes, on both kernels, in real guests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from kmlbench import commands
from kmlbench.build.kernel import KERNEL
from kmlbench.hosts.ssh import SshHost
from kmlbench.model import CommandResult, Prefix

PROGRAMS = (
    *("privilege", "processes", "registers", "faults", "astray", "tracing"),
    *("sites", "calls", "vectors", "sigreturn", "hostile"),
)
FUZZ_SEED, FUZZ_PROGRAMS = "1", "3000"
TIMEOUT_S = 300.0

pytestmark = pytest.mark.guest


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("kernel-tests")
    commands.check(("make", "-C", str(KERNEL / "tests"), f"OUT={out}"), timeout_s=TIMEOUT_S)
    return out


def install(guest: SshHost, programs: Path) -> SshHost:
    for prefix in Prefix:
        directory = prefix.path("lib/kmlbench/tests")
        check(guest, "mkdir", "-p", directory)
        for name in (*PROGRAMS, "fuzz"):
            guest.put(programs / name, f"{directory}/{name}")
            check(guest, "chmod", "755", f"{directory}/{name}")
    return guest


@pytest.fixture(scope="module")
def kml(kml_guest: SshHost, programs: Path) -> SshHost:
    return install(kml_guest, programs)


@pytest.fixture(scope="module")
def stock(stock_guest: SshHost, programs: Path) -> SshHost:
    return install(stock_guest, programs)


@pytest.fixture(autouse=True)
def quiet_kernel(kml_guest: SshHost) -> Iterator[None]:
    yield
    log = check(kml_guest, "dmesg").stdout
    assert not [line for line in log.splitlines() if "BUG:" in line or "WARNING:" in line or "Oops" in line]


def check(guest: SshHost, *argv: str) -> CommandResult:
    result = guest.run(argv, timeout_s=TIMEOUT_S)
    assert result.returncode == 0, (result.stdout, result.stderr)
    return result


def run(guest: SshHost, prefix: Prefix, name: str, *arguments: str) -> list[str]:
    """The TAP lines of one test program."""
    result = guest.run((prefix.path(f"lib/kmlbench/tests/{name}"), *arguments), timeout_s=TIMEOUT_S)
    lines = result.stdout.splitlines()
    assert lines, result.stderr
    assert len(lines) == int(lines[0].removeprefix("1..")) + 1, (lines, result.stderr)
    assert not [line for line in lines if line.startswith("not ok")], (lines, result.stderr)
    assert result.returncode == 0
    return lines


@pytest.mark.parametrize("name", PROGRAMS[1:])
def test_a_program_behaves_alike_everywhere(stock: SshHost, kml: SshHost, name: str) -> None:
    expected = run(stock, Prefix.USR, name)
    assert run(kml, Prefix.USR, name) == expected
    assert run(kml, Prefix.TRUSTED, name) == expected


def fuzz(guest: SshHost, prefix: Prefix) -> list[str]:
    result = check(guest, prefix.path("lib/kmlbench/tests/fuzz"), FUZZ_SEED, FUZZ_PROGRAMS)
    return result.stdout.splitlines()


def test_programs_in_random_hostile_states_end_alike_everywhere(stock: SshHost, kml: SshHost) -> None:
    expected = fuzz(stock, Prefix.USR)
    assert len(expected) >= int(FUZZ_PROGRAMS) // 100
    assert fuzz(kml, Prefix.USR) == expected
    assert fuzz(kml, Prefix.TRUSTED) == expected


def test_only_trusted_programs_of_the_kml_kernel_run_at_cpl_0(stock: SshHost, kml: SshHost) -> None:
    run(stock, Prefix.USR, "privilege", "3")
    run(stock, Prefix.TRUSTED, "privilege", "3")
    run(kml, Prefix.USR, "privilege", "3")
    run(kml, Prefix.TRUSTED, "privilege", "0")


def test_the_distributions_bash_runs_in_kernel_mode(kml_guest: SshHost) -> None:
    check(kml_guest, "cp", "/bin/bash", "/trusted/bin/bash")
    script = "while read -r line; do case $line in KernelMode:*) echo $line;; esac; done < /proc/$$/status"
    assert check(kml_guest, "/trusted/bin/bash", "-c", script).stdout.split() == ["KernelMode:", "1"]
    assert check(kml_guest, "/bin/bash", "-c", script).stdout.split() == ["KernelMode:", "0"]


def test_gdb_stops_a_kernel_mode_program_at_a_breakpoint(kml: SshHost) -> None:
    program = Prefix.TRUSTED.path("lib/kmlbench/tests/privilege")
    orders = ("break here", "run 0", "info registers cs", "backtrace", "stepi", "delete", "kill")
    argv = ["gdb", "-batch", "-nx", "-ex", "set follow-fork-mode child"]
    for order in orders:
        argv += ["-ex", order]
    said = check(kml, *argv, program).stdout
    assert "Breakpoint 1, here" in said
    assert "run_cases" in said
