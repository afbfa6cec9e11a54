# SPDX-License-Identifier: MIT
"""A command line of this machine: which program it names, and everything that this one needs."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from kmlbench.errors import InputError
from kmlbench.executables import elf, script
from kmlbench.executables.closure import Closure, resolve
from kmlbench.executables.search import this_system

# As the kernel: a script's interpreter may be a script, and so on.
MOST_SCRIPTS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A program with its arguments. `name` is what it is called (argv[0]).

    `before` are the arguments that a script's interpreter gets before the script's own: texts, and the paths
    of scripts, which come along as files.
    """

    name: str
    closure: Closure
    before: tuple[str | Path, ...]
    arguments: tuple[str, ...]

    @property
    def title(self) -> str:
        """What is run, without its directory: the program or the script."""
        scripts = [word for word in self.before if isinstance(word, Path)]
        return scripts[-1].name if scripts else Path(self.name).name


def read_command(argv: Sequence[str], *, environment: Mapping[str, str] = os.environ) -> Command:
    """What `argv` would run here. Raises InputError for what cannot run elsewhere."""
    name, *arguments = argv
    find = partial(find_program, path=environment.get("PATH", os.defpath))
    path = find(name)
    head = _head(path)
    before: tuple[str | Path, ...] = ()
    for _ in range(MOST_SCRIPTS):
        if not head.startswith(script.MAGIC):
            break
        found = script.interpretation(path, head, find=find)
        before = (*found.arguments, path.resolve(), *before)
        path = found.interpreter
        head = _head(path)
    if not head.startswith(elf.MAGIC):
        raise InputError(
            f"{path} is neither an ELF program nor a script",
            remedy="give a program, or begin a script with the line #!INTERPRETER",
        )
    return Command(
        # A script's interpreter is called by its own path, a program as it is called here.
        name=str(path) if before else name,
        closure=resolve(path, system=this_system(environment)),
        before=before,
        arguments=tuple(arguments),
    )


def find_program(name: str, *, path: str) -> Path:
    """The file of a program, as a shell finds it. Raises InputError if there is none, or more than one."""
    if "/" in name:
        return _require_executable(Path(name))
    listed = [Path(directory or ".") / name for directory in path.split(os.pathsep)]
    files = [file for file in listed if file.is_file() and os.access(file, os.X_OK)]
    if not files:
        raise InputError(f"no program is called {name!r} in PATH ({path})", remedy="give its path")
    different = {file.resolve(): file for file in reversed(files)}
    if len(different) > 1:
        places = ", ".join(map(str, reversed(different.values())))
        raise InputError(
            f"{len(different)} different programs are called {name!r}: {places}",
            remedy="give the path of one of them",
        )
    return files[0]


def _require_executable(path: Path) -> Path:
    if not path.is_file():
        what = "is not a file" if path.exists() else "does not exist"
        raise InputError(f"{path} {what}", remedy="give the path of a program")
    if not os.access(path, os.X_OK):
        raise InputError(f"{path} is not executable", remedy=f"chmod +x {path}")
    return path


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as stream:
            return stream.read(script.LINE)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
