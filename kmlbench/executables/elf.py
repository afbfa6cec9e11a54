# SPDX-License-Identifier: MIT
"""What an ELF file says about how it is loaded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.construct import ConstructError
from elftools.elf.descriptions import describe_e_machine
from elftools.elf.dynamic import DynamicSegment
from elftools.elf.elffile import ELFFile
from elftools.elf.segments import InterpSegment, Segment

from kmlbench.errors import InputError

MAGIC = b"\x7fELF"

_MACHINE, _BITS = "EM_X86_64", 64

_PIE, _NODEFLIB = 0x08000000, 0x800

# What pyelftools raises for files that are damaged in one way or another.
_DAMAGE = (
    *(ELFError, ConstructError, ValueError, KeyError, IndexError, AttributeError),
    *(TypeError, OverflowError, MemoryError, RecursionError, AssertionError),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ElfFile:
    """An x86-64 program or shared library. Its paths are as written there, tokens like $ORIGIN included.

    `runpath` is None where there is none; even an empty one takes the place of `rpath`. `default_paths` is
    False for a file that must not find libraries in the system's directories.
    """

    path: Path
    interpreter: str | None
    needed: tuple[str, ...]
    soname: str | None
    rpath: tuple[str, ...]
    runpath: tuple[str, ...] | None
    default_paths: bool
    program: bool


def read_elf(path: Path) -> ElfFile:
    """Raises InputError for a file that is damaged, for another architecture, or cannot be read."""
    try:
        with path.open("rb") as stream:
            file = ELFFile(stream)
            _require_machine(path, file)
            return _described(path, file)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except _DAMAGE as error:
        raise InputError(
            f"{path}: a damaged ELF file: {error}", remedy="install or build it again"
        ) from error


def is_loadable(path: Path) -> bool:
    """Whether the dynamic linker would take this library: it passes over those for other machines."""
    try:
        with path.open("rb") as stream:
            file = ELFFile(stream)
            return (file["e_machine"], file.elfclass) == (_MACHINE, _BITS)
    except (OSError, *_DAMAGE):
        return False


def _require_machine(path: Path, file: ELFFile) -> None:
    if (file["e_machine"], file.elfclass) != (_MACHINE, _BITS):
        name = describe_e_machine(file["e_machine"])
        raise InputError(
            f"{path} is for {name} with {file.elfclass} bits, and the kernels are for x86-64",
            remedy="give a program that was built for x86-64 with 64 bits",
        )


def _described(path: Path, file: ELFFile) -> ElfFile:
    segments = list(file.iter_segments())
    interpreters = [segment.get_interp_name() for segment in segments if isinstance(segment, InterpSegment)]
    tags = _tags(segments)
    runpath = _directories(tags["DT_RUNPATH"]) if "DT_RUNPATH" in tags else None
    flags = next((value for value in tags.get("DT_FLAGS_1", ()) if isinstance(value, int)), 0)
    interpreter = interpreters[0] if interpreters else None
    return ElfFile(
        path=path,
        interpreter=interpreter,
        needed=tuple(map(str, tags.get("DT_NEEDED", ()))),
        soname=next(map(str, tags.get("DT_SONAME", ())), None),
        rpath=_directories(tags.get("DT_RPATH", ())) if runpath is None else (),
        runpath=runpath,
        default_paths=not flags & _NODEFLIB,
        program=file["e_type"] == "ET_EXEC" or interpreter is not None or bool(flags & _PIE),
    )


Tags = Mapping[str, tuple[object, ...]]

_STRINGS = {"DT_NEEDED": "needed", "DT_SONAME": "soname", "DT_RPATH": "rpath", "DT_RUNPATH": "runpath"}


def _tags(segments: Sequence[Segment]) -> Tags:
    tags: dict[str, tuple[object, ...]] = {}
    for segment in segments:
        if isinstance(segment, DynamicSegment):
            for tag in segment.iter_tags():
                name = tag.entry.d_tag
                value = getattr(tag, _STRINGS[name]) if name in _STRINGS else tag.entry.d_val
                tags[name] = (*tags.get(name, ()), value)
    return tags


def _directories(values: tuple[object, ...]) -> tuple[str, ...]:
    return tuple(part for value in values if value for part in str(value).split(":"))
