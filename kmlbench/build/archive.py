# SPDX-License-Identifier: MIT
"""Archives of regular files, a tar in zstd (`tar --zstd`), written and read one member after another.

The reader knows what comes next: a member of another name, size or kind ends it. It follows no links and
has no headers of a length that the archive decides.
"""

from __future__ import annotations

import os
import tarfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import pyarrow

from kmlbench.errors import InputError

CHUNK_BYTES = 1 << 20

# tar ends with two blocks of zeros; GNU's fills its last record with more.
END_BYTES = 2 * tarfile.BLOCKSIZE

LARGEST_END_BYTES = 2 * tarfile.RECORDSIZE

# A size has eleven octal digits in a header.
LARGEST_FILE = 8**11 - 1

REMEDY = "copy it once more from where it was packed, or pack it again there"

KINDS = {
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.LNKTYPE: "a hard link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.DIRTYPE: "a directory",
    tarfile.FIFOTYPE: "a pipe",
}


class Source(Protocol):
    """A stream of bytes."""

    def read(self, count: int, /) -> bytes:
        """At most `count` bytes; none at the end. Raises OSError."""


class Sink(Protocol):
    """Where bytes go."""

    def write(self, content: bytes, /) -> int:
        """Write all of it; its length. Raises OSError."""


class Reader:
    """The members of an archive in their order. Raises InputError for anything that is not expected."""

    def __init__(self, source: Source, *, path: Path) -> None:
        self._source = source
        self._path = path

    def text(self, name: str, *, limit: int) -> bytes:
        """The next member, which is called `name` and has at most `limit` bytes."""
        header = self._header(name)
        if not 0 <= header.size <= limit:
            raise self.fault(f"{name} has {header.size} bytes, more than {limit}")
        return b"".join(self._content(name, header.size))

    def chunks(self, name: str, *, size: int) -> Iterator[bytes]:
        """The next member, which is called `name` and has `size` bytes, in pieces."""
        header = self._header(name)
        if header.size != size:
            raise self.fault(f"{name} has {header.size} bytes, and {size} in the manifest")
        yield from self._content(name, size)

    def end(self) -> None:
        """Nothing may follow but the end of the archive."""
        rest = self._read(LARGEST_END_BYTES + 1, "the end of the archive")
        if len(rest) < END_BYTES:
            raise self.fault("it ends before the end of the archive")
        if len(rest) > LARGEST_END_BYTES or any(rest):
            raise self.fault("it has more members than its manifest lists")

    def fault(self, cause: str) -> InputError:
        """The error that names this archive."""
        return InputError(f"{self._path}: {cause}", remedy=REMEDY)

    def _header(self, expected: str) -> tarfile.TarInfo:
        block = self._exactly(tarfile.BLOCKSIZE, f"before {expected}")
        try:
            header = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
        except (tarfile.TarError, ValueError) as error:
            raise self.fault(f"no member of an archive where {expected} should be: {error}") from error
        if header.type != tarfile.REGTYPE:
            kind = KINDS.get(header.type, f"a member of type {header.type!r}")
            raise self.fault(f"{header.name!r} is {kind}, where the file {expected} should be")
        if header.name != expected:
            raise self.fault(f"{header.name!r} is where {expected} should be")
        return header

    def _content(self, name: str, size: int) -> Iterator[bytes]:
        for start in range(0, size, CHUNK_BYTES):
            yield self._exactly(min(CHUNK_BYTES, size - start), f"within {name}")
        self._exactly(-size % tarfile.BLOCKSIZE, f"within {name}")

    def _exactly(self, count: int, where: str) -> bytes:
        content = self._read(count, where)
        if len(content) < count:
            raise self.fault(f"it ends {where}")
        return content

    def _read(self, count: int, where: str) -> bytes:
        """As many bytes as there are, at most `count`."""
        parts: list[bytes] = []
        while count:
            try:
                part = self._source.read(count)
            except OSError as error:
                raise self.fault(f"{where} it could not be read: {error.strerror or error}") from error
            if not part:
                break
            parts.append(part)
            count -= len(part)
        return b"".join(parts)


class Writer:
    """Adds files to an archive, which depends on nothing but their names and contents."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink

    def add(self, name: str, content: Iterable[bytes], *, size: int) -> None:
        """Add a file of `size` bytes, LARGEST_FILE at most. Raises OSError, also for other content."""
        header = tarfile.TarInfo(name)
        header.size = size
        self._sink.write(header.tobuf(tarfile.USTAR_FORMAT, "utf-8", "strict"))
        written = sum(self._sink.write(chunk) for chunk in content)
        if written != size:
            raise OSError(f"{name} changed while it was read")
        self._sink.write(bytes(-size % tarfile.BLOCKSIZE))

    def end(self) -> None:
        """Nothing is added any more."""
        self._sink.write(bytes(END_BYTES))


@contextmanager
def reading(path: Path) -> Iterator[Reader]:
    """The reader of an archive. Raises InputError if there is none."""
    try:
        stream = path.open("rb")
    except OSError as error:
        raise InputError(
            f"{path} could not be read: {error.strerror}",
            remedy="name a file that `kmlbench kernel pack` wrote",
        ) from error
    with stream, pyarrow.CompressedInputStream(stream, "zstd") as source:
        yield Reader(source, path=path)


@contextmanager
def writing(path: Path) -> Iterator[Writer]:
    """The writer of a new archive that only its user may read. Raises OSError."""
    with (
        open(path, "xb", opener=_private) as stream,
        pyarrow.CompressedOutputStream(stream, "zstd") as sink,
    ):
        writer = Writer(sink)
        yield writer
        writer.end()


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
