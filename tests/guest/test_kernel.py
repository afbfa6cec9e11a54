# SPDX-License-Identifier: MIT
"""Kernel mode as a program sees it: kernel/tests from both prefixes, on both kernels, in real guests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.guest_programs import check, install, require_mysql_serves, require_quiet, tap

from kmlbench.hosts.ssh import SshHost
from kmlbench.model import Prefix

PROGRAMS = (
    *("privilege", "processes", "registers", "faults", "astray", "tracing"),
    *("sites", "calls", "vectors", "sigreturn", "hostile", "sampling", "preserved"),
)
# Seeds, each for so many programs; a hundred thousand of them are a soak.
FUZZ = [(range(1, 2), 1000), pytest.param(range(2, 22), 5000, marks=pytest.mark.soak)]

pytestmark = pytest.mark.guest


@pytest.fixture(scope="module")
def kml(kml_guest: SshHost, kernel_programs: Path) -> SshHost:
    install(kml_guest, kernel_programs, (*PROGRAMS, "fuzz"))
    return kml_guest


@pytest.fixture(scope="module")
def stock(stock_guest: SshHost, kernel_programs: Path) -> SshHost:
    install(stock_guest, kernel_programs, (*PROGRAMS, "fuzz"))
    return stock_guest


@pytest.fixture(autouse=True)
def quiet_kernel(kml_guest: SshHost) -> Iterator[None]:
    yield
    require_quiet(kml_guest)


@pytest.mark.parametrize("name", PROGRAMS[1:])
def test_a_program_behaves_alike_everywhere(stock: SshHost, kml: SshHost, name: str) -> None:
    expected = tap(stock, Prefix.USR, name)
    assert tap(kml, Prefix.USR, name) == expected
    assert tap(kml, Prefix.TRUSTED, name) == expected


def fuzz(guest: SshHost, prefix: Prefix, *, seed: int, programs: int) -> list[str]:
    argv = (prefix.path("lib/kmlbench/tests/fuzz"), str(seed), str(programs))
    return check(guest, *argv).splitlines()


@pytest.mark.parametrize(("seeds", "programs"), FUZZ)
def test_programs_in_random_hostile_states_end_alike_everywhere(
    stock: SshHost, kml: SshHost, seeds: range, programs: int
) -> None:
    for seed in seeds:
        expected = fuzz(stock, Prefix.USR, seed=seed, programs=programs)
        assert len(expected) >= programs // 100
        for prefix in Prefix:
            assert fuzz(kml, prefix, seed=seed, programs=programs) == expected, seed


def test_only_trusted_programs_of_the_kml_kernel_run_at_cpl_0(stock: SshHost, kml: SshHost) -> None:
    tap(stock, Prefix.USR, "privilege", "3")
    tap(stock, Prefix.TRUSTED, "privilege", "3")
    tap(kml, Prefix.USR, "privilege", "3")
    tap(kml, Prefix.TRUSTED, "privilege", "0")


def test_the_distributions_bash_runs_in_kernel_mode(kml_guest: SshHost) -> None:
    check(kml_guest, "cp", "/bin/bash", "/trusted/bin/bash")
    script = "while read -r line; do case $line in KernelMode:*) echo $line;; esac; done < /proc/$$/status"
    assert check(kml_guest, "/trusted/bin/bash", "-c", script).split() == ["KernelMode:", "1"]
    assert check(kml_guest, "/bin/bash", "-c", script).split() == ["KernelMode:", "0"]


def test_gdb_stops_a_kernel_mode_program_at_a_breakpoint(kml: SshHost) -> None:
    program = Prefix.TRUSTED.path("lib/kmlbench/tests/privilege")
    orders = ("break here", "run 0", "info registers cs", "backtrace", "stepi", "delete", "kill")
    argv = ["gdb", "-batch", "-nx", "-ex", "set follow-fork-mode child"]
    for order in orders:
        argv += ["-ex", order]
    text = check(kml, *argv, program)
    assert "Breakpoint 1, here" in text
    assert "run_cases" in text


def test_a_guest_that_took_it_all_still_serves_mysql(kml: SshHost) -> None:
    """All that this file ran; and something of it at once before, whoever chose this test alone."""
    for name in ("astray", "vectors", "sigreturn"):
        tap(kml, Prefix.TRUSTED, name)
    fuzz(kml, Prefix.TRUSTED, seed=1, programs=300)
    require_mysql_serves(kml, Prefix.TRUSTED)
