# SPDX-License-Identifier: MIT
"""A program and everything that its dynamic linker would load with it, found without running either."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from kmlbench.errors import InputError
from kmlbench.executables.elf import ElfFile, read_elf
from kmlbench.executables.search import Linker, Loaded, System, expand, find_library, in_linker, linker_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """The ELF interpreter of a program: which kind it is, and its file."""

    linker: Linker
    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Closure:
    """A program, its ELF interpreter (None: static) and its libraries by the name they are asked for.

    `paths_within` are the names of the libraries, and "" for the program, that say themselves where to look.
    """

    program: Path
    interpreter: Interpreter | None = None
    libraries: Mapping[str, Path] = field(default_factory=dict)
    paths_within: tuple[str, ...] = ()


def resolve(path: Path, *, system: System) -> Closure:
    """The closure of the program in the file `path`.

    Raises InputError with every library that is missing, or for a file that is no program.
    """
    program = read_elf(path)
    if not program.program:
        raise InputError(
            f"{path} is a shared library, and no program", remedy="give the program that uses the library"
        )
    if program.interpreter is None:
        return Closure(program=path)
    interpreter = Interpreter(linker=linker_of(program), path=Path(program.interpreter))
    if not interpreter.path.is_file():
        raise InputError(
            f"{path}: its ELF interpreter {interpreter.path} is not on this machine",
            remedy="install the C library that it was linked with (musl for ld-musl), or link it statically",
        )
    search = _Search(linker=interpreter.linker, system=system)
    search.load(Loaded(file=program, opened=path.resolve(), loader=None))
    search.check()
    return Closure(
        program=path,
        interpreter=interpreter,
        libraries=dict(search.libraries),
        paths_within=tuple(search.paths_within(program)),
    )


@dataclass(slots=True, kw_only=True)
class _Search:
    """The breadth-first walk of a dynamic linker. A name is looked for once, for all who need it."""

    linker: Linker
    system: System
    libraries: dict[str, Path] = field(default_factory=dict)
    _named: dict[str, Loaded] = field(default_factory=dict)
    _opened: dict[tuple[int, int], Loaded] = field(default_factory=dict)
    _faults: list[str] = field(default_factory=list)

    def load(self, program: Loaded) -> None:
        self._know(program)
        queue = [program]
        for by in queue:
            for name in by.file.needed:
                if (loaded := self._load(name, by)) is not None:
                    queue.append(loaded)

    def check(self) -> None:
        """Raises InputError with everything that is missing."""
        if self._faults:
            raise InputError(
                *self._faults,
                remedy="install the package that has it, or add its directory to LD_LIBRARY_PATH",
            )

    def paths_within(self, program: ElfFile) -> Iterator[str]:
        files = {"": program, **{name: self._named[name].file for name in self.libraries}}
        yield from (name for name, file in files.items() if file.rpath or file.runpath)

    def _load(self, name: str, by: Loaded) -> Loaded | None:
        """A library that nobody has asked for yet; None for others."""
        if name in self._named or in_linker(name, self.linker) or self._is_interpreter(name):
            return None
        path = self._path(name, by)
        if path is None:
            return None
        key = path.stat().st_dev, path.stat().st_ino
        known = self._opened.get(key)
        if known is not None:
            self._named[name] = known
            self.libraries[name] = path
            return None
        loaded = Loaded(file=read_elf(path), opened=path, loader=by)
        self.libraries[name] = path
        self._know(loaded, name)
        return loaded

    def _know(self, loaded: Loaded, name: str = "") -> None:
        status = loaded.opened.stat()
        self._opened[status.st_dev, status.st_ino] = loaded
        for known in filter(None, (name, loaded.file.soname)):
            self._named.setdefault(known, loaded)

    def _is_interpreter(self, name: str) -> bool:
        return self.linker is Linker.GLIBC and name.startswith("ld-linux-x86-64.so")

    def _path(self, name: str, by: Loaded) -> Path | None:
        if "/" in name:
            return self._named_by_path(name, by)
        path, looked = find_library(name, by, linker=self.linker, system=self.system)
        if path is None:
            places = ", ".join(looked) or "nowhere, as it allows no directory"
            self._faults.append(f"{by.opened} needs {name}, which is not on this machine; looked in {places}")
        return path

    def _named_by_path(self, name: str, by: Loaded) -> Path | None:
        place = expand(name, origin=by.opened.parent)[0]
        self._faults.append(
            f"{by.opened} needs {place} at that place, where another machine does not have it"
        )
        return None
