# SPDX-License-Identifier: MIT
"""Builds the two kernels: Debian's source, one lean configuration, with and without our patches."""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache as once
from pathlib import Path

from kmlbench import kconfig, process
from kmlbench.build import source
from kmlbench.build.architecture import require_architecture
from kmlbench.build.artifacts import KernelArtifact
from kmlbench.build.bases import Base
from kmlbench.build.cache import Cache, hash_digests
from kmlbench.errors import BuildError
from kmlbench.model import Kernel
from kmlbench.process import SYSTEM_PATH, build_environment
from kmlbench.progress import Progress

BUILD_TIMEOUT_S = 3600.0

STEP_TIMEOUT_S = 600.0

NEED_GIB = 4.0

# Reproducible builds: no time, user or host name in the binary.
REPRODUCIBLE = {
    "KBUILD_BUILD_TIMESTAMP": "1970-01-01",
    "KBUILD_BUILD_USER": "kmlbench",
    "KBUILD_BUILD_HOST": "kmlbench",
    "KBUILD_BUILD_VERSION": "1",
    "LOCALVERSION": "",
}

CONFIGURATION = "allnoconfig"

LOG = "build.log"

TARGETS = ("bzImage", "vmlinux")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tree:
    """The directories of one build: the unpacked source, the objects, and the log."""

    source: Path
    objects: Path
    log: Path


def ensure(
    kernel: Kernel, base: Base, *, cache: Cache, progress: Progress, mirror: str | None = None
) -> KernelArtifact:
    """The kernel from the cache, built first if anything that goes into it has changed.

    `mirror` is as in `source.ensure`. Raises BuildError if a patch does not apply, an option got lost, the
    two configurations differ in more than KML's own options, or the build fails; MachineError if a tool or
    the source is missing.
    """
    key = content(kernel, base)

    def build(directory: Path) -> None:
        archive = source.ensure(base, cache=cache, progress=progress, mirror=mirror)
        _build(kernel, base, archive, directory, progress=progress)

    return _artifact(kernel, cache.ensure("kernel", key, build, need_gib=NEED_GIB))


def built(kernel: Kernel, base: Base, *, cache: Cache) -> KernelArtifact | None:
    """The kernel if it is in the cache; builds nothing. Raises MachineError as `ensure`."""
    entry = cache.path("kernel", content(kernel, base))
    return _artifact(kernel, entry) if entry.exists() else None


def _artifact(kernel: Kernel, entry: Path) -> KernelArtifact:
    return KernelArtifact(
        kernel=kernel,
        release=(entry / "release").read_text().strip(),
        image=entry / "bzImage",
        config=entry / "config",
        key=entry.name,
    )


def content(kernel: Kernel, base: Base) -> dict[str, str]:
    """What the binary of this kernel depends on, for its content key. Raises MachineError."""
    require_architecture()
    return {
        "kernel": kernel,
        "source": source.version(base),
        "configuration": hashlib.sha256(base.fragment(kernel).encode()).hexdigest(),
        "patches": hash_patches(base) if kernel is Kernel.KML else "none",
        "recipe": " ".join((CONFIGURATION, *TARGETS, *_settings({"PATH": SYSTEM_PATH, **REPRODUCIBLE}))),
        "compiler": _first_line("gcc", "--version"),
        "linker": _first_line("ld", "--version"),
    }


def _settings(variables: Mapping[str, str]) -> Iterator[str]:
    return (f"{name}={value}" for name, value in variables.items())


def hash_patches(base: Base) -> str:
    """One SHA-256 over the names and contents of the series, whichever of them are common."""
    digests = ((patch.name, hashlib.sha256(patch.read_bytes()).hexdigest()) for patch in base.patches())
    return hash_digests((Path("patches", name), digest) for name, digest in digests)


@once
def _first_line(*argv: str) -> str:
    return process.check(argv, timeout_s=STEP_TIMEOUT_S, env=build_environment()).stdout.splitlines()[0]


def _build(kernel: Kernel, base: Base, archive: Path, directory: Path, *, progress: Progress) -> None:
    tree = prepare(kernel, base, archive, directory, progress=progress)
    progress.stage(f"kernel {kernel} {base}: compiling", total=lines_of_an_earlier_build(directory.parent))
    with counting_lines(tree.log, progress):
        make(tree, *TARGETS, jobs=os.cpu_count() or 1)
    _keep(tree, directory)


