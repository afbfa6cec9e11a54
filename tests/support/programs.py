# SPDX-License-Identifier: MIT
"""Real programs and libraries, compiled for a test."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from kmlbench.executables.search import System

SAYS = """
#include <stdio.h>
int main(int argc, char **argv) { puts(argc > 1 ? argv[1] : "hello"); return 0; }
"""

# No library of this machine has such a name.
OWN = System(cache={}, glibc=("/lib/x86_64-linux-gnu", "/lib64"))


def compiled(target: Path, *options: str, source: str = SAYS, compiler: str = "gcc") -> Path:
    """The program or library `target`, made of C code."""
    target.parent.mkdir(parents=True, exist_ok=True)
    argv = (compiler, "-x", "c", "-", "-x", "none", "-o", str(target), *options)
    subprocess.run(argv, input=source.encode(), check=True)
    return target


def library(
    target: Path, name: str, *, needs: Sequence[Path] = (), paths: str = "", old: bool = False
) -> Path:
    """A shared library `name` that needs others and has a RUNPATH, or the `old` RPATH."""
    options = ("-shared", "-nostdlib", f"-Wl,-soname,{name}", *search_options(needs, paths=paths, old=old))
    return compiled(target / name, *options, source="")


def search_options(needs: Sequence[Path], *, paths: str, old: bool) -> tuple[str, ...]:
    """What has the linker write the names of libraries, used or not, and where to look for them."""
    tags = "--disable-new-dtags" if old else "--enable-new-dtags"
    rpath = (f"-Wl,-rpath,{paths}",) if paths else ()
    return (f"-Wl,{tags},--no-as-needed,--unresolved-symbols=ignore-all", *rpath, *map(str, needs))
