# SPDX-License-Identifier: MIT
"""A program's files as they lie below both prefixes of another machine, and the command that starts it."""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kmlbench.errors import InputError
from kmlbench.executables.command import Command, read_command
from kmlbench.executables.search import Linker

# Below each prefix.
ROOT = "lib/kmlbench/try"

# What a program of the other machine's own begins with.
GUEST = "guest:"

_INSTALLED = re.compile(r"(?:/usr)?/(?P<path>(?:bin|sbin|lib|libexec)/[^{}\s]+)|(?P<name>[^/{}\s]+)")

_PREFIX = "{prefix}"

_EXECUTABLE = 0o755

# So much is sent to each guest at each boot, twice unpacked in a file system of 4 GiB.
LARGEST_MIB = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """`files` are those of this machine by their path below a prefix. `argv` has {prefix} for the prefix.

    `copied` are those of the other machine, by their path below its /usr, with the copy's below a prefix.
    `title` is what the program is called, without a directory.
    """

    title: str
    argv: tuple[str, ...]
    files: Mapping[str, Path] = field(default_factory=dict)
    copied: Mapping[str, str] = field(default_factory=dict)

    @property
    def here(self) -> bool:
        """Whether the program is this machine's."""
        return not self.copied


def bundled(argv: Sequence[str], role: str) -> Bundle:
    """The bundle of a command line, whose program is this machine's or, as guest:PATH, the other machine's.

    Raises InputError.
    """
    name, *arguments = argv
    if not name.startswith(GUEST):
        return bundle(read_command(argv), role)
    match = _INSTALLED.fullmatch(name.removeprefix(GUEST))
    if match is None:
        raise InputError(
            f"{name}: a program of the guest lies in its /usr/bin, /usr/sbin, /usr/lib or /usr/libexec",
            remedy=f"give its path there, such as {GUEST}/usr/bin/env, or its name in /usr/bin",
        )
    path = match["path"] or f"bin/{match['name']}"
    copy = f"{ROOT}/{role}/bin/{Path(path).name}"
    return Bundle(title=Path(path).name, argv=(_below(copy), *arguments), copied={path: copy})


def bundle(command: Command, role: str) -> Bundle:
    """The bundle of a command of this machine, apart from those of other roles."""
    root = f"{ROOT}/{role}"
    closure = command.closure
    program = f"{root}/bin/{closure.program.name}"
    scripts = {path: f"{root}/scripts/{path.name}" for path in command.before if isinstance(path, Path)}
    words = (_below(scripts[word]) if isinstance(word, Path) else word for word in command.before)
    files = {program: closure.program, **{where: path for path, where in scripts.items()}}
    start: tuple[str, ...] = ()
    if closure.interpreter is not None:
        linker = f"{root}/{closure.interpreter.path.name}"
        libraries = {f"{root}/lib/{name}": path for name, path in closure.libraries.items()}
        files |= {linker: closure.interpreter.path, **libraries}
        start = (_below(linker), *_options(command, f"{root}/lib"))
    argv = (*start, _below(program), *words, *command.arguments)
    return Bundle(title=command.title, argv=argv, files=files)


def _below(path: str) -> str:
    return f"{_PREFIX}/{path}"


def _options(command: Command, libraries: str) -> Iterator[str]:
    """What the dynamic linker is told."""
    closure = command.closure
    assert closure.interpreter is not None
    if closure.interpreter.linker is Linker.GLIBC:
        yield "--inhibit-cache"
        if closure.paths_within:
            # The program has the empty name, which the list begins with.
            named = (f"{_below(libraries)}/{name}" for name in closure.paths_within if name)
            yield from ("--inhibit-rpath", f":{':'.join(named)}")
    yield from ("--library-path", _below(libraries))
    if b"argv0" in closure.interpreter.path.read_bytes():
        yield from ("--argv0", command.name)


def write_archive(bundles: Sequence[Bundle], path: Path) -> None:
    """A tar file of all files, owned by root, the same bytes for the same files.

    Raises InputError if they are too many, or cannot be read.
    """
    files = sorted((name, file) for each in bundles for name, file in each.files.items())
    size_mib = sum(file.stat().st_size for _, file in files) >> 20
    if size_mib > LARGEST_MIB:
        raise InputError(
            f"the program and its libraries are {size_mib} MiB, and at most {LARGEST_MIB} come along",
            remedy="strip the program of its debug information",
        )
    try:
        with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as archive:
            _fill(archive, files)
    except OSError as error:
        raise InputError(f"{error.filename}: cannot be read: {error.strerror}") from error


def _fill(archive: tarfile.TarFile, files: Sequence[tuple[str, Path]]) -> None:
    """Two names of one file stay two names of one: a dynamic linker loads it once."""
    known: dict[tuple[int, int], str] = {}
    for name, file in files:
        status = file.stat()
        first = known.setdefault((status.st_dev, status.st_ino), name)
        entry = tarfile.TarInfo(name)
        entry.mode = _EXECUTABLE
        if first == name:
            content = file.read_bytes()
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
        else:
            entry.type, entry.linkname = tarfile.LNKTYPE, first
            archive.addfile(entry)
