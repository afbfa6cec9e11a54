# SPDX-License-Identifier: MIT
"""Files that are written whole or not at all, and locks that are released when their process ends."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def draft(path: Path) -> Iterator[Path]:
    """A name beside `path`; what is written there takes the place of `path` when the block ends well."""
    written = path.with_name(f".{path.name}.{os.getpid()}.draft")
    try:
        yield written
        written.replace(path)
    finally:
        written.unlink(missing_ok=True)


def write_whole(path: Path, content: bytes, *, durable: bool = False) -> None:
    """Write a file that others see whole or not at all; `durable`: also after a loss of power.

    Raises OSError, and leaves what was there before.
    """
    with draft(path) as written:
        written.write_bytes(content)
        if durable:
            sync(written)
    if durable:
        sync(path.parent)


def sync(path: Path) -> None:
    """Have a file, or the names in a directory, on the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def locked(path: Path, *, wait: bool = True, flags: int = os.O_CREAT, mode: int = 0o600) -> Iterator[int]:
    """Hold the lock of the file at `path`, opened with `flags`; yields its descriptor.

    A file that its holder removed meanwhile is opened anew. Raises BlockingIOError when somebody else has the
    lock and `wait` is false, OSError when the file cannot be opened.
    """
    held = False
    while not held:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | flags, mode)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            held = _is_at(descriptor, path)
            if held:
                yield descriptor
        finally:
            os.close(descriptor)


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
