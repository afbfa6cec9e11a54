# SPDX-License-Identifier: MIT
"""Packs: what a campaign of this checkout boots, in one archive, for the other machines of a lab.

An archive begins with its manifest, which lists entries of the cache, each with its content key and the
SHA-256 of its files. The files follow in that order, as KIND/KEY/NAME.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import msgspec

from kmlbench.build import archive, bases, image, kernel
from kmlbench.build.bases import DEFAULT, Base
from kmlbench.build.cache import Cache, content_key
from kmlbench.build.checksums import Sha256, sha256
from kmlbench.errors import InputError, MachineError
from kmlbench.model import Kernel, Server
from kmlbench.progress import Progress
from kmlbench.storage import draft

FORMAT = 1

MANIFEST = "manifest.json"

# A manifest of two kernels and two images has 5 KiB.
LARGEST_MANIFEST = 1 << 20


class Kind(StrEnum):
    """What is packed, and its directory in the cache; entries come in this order."""

    KERNEL = "kernel"
    DEBIAN = "debian"
    IMAGE = "image"


BZIMAGE = "bzImage"

# All files of an entry but its key, which the cache writes.
FILES = {
    Kind.KERNEL: ("release", "config", BZIMAGE, "System.map", "vmlinux", "build.log"),
    Kind.DEBIAN: ("packages", "root.tar"),
    Kind.IMAGE: ("packages", "trusted.txt", "host_key.pub", "client_key", "root.img"),
}


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A file; `size` in bytes."""

    name: str
    size: Annotated[int, msgspec.Meta(ge=0, le=archive.LARGEST_FILE)]
    sha256: Sha256


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """An entry of the cache; `disk_bytes` is what it takes there, without the holes of its files."""

    kind: Kind
    key: dict[str, str]
    disk_bytes: Annotated[int, msgspec.Meta(ge=0, le=1 << 50)]
    members: tuple[Member, ...]

    def __post_init__(self) -> None:
        if tuple(member.name for member in self.members) != FILES[self.kind]:
            raise ValueError(f"{self.name} does not have the files of a {self.kind}")

    @property
    def name(self) -> str:
        """Its directory, below that of the cache and in the archive."""
        return f"{self.kind}/{content_key(self.key)}"

    def member(self, name: str) -> Member:
        """The file of this name, one of FILES."""
        return next(member for member in self.members if member.name == name)


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """The program that packed; `commit` as `provenance.git_commit`."""

    version: str
    commit: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """The first member."""

    format: int
    origin: Origin
    entries: tuple[Entry, ...]

    def __post_init__(self) -> None:
        names = [entry.name for entry in self.entries]
        if not names or len(set(names)) < len(names):
            raise ValueError("no entries, or one twice")

    def packages_of(self, image: Entry) -> Entry | None:
        """Debian's packages that an image was made from."""
        own = f"{Kind.DEBIAN}/{image.key.get('debian')}"
        return next((entry for entry in self.entries if entry.name == own), None)

    def label(self, entry: Entry) -> str:
        """What an entry is, for people."""
        match entry.kind:
            case Kind.KERNEL:
                base = bases.of_source(entry.key.get("source", ""))
                return f"kernel {entry.key.get('kernel')} {base or 'of an unknown Linux'}"
            case Kind.DEBIAN:
                return f"Debian's packages for {entry.key.get('server')}"
            case Kind.IMAGE:
                below = self.packages_of(entry)
                return f"guest image with {below.key.get('server') if below else 'packages it lacks'}"


class _Head(msgspec.Struct, frozen=True, kw_only=True):
    format: int


def pack(path: Path, *, origin: Origin, cache: Cache, progress: Progress, images: bool = True) -> Manifest:
    """Write what is built for this checkout to `path`: pairs of kernels, and each image with its packages.

    Raises MachineError if a kernel is not built or the file cannot be written, InputError if it exists.
    """
    if path.exists():
        raise InputError(f"{path} exists", remedy="name another file, or remove it")
    progress.stage("reading what is built")
    manifest = Manifest(
        format=FORMAT,
        origin=origin,
        entries=tuple(_entries(cache, images=images)),
    )
    progress.stage(f"packing {path}", total=units(manifest))
    try:
        with draft(path) as written:
            _write(manifest, written, cache=cache, progress=progress)
    except OSError as error:
        raise MachineError(
            f"{path} could not be written: {error.strerror or error}",
            remedy="name a file in a directory with free space that you can write to",
        ) from error
    return manifest


def read_manifest(reader: archive.Reader) -> Manifest:
    """The manifest of an archive, whose files come next. Raises InputError."""
    text = reader.text(MANIFEST, limit=LARGEST_MANIFEST)
    try:
        if (head := msgspec.json.decode(text, type=_Head)).format != FORMAT:
            raise reader.fault(f"a pack of format {head.format}, and this version reads format {FORMAT}")
        return msgspec.json.decode(text, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise reader.fault(f"{MANIFEST} is no manifest of a pack: {error}") from error


def units(manifest: Manifest) -> int:
    """The pieces that the files are read in: the units of progress."""
    return sum(
        -(-member.size // archive.CHUNK_BYTES) for entry in manifest.entries for member in entry.members
    )


def _entries(cache: Cache, *, images: bool) -> Iterator[Entry]:
    for each, base in _kernels(cache):
        if kernel.built(each, base, cache=cache) is None:
            raise MachineError(
                f"kernel {each} {base} is not built for this checkout",
                remedy=f"run `kmlbench kernel build --kernel {base}`",
            )
        yield _entry(Kind.KERNEL, kernel.content(each, base), cache=cache)
    for server in Server if images else ():
        if image.built(server, cache=cache) is not None:
            packages = image.debian_content(server)
            yield _entry(Kind.DEBIAN, packages, cache=cache)
            yield _entry(Kind.IMAGE, image.content(server, cache.path(Kind.DEBIAN, packages)), cache=cache)


def _kernels(cache: Cache) -> Iterator[tuple[Kernel, Base]]:
    """Both kernels of each base of which one is built; if there is none, those of the default."""
    some = [base for base in Base if any(kernel.built(each, base, cache=cache) for each in Kernel)]
    return ((each, base) for base in some or [DEFAULT] for each in Kernel)


def _entry(kind: Kind, key: Mapping[str, str], *, cache: Cache) -> Entry:
    directory = cache.path(kind, key)
    try:
        members = tuple(_member(directory / name) for name in FILES[kind])
        disk = sum((directory / name).stat().st_blocks * 512 for name in FILES[kind])
    except OSError as error:
        raise MachineError(
            f"{error.filename} could not be read: {error.strerror}",
            remedy=f"remove {directory} and build it again",
        ) from error
    return Entry(kind=kind, key=dict(key), disk_bytes=disk, members=members)


def _member(path: Path) -> Member:
    return Member(name=path.name, size=path.stat().st_size, sha256=sha256(path))


def _write(manifest: Manifest, path: Path, *, cache: Cache, progress: Progress) -> None:
    text = msgspec.json.encode(manifest)
    with archive.writing(path) as writer:
        writer.add(MANIFEST, (text,), size=len(text))
        for entry in manifest.entries:
            for member in entry.members:
                content = _chunks(cache.root / entry.name / member.name, progress)
                writer.add(f"{entry.name}/{member.name}", content, size=member.size)


def _chunks(path: Path, progress: Progress) -> Iterator[bytes]:
    with path.open("rb") as stream:
        while chunk := stream.read(archive.CHUNK_BYTES):
            yield chunk
            progress.advance()
