# SPDX-License-Identifier: MIT
"""The kernels in the cache: built by what, and whether a campaign of this checkout boots them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import msgspec

from kmlbench.build import checksums, kernel
from kmlbench.build.bases import Base
from kmlbench.build.cache import KEY_FILE, Cache, content_key
from kmlbench.errors import MachineError
from kmlbench.model import Kernel


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltKernel:
    """A kernel in the cache. `sha256` is that of its bzImage, `bytes` what all its files take.

    `wanted`: a campaign of this checkout boots it; None if this machine cannot tell, for want of a compiler
    or of the source.
    """

    kernel: str
    release: str
    key: str
    source: str
    compiler: str
    bytes: int
    sha256: str
    checksum: checksums.Verdict
    wanted: bool | None


def wanted() -> dict[tuple[Base, Kernel], str]:
    """The keys of the kernels that campaigns of this checkout boot. Raises MachineError."""
    return {(base, each): content_key(kernel.content(each, base)) for base in Base for each in Kernel}


def kernels(cache: Cache, wanted: dict[tuple[Base, Kernel], str] | None) -> tuple[BuiltKernel, ...]:
    """All kernels of the cache, those first that are wanted. Raises MachineError if one is not whole."""
    recorded = checksums.read()
    entries = [path for path in (cache.root / "kernel").glob("[!.]*") if path.is_dir()]
    listed = [_kernel(path, wanted, recorded) for path in entries]
    return tuple(sorted(listed, key=lambda each: (not each.wanted, each.kernel, each.key)))


def _kernel(
    path: Path, wanted: dict[tuple[Base, Kernel], str] | None, recorded: tuple[checksums.Build, ...]
) -> BuiltKernel:
    try:
        key = msgspec.json.decode((path / KEY_FILE).read_bytes(), type=dict[str, str])
        image = checksums.sha256(path / "bzImage")
        return BuiltKernel(
            kernel=key.get("kernel", ""),
            release=(path / "release").read_text().strip(),
            key=path.name,
            source=key.get("source", ""),
            compiler=key.get("compiler", ""),
            bytes=sum(file.stat().st_size for file in path.iterdir()),
            sha256=image,
            checksum=checksums.verdict(key, image, recorded=recorded),
            wanted=None if wanted is None else path.name in wanted.values(),
        )
    except (OSError, ValueError, msgspec.DecodeError) as error:
        raise MachineError(
            f"{path} is no whole kernel: {error}",
            remedy="remove that directory; `kmlbench kernel build` makes it again",
        ) from error
