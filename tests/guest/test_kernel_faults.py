# SPDX-License-Identifier: MIT
"""Whoever changes, moves or reads a program's code, and whatever was promised to it: alike everywhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from support.guest_programs import install, require_quiet, tap

from kmlbench.hosts.qemu import GuestSpec, boot
from kmlbench.hosts.ssh import SshHost
from kmlbench.model import Prefix

PROGRAMS = ("writers", "promises", "tracing", "registers", "sites", "calls")

pytestmark = pytest.mark.guest


@pytest.fixture(scope="module")
def stock(stock_guest: SshHost, kernel_programs: Path) -> SshHost:
    install(stock_guest, kernel_programs, PROGRAMS)
    return stock_guest


@pytest.fixture(scope="module", params=[1, 2, 4], ids=lambda cpus: f"{cpus}-cpus")
def kml(
    request: pytest.FixtureRequest,
    kml_spec: GuestSpec,
    kernel_programs: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[SshHost]:
    """A guest of the kml kernel with so many processors: threads get at code at the same time."""
    spec = replace(kml_spec, name=f"kml-{request.param}", cpus=request.param)
    with boot(spec, directory=tmp_path_factory.mktemp("kml")) as guest:
        install(guest, kernel_programs, PROGRAMS)
        yield guest
        require_quiet(guest)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_behaves_alike_on_any_number_of_processors(stock: SshHost, kml: SshHost, name: str) -> None:
    expected = tap(stock, Prefix.USR, name)
    assert tap(kml, Prefix.USR, name) == expected
    assert tap(kml, Prefix.TRUSTED, name) == expected
