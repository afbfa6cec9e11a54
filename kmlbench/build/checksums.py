# SPDX-License-Identifier: MIT
"""What a build of a kernel must give, by compiler: the SHA-256 in kernel/checksums.toml."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec
import tomli_w

from kmlbench.build.artifacts import KernelArtifact
from kmlbench.build.cache import content_key
from kmlbench.errors import InputError
from kmlbench.model import Kernel
from kmlbench.paths import KERNEL

RECORD = KERNEL / "checksums.toml"

Sha256 = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]


class Build(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One recorded build. `key` is its content key; `image` and `vmlinux` are SHA-256 of what it gave."""

    kernel: Kernel
    key: str
    source: str
    compiler: str
    linker: str
    image: Sha256 = msgspec.field(name="bzImage")
    vmlinux: Sha256


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file."""

    build: tuple[Build, ...]


class Verdict(StrEnum):
    """What the record says of a kernel, in words for people."""

    SAME = "as recorded"
    DIFFERENT = "differs from the record"
    STALE = "not recorded: another source, series or configuration"
    UNKNOWN_COMPILER = "not recorded: an unknown compiler"


def read() -> tuple[Build, ...]:
    """The recorded builds. Raises InputError."""
    try:
        content = tomllib.loads(RECORD.read_text(encoding="utf-8"))
        return msgspec.convert(content, Record).build
    except (OSError, ValueError, msgspec.ValidationError) as error:
        raise InputError(
            f"{RECORD}: no record of checksums: {error}",
            remedy="`kmlbench kernel list --checksums` prints that of the kernels that are built here",
        ) from error


def verdict(key: Mapping[str, str], image: str, *, recorded: tuple[Build, ...]) -> Verdict:
    """What the record says of a kernel with this key (`kernel.content`) and this SHA-256 of its bzImage."""
    for build in recorded:
        if build.key == content_key(key):
            return Verdict.SAME if build.image == image else Verdict.DIFFERENT
    tools = (key.get("compiler"), key.get("linker"))
    known = any((build.compiler, build.linker) == tools for build in recorded)
    return Verdict.STALE if known else Verdict.UNKNOWN_COMPILER


def of(artifact: KernelArtifact, key: Mapping[str, str]) -> Build:
    """What the record would have of a built kernel with this key."""
    return Build(
        kernel=artifact.kernel,
        key=artifact.key,
        source=key["source"],
        compiler=key["compiler"],
        linker=key["linker"],
        image=sha256(artifact.image),
        vmlinux=sha256(artifact.image.with_name("vmlinux")),
    )


def toml(builds: tuple[Build, ...]) -> str:
    """Builds as the record has them."""
    return tomli_w.dumps(msgspec.to_builtins(Record(build=builds)))


def sha256(path: Path) -> str:
    """The checksum of a file, in hexadecimal digits. Raises OSError."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
