# SPDX-License-Identifier: MIT
"""The user's build cache: one directory per content key, complete or absent."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from kmlbench import paths
from kmlbench.errors import MachineError
from kmlbench.storage import locked

KEY_FILE = "key.json"

KEY_LENGTH = 20

# The errors of a disk or a path that cannot be written, not those of a build.
UNUSABLE = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.ELOOP}
    | {errno.EEXIST, errno.ENAMETOOLONG, errno.EFBIG, errno.EIO}
)

BYTES_PER_GIB = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """The paths of one entry: `whole` once it is built, `partial` during the build, `lock` for the builder.

    The partial directory is named after its process, so that a compiler that outlives a killed build does
    not write into another one.
    """

    whole: Path
    partial: Path
    lock: Path


class Cache:
    """Directories by kind and content key. Safe to use from several processes at once."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, kind: str, key: Mapping[str, str]) -> Path:
        """Where the entry of this key is, or would be."""
        return self.root / kind / content_key(key)

    def ensure(
        self, kind: str, key: Mapping[str, str], build: Callable[[Path], None], *, need_gib: float = 4.0
    ) -> Path:
        """The directory of this key; built by `build(empty directory)` if it is not there.

        A second builder waits for the first. An entry appears atomically, by a rename; leftovers of a killed
        build of this kind are removed by the next. Raises MachineError with less than `need_gib` GiB of free
        disk.
        """
        whole = self.path(kind, key)
        if not whole.exists():
            with self.staged(kind, key, need_gib=need_gib) as directory:
                if directory is not None:
                    build(directory)
        return whole

    @contextmanager
    def staged(
        self, kind: str, key: Mapping[str, str], *, need_gib: float, replace: bool = False
    ) -> Iterator[Path | None]:
        """An empty directory, which becomes the entry of this key when the block ends well.

        None where the entry exists, unless it is to be replaced. Waits for other builders of this key, and
        keeps them waiting. Raises MachineError as `ensure`.
        """
        entry = self._entry(kind, key)
        with self._building(entry):
            if entry.whole.exists() and not replace:
                yield None
                return
            _remove_abandoned(entry.partial.parent)
            require_space(entry.partial.parent, need_gib=need_gib)
            try:
                with _machine_errors(entry.partial):
                    entry.partial.mkdir()
                    yield entry.partial
                    _publish(entry, key)
            finally:
                _remove(entry.partial)

    def forget(self, kind: str, key: Mapping[str, str]) -> None:
        """Remove the entry of this key, so that the next `ensure` rebuilds it."""
        entry = self._entry(kind, key)
        with self._building(entry):
            if entry.whole.exists():
                # Renamed first, so that a visible entry is always complete.
                entry.whole.rename(entry.partial)
                _remove(entry.partial)

    def _entry(self, kind: str, key: Mapping[str, str]) -> _Entry:
        whole = self.path(kind, key)
        return _Entry(
            whole=whole,
            partial=whole.with_name(f".{whole.name}.partial-{os.getpid()}"),
            lock=whole.with_name(f".{whole.name}.lock"),
        )

    @contextmanager
    def _building(self, entry: _Entry) -> Iterator[None]:
        """Hold the entry's lock, after removing leftovers. The lock ends with its process."""
        with _machine_errors(entry.lock):
            entry.lock.parent.mkdir(parents=True, exist_ok=True)
        with _locked(entry.lock, wait=True):
            for leftover in entry.whole.parent.glob(f".{entry.whole.name}.partial-*"):
                _remove(leftover)
            yield


def default_cache() -> Cache:
    """The cache of this user: $XDG_CACHE_HOME/kmlbench, or ~/.cache/kmlbench. Raises MachineError."""
    return Cache(paths.cache_home() / "kmlbench")


def content_key(key: Mapping[str, str]) -> str:
    """A short name for this content: the first hexadecimal digits of a SHA-256."""
    return hashlib.sha256(json.dumps(dict(key), sort_keys=True).encode()).hexdigest()[:KEY_LENGTH]


def hash_files(paths: Iterable[Path]) -> str:
    """One SHA-256 over names and contents of these files, in any order."""
    return hash_digests((path, hashlib.sha256(path.read_bytes()).hexdigest()) for path in paths)


def hash_digests(digests: Iterable[tuple[Path, str]]) -> str:
    """`hash_files` of files whose own SHA-256 are known."""
    total = hashlib.sha256()
    for path, content in sorted(digests):
        total.update(f"{path.parent.name}/{path.name} {content}\n".encode())
    return total.hexdigest()


def require_space(directory: Path, *, need_gib: float) -> None:
    """Raises MachineError when the disk under `directory` has less than `need_gib` GiB free."""
    free_gib = shutil.disk_usage(directory).free / BYTES_PER_GIB
    if free_gib < need_gib:
        raise MachineError(
            f"{directory} has {free_gib:.1f} GiB free, {need_gib:.1f} GiB are needed to build there",
            remedy="free some disk space, or set XDG_CACHE_HOME to a directory on a larger disk",
        )


def fresh_log(cache: Cache, name: str) -> Path:
    """An empty log outside the entry, so that it outlives a failed build."""
    log = cache.root / "logs" / f"{name}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.unlink(missing_ok=True)
    return log


def _publish(entry: _Entry, key: Mapping[str, str]) -> None:
    """Give the staged entry its key and its name; one that is replaced is removed when it has been."""
    (entry.partial / KEY_FILE).write_text(json.dumps(dict(key), indent=2, sort_keys=True) + "\n")
    if not entry.whole.exists():
        entry.partial.rename(entry.whole)
        return
    old = entry.partial.with_name(f"{entry.partial.name}-old")
    entry.whole.rename(old)
    entry.partial.rename(entry.whole)
    _remove(old)


@contextmanager
def _locked(lock: Path, *, wait: bool) -> Iterator[None]:
    """Hold a lock file. Raises BlockingIOError if it is held and `wait` is false."""
    with ExitStack() as stack:
        with _machine_errors(lock):
            stack.enter_context(locked(lock, wait=wait))
        yield


def _remove_abandoned(directory: Path) -> None:
    """Remove leftovers of killed builds of other entries, which may never be built again."""
    for leftover in directory.glob(".*.partial-*"):
        lock = directory / f"{leftover.name.partition('.partial-')[0]}.lock"
        with suppress(BlockingIOError), _locked(lock, wait=False):
            _remove(leftover)


@contextmanager
def _machine_errors(path: Path) -> Iterator[None]:
    """Turn a full or read-only disk, or a path that cannot be a directory, into a MachineError."""
    try:
        yield
    except OSError as error:
        if error.errno not in UNUSABLE:
            raise
        raise MachineError(
            f"{path} could not be written: {error.strerror}",
            remedy="free some disk space there, or set XDG_CACHE_HOME to a writable directory",
        ) from error


def _remove(path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True)
