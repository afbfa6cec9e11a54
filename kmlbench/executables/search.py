# SPDX-License-Identifier: MIT
"""Where a dynamic linker looks for a library: that of glibc as ld.so(8) has it, and that of musl."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from kmlbench.errors import InputError
from kmlbench.executables import ld_cache
from kmlbench.executables.elf import ElfFile, is_loadable

# Debian's directories for this architecture, then those of other distributions.
GLIBC_DIRECTORIES = (
    *("/lib/x86_64-linux-gnu", "/usr/lib/x86_64-linux-gnu"),
    *("/lib64", "/usr/lib64", "/lib", "/usr/lib"),
)

MUSL_DIRECTORIES = ("/lib", "/usr/local/lib", "/usr/lib")

MUSL_PATH = Path("/etc/ld-musl-x86_64.path")

# What musl has in its dynamic linker, under any of these names (ldso/dynlink.c).
_IN_MUSL = re.compile(r"lib(?:c|pthread|rt|m|dl|util|xnet)\..*")

_TOKEN = re.compile(r"\$(?:\{(ORIGIN|LIB|PLATFORM)\}|(ORIGIN|LIB|PLATFORM)(?![A-Za-z0-9_]))")

_LIB, _PLATFORM = ("lib/x86_64-linux-gnu", "lib64"), "x86_64"


class Linker(StrEnum):
    """A kind of dynamic linker."""

    GLIBC = "glibc"
    MUSL = "musl"


def linker_of(program: ElfFile) -> Linker:
    """The kind of a program's ELF interpreter. Raises InputError for one that is neither."""
    name = Path(program.interpreter or "").name
    if name.startswith("ld-linux-x86-64.so"):
        return Linker.GLIBC
    if name.startswith("ld-musl-x86_64.so"):
        return Linker.MUSL
    raise InputError(
        f"{program.path}: its ELF interpreter {program.interpreter} is neither glibc's nor musl's",
        remedy="give a program that was linked with glibc or musl, or statically",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A library or a program, as the dynamic linker opened it, and what made it do so (None: the program)."""

    file: ElfFile
    opened: Path
    loader: Loaded | None


def _system_cache() -> Mapping[str, str]:
    return ld_cache.read_cache()


@dataclass(frozen=True, slots=True, kw_only=True)
class System:
    """What a search depends on beside the files: the environment, and how the system is configured."""

    library_path: tuple[str, ...] = ()
    cache: Mapping[str, str] = field(default_factory=_system_cache)
    glibc: tuple[str, ...] = GLIBC_DIRECTORIES
    musl: tuple[str, ...] = MUSL_DIRECTORIES


def this_system(environment: Mapping[str, str] = os.environ) -> System:
    """That of this machine."""
    listed = environment.get("LD_LIBRARY_PATH", "")
    paths = MUSL_PATH.read_text() if MUSL_PATH.is_file() else ""
    return System(
        library_path=tuple(re.split("[:;]", listed)) if listed else (),
        musl=tuple(filter(None, re.split(r"[:\n]", paths))) or MUSL_DIRECTORIES,
    )


def in_linker(name: str, linker: Linker) -> bool:
    """Whether a library of this name is part of the dynamic linker."""
    return linker is Linker.MUSL and _IN_MUSL.fullmatch(name) is not None


def find_library(
    name: str, by: Loaded, *, linker: Linker, system: System
) -> tuple[Path | None, tuple[str, ...]]:
    """Where a library that `by` needs is, if it is, and the places that were looked at."""
    looked: list[str] = []
    for directory in _places(name, by, linker=linker, system=system):
        path = Path(directory, name)
        looked.append(directory)
        if path.is_file() and is_loadable(path):
            return path, tuple(looked)
    return None, tuple(dict.fromkeys(looked))


def _places(name: str, by: Loaded, *, linker: Linker, system: System) -> Iterator[str]:
    """Directories in the order of the search; the cache yields that of its entry."""
    match linker:
        case Linker.GLIBC:
            yield from _glibc_places(name, by, system)
        case Linker.MUSL:
            yield from system.library_path
            yield from (place for object in _chain(by) for place in _of(object, _any_path(object.file)))
            yield from system.musl


def _glibc_places(name: str, by: Loaded, system: System) -> Iterator[str]:
    if by.file.runpath is None:
        yield from (place for object in _chain(by) for place in _of(object, object.file.rpath))
    yield from system.library_path
    yield from _of(by, by.file.runpath or ())
    entry = system.cache.get(name)
    if entry is not None and (by.file.default_paths or str(Path(entry).parent) not in system.glibc):
        yield str(Path(entry).parent)
    if by.file.default_paths:
        yield from system.glibc


def _chain(by: Loaded) -> Iterator[Loaded]:
    """An object and what loaded it, up to the program."""
    current: Loaded | None = by
    while current is not None:
        yield current
        current = current.loader


def _any_path(file: ElfFile) -> Sequence[str]:
    return file.rpath if file.runpath is None else file.runpath


def _of(object: Loaded, directories: Sequence[str]) -> Iterator[str]:
    for directory in directories:
        yield from expand(directory, origin=object.opened.parent)


def expand(text: str, *, origin: Path) -> tuple[str, ...]:
    """A path with its tokens replaced: several where one stands for several directories."""

    def replaced(lib: str) -> str:
        words = {"ORIGIN": str(origin), "LIB": lib, "PLATFORM": _PLATFORM}
        return _TOKEN.sub(lambda match: words[match[1] or match[2]], text)

    return tuple(dict.fromkeys(map(replaced, _LIB)))
