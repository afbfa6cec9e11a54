# SPDX-License-Identifier: MIT
"""Packs are unpacked into the cache: all of what they have, or nothing."""

from __future__ import annotations

import hashlib
import os
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import IO

from kmlbench.build import archive, fitting
from kmlbench.build.cache import BYTES_PER_GIB, Cache
from kmlbench.build.checksums import sha256
from kmlbench.build.pack import BZIMAGE, Entry, Kind, Manifest, Member, read_manifest, units
from kmlbench.progress import Progress

# Guests' file systems have holes: pieces of zeros of this length are not written.
HOLE_BYTES = 1 << 16

HOLE = bytes(HOLE_BYTES)

# A private key, which ssh refuses if others may read it.
PRIVATE = {"client_key"}


class State(StrEnum):
    """What became of an entry."""

    UNPACKED = "unpacked"
    PRESENT = "in the cache already"
    OTHER = "in the cache already, with other bytes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """An entry of a pack, what it is, for people, and what became of it."""

    entry: Entry
    label: str
    state: State


def unpack(
    path: Path, *, cache: Cache, progress: Progress, images: bool = True, replace: bool = False
) -> tuple[Arrival, ...]:
    """Put what the pack has into the cache; entries that are there stay. `images`: not only the kernels.

    `replace`: Debian packages of other versions in the cache give way to those of the pack. Raises InputError
    if the pack is damaged, or is not what this checkout would build on this machine; MachineError without a
    compiler, the source of the kernels or space. Nothing is in the cache then that was not there before.
    """
    with archive.reading(path) as reader:
        progress.stage(f"reading {path}")
        manifest = read_manifest(reader)
        wanted = tuple(entry for entry in manifest.entries if images or entry.kind is Kind.KERNEL)
        fitting.require_fitting(path, manifest, wanted)
        if not replace:
            fitting.require_packages(path, manifest, wanted, cache=cache)
        with ExitStack() as stack:
            staged = _stage(wanted, stack, cache=cache, replace=replace)
            progress.stage(f"unpacking {path}", total=units(manifest))
            _read(reader, manifest, staged, progress=progress)
        return tuple(
            Arrival(entry=entry, label=manifest.label(entry), state=_state(entry, staged[entry.name], cache))
            for entry in wanted
        )


def _stage(
    entries: tuple[Entry, ...], stack: ExitStack, *, cache: Cache, replace: bool
) -> dict[str, Path | None]:
    """A directory for each entry, by its name, which is put in place at the end of `stack`."""
    # In one order for everybody, so that two who unpack do not wait for each other.
    ordered = sorted(entries, key=lambda entry: entry.name)
    replaced = {entry.name for entry in ordered if replace and fitting.other_packages(entry, cache=cache)}
    new = [entry for entry in ordered if entry.name in replaced or not (cache.root / entry.name).exists()]
    need = sum(entry.disk_bytes for entry in new) / BYTES_PER_GIB
    return {
        entry.name: stack.enter_context(
            cache.staged(entry.kind, entry.key, need_gib=need, replace=entry.name in replaced)
        )
        for entry in ordered
    }


def _read(
    reader: archive.Reader, manifest: Manifest, staged: dict[str, Path | None], *, progress: Progress
) -> None:
    """Read all of the archive, and write what has a directory."""
    for entry in manifest.entries:
        directory = staged.get(entry.name)
        for member in entry.members:
            with nullcontext() if directory is None else _created(directory / member.name) as file:
                _take(reader, f"{entry.name}/{member.name}", member, file, progress=progress)
    reader.end()


def _take(
    reader: archive.Reader, name: str, member: Member, file: IO[bytes] | None, *, progress: Progress
) -> None:
    digest = hashlib.sha256()
    for chunk in reader.chunks(name, size=member.size):
        digest.update(chunk)
        if file is not None:
            _write(file, chunk)
        progress.advance()
    if file is not None:
        file.truncate(member.size)
    if digest.hexdigest() != member.sha256:
        raise reader.fault(f"{name} has another SHA-256 than in the manifest")


def _created(path: Path) -> IO[bytes]:
    mode = 0o600 if path.name in PRIVATE else 0o644
    return open(path, "xb", opener=lambda name, flags: os.open(name, flags, mode))


def _write(file: IO[bytes], chunk: bytes) -> None:
    for start in range(0, len(chunk), HOLE_BYTES):
        piece = chunk[start : start + HOLE_BYTES]
        if piece == HOLE:
            file.seek(HOLE_BYTES, os.SEEK_CUR)
        else:
            file.write(piece)


def _state(entry: Entry, staged: Path | None, cache: Cache) -> State:
    if staged is not None:
        return State.UNPACKED
    own = cache.root / entry.name
    # Two builds of an image have different keys of SSH; two of a kernel are the same.
    same = entry.kind is not Kind.KERNEL or sha256(own / BZIMAGE) == entry.member(BZIMAGE).sha256
    return State.PRESENT if same else State.OTHER
