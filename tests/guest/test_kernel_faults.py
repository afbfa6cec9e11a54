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

PROGRAMS = ("writers", "text", "promises")
# What else is about threads, tracers and sites; on one processor tests/guest/test_kernel.py has it.
ELSEWHERE = ("tracing", "registers", "sites", "calls", "preserved")

pytestmark = pytest.mark.guest


@pytest.fixture(scope="module")
def stock(stock_guest: SshHost, kernel_programs: Path) -> SshHost:
    install(stock_guest, kernel_programs, PROGRAMS)
    return stock_guest


@pytest.fixture(scope="module")
def kml(kml_guest: SshHost, kernel_programs: Path) -> Iterator[SshHost]:
    install(kml_guest, kernel_programs, PROGRAMS)
    yield kml_guest
    require_quiet(kml_guest)


@pytest.fixture(scope="module", params=[4, pytest.param(2, marks=pytest.mark.soak)])
def parallel(
    request: pytest.FixtureRequest,
    kml_spec: GuestSpec,
    kernel_programs: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[SshHost]:
    """A guest of the kml kernel with several processors: threads get at code at the same time."""
    spec = replace(kml_spec, name=f"kml-{request.param}", cpus=request.param)
    with boot(spec, directory=tmp_path_factory.mktemp("kml")) as guest:
        install(guest, kernel_programs, (*PROGRAMS, *ELSEWHERE))
        yield guest
        require_quiet(guest)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_behaves_alike_everywhere(stock: SshHost, kml: SshHost, name: str) -> None:
    expected = tap(stock, Prefix.USR, name)
    for prefix in Prefix:
        assert tap(kml, prefix, name) == expected


@pytest.mark.parametrize("prefix", Prefix)
@pytest.mark.parametrize(
    "name", [*PROGRAMS, *(pytest.param(name, marks=pytest.mark.soak) for name in ELSEWHERE)]
)
def test_a_program_behaves_alike_on_several_processors(parallel: SshHost, prefix: Prefix, name: str) -> None:
    tap(parallel, prefix, name)
