# SPDX-License-Identifier: MIT
"""A slice of the kernel's own tests: what passes on stock:/usr passes everywhere on the kml kernel."""

from __future__ import annotations

from pathlib import Path

import pytest
from conformance import outcomes, verdict
from conformance.cells import complaints
from conformance.outcomes import Outcome, Result
from conformance.small import NAMES, ensure

from kmlbench.build.cache import Cache
from kmlbench.hosts.ssh import SshHost
from kmlbench.model import Prefix

LIMIT_S = 120.0
DIRECTORY = "lib/kmlbench/selftests"

pytestmark = pytest.mark.guest


@pytest.fixture(scope="module")
def programs(cache: Cache) -> Path:
    return ensure(cache=cache)


def install(guest: SshHost, programs: Path, prefix: Prefix) -> None:
    directory = prefix.path(DIRECTORY)
    assert guest.run(("mkdir", "-p", directory), timeout_s=LIMIT_S).returncode == 0
    for name in NAMES:
        guest.put(programs / name, f"{directory}/{name}")


@pytest.fixture(scope="module")
def stock(stock_guest: SshHost, programs: Path) -> SshHost:
    install(stock_guest, programs, Prefix.USR)
    return stock_guest


@pytest.fixture(scope="module")
def kml(kml_guest: SshHost, programs: Path) -> SshHost:
    for prefix in Prefix:
        install(kml_guest, programs, prefix)
    return kml_guest


def ended(guest: SshHost, prefix: Prefix, name: str) -> Outcome:
    guest.run(("dmesg", "--clear"), timeout_s=LIMIT_S)
    result = guest.run((prefix.path(f"{DIRECTORY}/{name}"),), timeout_s=LIMIT_S)
    log = complaints(guest.run(("dmesg",), timeout_s=LIMIT_S).stdout)
    verdict_, parts = outcomes.read("selftests", result.returncode, result.stdout)
    return Outcome(
        result=verdict_,
        status=result.returncode,
        parts=parts,
        elapsed_s=result.elapsed_s,
        output=result.stdout + result.stderr,
        kernel_log=log,
    )


@pytest.mark.parametrize("name", NAMES)
def test_what_passes_in_user_mode_passes_in_kernel_mode(stock: SshHost, kml: SshHost, name: str) -> None:
    reference = ended(stock, Prefix.USR, name)
    assert reference.result in {Result.PASS, Result.SKIP}, reference.output
    for prefix in Prefix:
        outcome = ended(kml, prefix, name)
        assert verdict.differences(f"kml:{prefix}", name, reference, outcome) == (), outcome.output
