# SPDX-License-Identifier: GPL-2.0
"""The conformance guest: a Debian tree with compilers and known programs, the kernel's tests built in it.

Two levels of the cache, as for the guests of the experiment: what the mirror gave, and what was made of it.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from kmlbench import process
from kmlbench.build import image, source
from kmlbench.build.artifacts import ImageArtifact
from kmlbench.build.bases import Base
from kmlbench.build.cache import Cache, content_key, fresh_log, hash_files
from kmlbench.build.mirror import KEYRING, debian_mirror, require_keyring
from kmlbench.build.namespaces import private_prefix
from kmlbench.model import Server
from kmlbench.progress import Progress

HERE = Path(__file__).parent
GROUPS = (
    "x86 sigaltstack ptrace futex timers mm seccomp breakpoints clone3 core ipc kcmp membarrier mincore "
    "prctl pidfd proc rseq syscall_user_dispatch timens vDSO capabilities exec"
)
BOOTSTRAP_TIMEOUT_S = 1800.0
ASSEMBLE_TIMEOUT_S = 1800.0
NEED_GIB = 6.0


def ensure(base: Base, *, cache: Cache, progress: Progress, mirror: str | None = None) -> ImageArtifact:
    """The image, built if the cache does not have it. Raises BuildError with the end of the log."""
    debian = cache.ensure(
        "debian",
        _debian_key(),
        lambda directory: _bootstrap(directory, cache=cache, progress=progress, mirror=mirror),
        need_gib=NEED_GIB,
    )
    key = _image_key(base, debian)
    entry = cache.ensure(
        "image",
        key,
        lambda directory: _assemble(base, debian, directory, cache=cache, progress=progress),
        need_gib=NEED_GIB,
    )
    return ImageArtifact(
        server=Server.MYSQL,
        root=entry / "root.img",
        packages=entry / "packages",
        host_key=(entry / "host_key.pub").read_text().strip(),
        client_key=entry / "client_key",
        key=content_key(key),
    )


def _packages() -> str:
    lines = (HERE / "packages.txt").read_text().splitlines()
    return ",".join(line for line in lines if line and not line.startswith("#"))


def _debian_key() -> Mapping[str, str]:
    return {
        "guest": "conformance",
        "suite": image.SUITE,
        "packages": _packages(),
        "recipe": hash_files([HERE / "bootstrap"]),
    }


def _image_key(base: Base, debian: Path) -> Mapping[str, str]:
    return {
        "guest": "conformance",
        "debian": debian.name,
        "manifest": hash_files([debian / "packages"]),
        "source": source.version(base),
        "groups": GROUPS,
        "recipe": hash_files([HERE / "assemble", HERE / "trusted.txt"]),
        "files": hash_files(path for path in (HERE / "guest").rglob("*") if path.is_file()),
        "init": hash_files(path for path in (image.RECIPE / "files").rglob("*") if path.is_file()),
    }


def _bootstrap(directory: Path, *, cache: Cache, progress: Progress, mirror: str | None) -> None:
    progress.stage("fetching Debian packages for the conformance guest")
    image.require_memory()
    require_keyring()
    arguments = (str(directory), mirror or debian_mirror(), image.SUITE, str(KEYRING), _packages())
    process.check(
        (*private_prefix(), str(HERE / "bootstrap"), *arguments),
        timeout_s=BOOTSTRAP_TIMEOUT_S,
        log=fresh_log(cache, "debian-conformance"),
    )


def _assemble(base: Base, debian: Path, directory: Path, *, cache: Cache, progress: Progress) -> None:
    progress.stage("building the kernel's tests and assembling the conformance image")
    image.require_memory()
    stage = directory / "stage"
    shutil.copytree(image.RECIPE / "files", stage)
    shutil.copytree(HERE / "guest", stage / "usr/lib/kmlbench", dirs_exist_ok=True)
    image.add_keys(stage, directory, "conformance-guest")
    paths = (
        HERE / "assemble",
        directory / "root.img",
        debian / "root.tar",
        stage,
        source.ensure(base, cache=cache, progress=progress),
        HERE / "trusted.txt",
    )
    process.check(
        (*private_prefix(), *map(str, paths), GROUPS),
        timeout_s=ASSEMBLE_TIMEOUT_S,
        log=fresh_log(cache, "image-conformance"),
    )
    shutil.copy(debian / "packages", directory / "packages")
    shutil.rmtree(stage)