def prepare(kernel: Kernel, base: Base, archive: Path, directory: Path, *, progress: Progress) -> Tree:
    """A tree below `directory` of the source in `archive`, patched and configured. Raises as `ensure`."""
    progress.stage(f"kernel {kernel} {base}: unpacking")
    tree = Tree(source=source.unpack(archive, directory), objects=directory / "objects", log=directory / LOG)
    tree.objects.mkdir()
    if kernel is Kernel.KML:
        progress.stage(f"kernel {kernel} {base}: patching")
        apply(base.patches(), tree.source, name=source.version(base))
    progress.stage(f"kernel {kernel} {base}: configuring")
    _configure(kernel, base, tree)
    return tree


def apply(series: list[Path], tree: Path, *, name: str) -> None:
    """Apply patches to the tree of a source called `name`, exactly: no fuzz, no rejects.

    Raises BuildError naming the first patch that does not apply.
    """
    for patch in series:
        argv = ("patch", "--strip=1", "--fuzz=0", "--forward", "--no-backup-if-mismatch", f"--input={patch}")
        result = process.run(argv, timeout_s=STEP_TIMEOUT_S, cwd=tree, env=build_environment())
        if result.returncode != 0:
            raise BuildError(
                f"{patch.name} does not apply to {name}:\n{result.stdout}",
                remedy="port the patch to this source version (see kernel/README.md)",
            )


def _configure(kernel: Kernel, base: Base, tree: Tree) -> None:
    """Configure the tree, and check the result against the requested options and the other kernel."""
    wanted = base.fragment(kernel)
    built = _configuration(wanted, tree)
    kconfig.require_asked_for(wanted, built)
    if kernel is Kernel.KML:
        kconfig.require_same_but_kml(_configuration(base.fragment(Kernel.STOCK), tree), built)
        _configuration(wanted, tree)


def _configuration(wanted: str, tree: Tree) -> str:
    given = tree.objects / "wanted.config"
    given.write_text(wanted)
    make(tree, CONFIGURATION, jobs=1, variables={"KCONFIG_ALLCONFIG": str(given)})
    return (tree.objects / ".config").read_text()


def make(tree: Tree, *targets: str, jobs: int, variables: dict[str, str] | None = None) -> None:
    """Make targets of a tree, as every build does. Raises BuildError."""
    argv = ("make", f"--directory={tree.source}", f"O={tree.objects}", f"--jobs={jobs}", *targets)
    process.check(
        argv,
        timeout_s=BUILD_TIMEOUT_S,
        env=build_environment({**REPRODUCIBLE, **(variables or {})}),
        log=tree.log,
    )


def lines_of_an_earlier_build(kernels_built: Path) -> int | None:
    """How many lines the log of another kernel has; the two kernels compile the same files."""
    # An entry under construction is hidden.
    logs = sorted(kernels_built.glob(f"[!.]*/{LOG}"))
    return len(logs[-1].read_text(errors="replace").splitlines()) if logs else None


@contextmanager
def counting_lines(log: Path, progress: Progress, *, interval_s: float = 1.0) -> Iterator[None]:
    """Report each new line of a growing log as a unit of progress."""
    over = threading.Event()

    def follow() -> None:
        with log.open(errors="replace") as stream:
            while not over.wait(interval_s):
                if count := stream.read().count("\n"):
                    progress.advance(count)

    log.touch()
    follower = threading.Thread(target=follow, daemon=True)
    follower.start()
    try:
        yield
    finally:
        over.set()
        follower.join()


def _keep(tree: Tree, directory: Path) -> None:
    """Keep only what a guest and a debugger need."""
    (tree.objects / "arch/x86/boot/bzImage").rename(directory / "bzImage")
    (tree.objects / "vmlinux").rename(directory / "vmlinux")
    (tree.objects / "System.map").rename(directory / "System.map")
    (tree.objects / ".config").rename(directory / "config")
    (tree.objects / "include/config/kernel.release").rename(directory / "release")
    shutil.rmtree(tree.source)
    shutil.rmtree(tree.objects)
