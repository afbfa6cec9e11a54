# SPDX-License-Identifier: MIT
"""A program's libraries are those that its dynamic linker would load: glibc's is asked for comparison."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.programs import OWN, compiled, library, search_options

from kmlbench.errors import InputError
from kmlbench.executables.closure import Closure, resolve
from kmlbench.executables.search import Linker, System, this_system

LOADER = "/lib64/ld-linux-x86-64.so.2"
LISTED = re.compile(r"^\t(\S+) => (?:(/\S+) \(0x|(not found))", re.MULTILINE)
SYSTEM_PROGRAMS = ("/usr/bin/git", "/usr/bin/qemu-system-x86_64", "/usr/bin/gdb", "/usr/bin/ssh")


def listed(program: Path, environment: Mapping[str, str] | None = None) -> dict[str, Path | None]:
    """Each library and where glibc would load it from; None for those that it does not find.

    It lists what it does not find and goes on, and may then find it for another library that needs it. Run,
    the program would have ended before.
    """
    variables = {"LD_TRACE_LOADED_OBJECTS": "1", **(environment or {})}
    result = subprocess.run((LOADER, program), capture_output=True, text=True, env=variables, check=True)
    found: dict[str, Path | None] = {}
    for name, path, _ in LISTED.findall(result.stdout):
        found.setdefault(name, Path(path) if path else None)
    return found


def files(paths: Mapping[str, Path]) -> dict[str, Path]:
    return {name: path.resolve() for name, path in paths.items()}


@pytest.mark.parametrize("program", SYSTEM_PROGRAMS)
def test_the_libraries_of_a_program_of_this_machine(program: str) -> None:
    closure = resolve(Path(program), system=this_system({}))
    expected = {name: path for name, path in listed(Path(program)).items() if path}
    assert files(closure.libraries) == files(expected)
    assert closure.interpreter is not None
    assert closure.interpreter.linker is Linker.GLIBC


@pytest.mark.parametrize("options", [("-static",), ("-static-pie",)])
def test_a_static_program_needs_nothing(options: tuple[str, ...], tmp_path: Path) -> None:
    path = compiled(tmp_path / "says", *options)
    assert resolve(path, system=OWN) == Closure(program=path)


def test_a_program_of_musl_has_its_library_in_the_interpreter(tmp_path: Path) -> None:
    closure = resolve(compiled(tmp_path / "says", compiler="musl-gcc"), system=OWN)
    assert closure.interpreter is not None
    assert closure.interpreter.linker is Linker.MUSL
    assert closure.libraries == {}


def test_a_library_of_a_program_of_musl_is_found_by_its_runpath(tmp_path: Path) -> None:
    part = library(tmp_path / "parts", "libpart.so")
    options = search_options((part,), paths="$ORIGIN/../parts", old=False)
    closure = resolve(compiled(tmp_path / "bin/says", *options, compiler="musl-gcc"), system=OWN)
    assert files(closure.libraries) == {"libpart.so": part}
    assert closure.paths_within == ("",)


def test_every_missing_library_is_named_with_who_needs_it_and_where_it_was_looked_for(tmp_path: Path) -> None:
    parts = [library(tmp_path / "parts", f"lib{name}.so") for name in ("one", "two")]
    needing = library(tmp_path, "libneeding.so", needs=parts)
    says = compiled(tmp_path / "says", *search_options((needing,), paths="$ORIGIN", old=False))
    shutil.rmtree(tmp_path / "parts")
    with pytest.raises(InputError) as raised:
        resolve(says, system=OWN)
    assert len(raised.value.faults) == 2
    for fault, name in zip(raised.value.faults, ("libone.so", "libtwo.so"), strict=True):
        assert fault.startswith(f"{needing} needs {name}, which is not on this machine")
        assert "/lib/x86_64-linux-gnu" in fault
    assert "LD_LIBRARY_PATH" in raised.value.remedy


def test_a_library_is_no_program(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a shared library, and no program"):
        resolve(library(tmp_path, "libone.so"), system=OWN)


def test_two_names_of_one_file_are_one_library(tmp_path: Path) -> None:
    one = library(tmp_path, "libone.so")
    (tmp_path / "libother.so").symlink_to(one)
    other = library(tmp_path / "elsewhere", "libother.so")
    says = compiled(tmp_path / "says", *search_options((one, other), paths="$ORIGIN", old=False))
    closure = resolve(says, system=OWN)
    names = {name: path for name, path in closure.libraries.items() if name != "libc.so.6"}
    assert files(names) == {"libone.so": one, "libother.so": one}


def test_a_library_that_is_needed_at_an_absolute_path_is_refused(tmp_path: Path) -> None:
    part = compiled(tmp_path / "libpart.so", "-shared", "-nostdlib", source="")
    says = compiled(tmp_path / "says", *search_options((part,), paths="", old=False))
    with pytest.raises(InputError, match=f"needs {part} at that place"):
        resolve(says, system=OWN)


DIRECTORIES = ("a", "b", "c")
NAMES = ("liba.so", "libb.so", "libc1.so", "libd.so")


@dataclass(frozen=True)
class Part:
    """Where copies of a library lie, what it needs, where it says to look, and whether by RPATH."""

    places: tuple[str, ...]
    needs: tuple[str, ...]
    paths: tuple[str, ...]
    old: bool


def parts_needing(names: Sequence[str]) -> st.SearchStrategy[Part]:
    return st.builds(
        Part,
        places=st.lists(st.sampled_from(DIRECTORIES), max_size=2, unique=True).map(tuple),
        needs=st.lists(st.sampled_from(names), unique=True).map(tuple) if names else st.just(()),
        paths=st.lists(st.sampled_from(DIRECTORIES), max_size=2, unique=True).map(tuple),
        old=st.booleans(),
    )


# Each library needs some of those before it; the last part is the program.
TREES = st.tuples(*(parts_needing(NAMES[:index]) for index in range(len(NAMES) + 1)))


ABSENT = Part(places=(), needs=(), paths=(), old=False)

# liba.so is not found for the program, and then found for libb.so.
FOUND_TOO_LATE = (
    replace(ABSENT, places=("b",)),
    replace(ABSENT, places=("a",), needs=("liba.so",), paths=("b",)),
    ABSENT,
    ABSENT,
    replace(ABSENT, needs=("liba.so", "libb.so")),
)


@pytest.fixture(scope="module")
def stubs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    directory = tmp_path_factory.mktemp("stubs")
    return {name: library(directory, name) for name in NAMES}


@pytest.mark.slow
@settings(max_examples=20)
@given(tree=TREES, environment=st.lists(st.sampled_from(DIRECTORIES), max_size=2, unique=True))
@example(tree=FOUND_TOO_LATE, environment=["a"])
def test_any_tree_of_libraries_is_resolved_as_by_glibc(
    tree: tuple[Part, ...], environment: list[str], stubs: dict[str, Path]
) -> None:
    with TemporaryDirectory() as directory:
        root = Path(directory).resolve()
        program = built(root, tree, stubs)
        library_path = tuple(str(root / name) for name in environment)
        expected = listed(program, {"LD_LIBRARY_PATH": ":".join(library_path)})
        try:
            closure = resolve(program, system=System(library_path=library_path))
        except InputError as error:
            missing = {fault.split(" needs ")[1].split(",")[0] for fault in error.faults}
            assert missing == {name for name, path in expected.items() if path is None}
        else:
            assert files(closure.libraries) == {
                name: path and path.resolve() for name, path in expected.items()
            }


def built(root: Path, tree: Sequence[Part], stubs: Mapping[str, Path]) -> Path:
    *libraries, program = tree
    for name, part in zip(NAMES, libraries, strict=True):
        needs = [stubs[each] for each in part.needs]
        for place in part.places:
            library(root / place, name, needs=needs, paths=searched(part.paths), old=part.old)
    options = search_options(
        [stubs[name] for name in program.needs], paths=searched(program.paths), old=program.old
    )
    return compiled(root / "bin/says", *options)


def searched(directories: tuple[str, ...]) -> str:
    return ":".join(f"$ORIGIN/../{name}" for name in directories)


def test_the_cache_of_this_machine_is_read_as_ldconfig_prints_it() -> None:
    printed = subprocess.run(("/sbin/ldconfig", "-p"), capture_output=True, text=True, check=True).stdout
    lines = re.findall(r"^\t(\S+) \(libc6,x86-64\) => (\S+)$", printed, re.MULTILINE)
    expected: dict[str, str] = {}
    for name, path in lines:
        expected.setdefault(name, path)
    assert expected
    assert dict(this_system({}).cache) == expected


def test_the_environment_says_where_else_to_look(tmp_path: Path) -> None:
    part = library(tmp_path / "parts", "libpart.so")
    says = compiled(tmp_path / "says", *search_options((part,), paths="", old=False))
    with pytest.raises(InputError):
        resolve(says, system=this_system({}))
    closure = resolve(says, system=this_system({"LD_LIBRARY_PATH": os.fspath(part.parent)}))
    assert closure.libraries["libpart.so"] == part
