# SPDX-License-Identifier: MIT
"""The same source, series, configuration and compiler give the same kernel in any directory at any time."""

from __future__ import annotations

import hashlib
import re
import shutil
from pathlib import Path

import pytest

from kmlbench.build import checksums, source
from kmlbench.build import kernel as builder
from kmlbench.build.artifacts import KernelArtifact
from kmlbench.build.bases import Base
from kmlbench.build.cache import Cache
from kmlbench.build.checksums import Verdict, sha256
from kmlbench.model import Kernel
from kmlbench.progress import Silent

# Two directories of the source whose objects have paths, assembler, versions and a library with a build ID.
DIRECTORIES = ("init/", "arch/x86/entry/")

WHOLE_TIMEOUT_S = 2 * 3600


@pytest.mark.guest
def test_a_kernel_does_not_have_where_when_or_by_whom_it_was_built(
    stock_kernel: KernelArtifact, kml_kernel: KernelArtifact
) -> None:
    for built in (stock_kernel, kml_kernel):
        content = built.image.with_name("vmlinux").read_bytes()
        banner = re.escape(f"Linux version {built.release} (kmlbench@kmlbench) (gcc ").encode()
        assert re.search(banner + rb"[^\n]*\) #1 [A-Z_ ]*1970-01-01\n", content)
        # Entries of the cache are built in directories of such names.
        assert b".partial-" not in content
        assert f"{Path.home()}/".encode() not in content


def objects(base: Base, directory: Path, cache: Cache) -> dict[str, str]:
    """The checksums of the objects of DIRECTORIES, built below a new directory, which is removed."""
    directory.mkdir(parents=True)
    archive = source.ensure(base, cache=cache, progress=Silent())
    tree = builder.prepare(Kernel.KML, base, archive, directory, progress=Silent())
    builder.make(tree, *DIRECTORIES, jobs=2)
    made = {
        str(path.relative_to(tree.objects)): hashlib.sha256(path.read_bytes()).hexdigest()
        for place in DIRECTORIES
        for path in (tree.objects / place).rglob("*")
        if path.suffix in {".o", ".so", ".a"}
    }
    shutil.rmtree(directory)
    return made


@pytest.mark.soak
@pytest.mark.parametrize("base", list(Base))
def test_objects_are_the_same_in_two_directories(base: Base, cache: Cache, tmp_path: Path) -> None:
    made = objects(base, tmp_path / "a", cache)
    assert {"init/main.o", "arch/x86/entry/entry_64.o", "arch/x86/entry/vdso/vdso64.so"} <= made.keys()
    assert objects(base, tmp_path / "another/place-with-a-longer-name", cache) == made


@pytest.mark.soak
@pytest.mark.timeout(WHOLE_TIMEOUT_S)
@pytest.mark.parametrize("base", list(Base))
@pytest.mark.parametrize("kernel", list(Kernel))
def test_a_kernel_is_the_same_in_two_directories(
    kernel: Kernel, base: Base, cache: Cache, tmp_path: Path
) -> None:
    here = builder.ensure(kernel, base, cache=cache, progress=Silent())
    there = builder.ensure(kernel, base, cache=Cache(tmp_path / "another-place"), progress=Silent())
    for name in ("bzImage", "vmlinux", "System.map", "config"):
        assert sha256(there.image.with_name(name)) == sha256(here.image.with_name(name)), name
    verdict = checksums.verdict(builder.content(kernel, base), sha256(here.image), recorded=checksums.read())
    assert verdict in {Verdict.SAME, Verdict.UNKNOWN_COMPILER}
