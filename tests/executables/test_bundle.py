# SPDX-License-Identifier: MIT
"""A bundle runs with its own dynamic linker and its own libraries, and none of the machine's."""

from __future__ import annotations

import re
import shutil
import subprocess
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from support.programs import compiled, library, search_options

from kmlbench.errors import InputError
from kmlbench.executables import bundle as bundles
from kmlbench.executables.bundle import ROOT, Bundle, bundle, write_archive
from kmlbench.executables.command import read_command

# Prints its name, its arguments, the answer of a library, and what it has mapped.
SHOWS = """
#include <stdio.h>
int answer(void);
int main(int argc, char **argv)
{
    char line[4096];
    FILE *maps = fopen("/proc/self/maps", "r");
    for (int i = 0; i < argc; i++)
        puts(argv[i]);
    printf("answer %d\\n", answer());
    while (fgets(line, sizeof(line), maps))
        fputs(line, stdout);
    return 0;
}
"""
MAPPED = re.compile(r" (/\S+)$", re.MULTILINE)


def answering(directory: Path, number: int) -> Path:
    source = f"int answer(void) {{ return {number}; }}"
    options = ("-shared", "-fPIC", "-nostdlib", "-Wl,-soname,libanswer.so")
    return compiled(directory / "libanswer.so", *options, source=source)


def unpacked(bundled: Bundle, prefix: Path) -> list[str]:
    """The command that starts it below `prefix`."""
    archive = prefix.with_suffix(".tar")
    write_archive([bundled], archive)
    prefix.mkdir()
    extract = ("tar", "--extract", "--no-same-owner", f"--directory={prefix}", f"--file={archive}")
    subprocess.run(extract, check=True)
    return [word.replace("{prefix}", str(prefix)) for word in bundled.argv]


def output(argv: Sequence[str]) -> str:
    return subprocess.run(argv, capture_output=True, text=True, check=True, env={}).stdout


@pytest.mark.parametrize("compiler", ["gcc", "musl-gcc"])
@pytest.mark.parametrize("old", [True, False], ids=["rpath", "runpath"])
def test_a_program_has_its_own_libraries_whatever_its_paths_say(
    compiler: str, old: bool, tmp_path: Path
) -> None:
    """Where it would have found its library before, another one lies by now."""
    answer = answering(tmp_path / "parts", 42)
    options = search_options((answer,), paths=str(answer.parent), old=old)
    program = compiled(tmp_path / "shows", *options, source=SHOWS, compiler=compiler)
    argv = unpacked(bundle(read_command([str(program), "a b"]), "client"), tmp_path / "prefix")
    answering(tmp_path / "parts", 13)
    shown = output(argv)
    assert shown.splitlines()[:3] == [str(program), "a b", "answer 42"]
    files = {Path(path) for path in MAPPED.findall(shown)}
    assert len(files) > 1
    assert all(file.is_relative_to(tmp_path / "prefix") for file in files)


@pytest.mark.parametrize("options", [("-static",), ("-static-pie",)])
def test_a_static_program_starts_by_itself(options: tuple[str, ...], tmp_path: Path) -> None:
    program = compiled(tmp_path / "says", *options)
    bundled = bundle(read_command([str(program), "x"]), "client")
    assert bundled.argv == (f"{{prefix}}/{ROOT}/client/bin/says", "x")
    assert output(unpacked(bundled, tmp_path / "prefix")) == "x\n"


def test_a_script_lies_beside_its_interpreter(tmp_path: Path) -> None:
    script = tmp_path / "greet"
    script.write_text('#!/usr/bin/env -S bash -e\necho "$(basename "$0") $1"\n')
    script.chmod(0o755)
    argv = unpacked(bundle(read_command([str(script), "you"]), "client"), tmp_path / "prefix")
    script.unlink()
    assert output(argv) == "greet you\n"


def test_a_library_without_a_path_in_it_is_found_beside_the_program(tmp_path: Path) -> None:
    inner = library(tmp_path / "parts", "libinner.so")
    outer = library(tmp_path / "parts", "libouter.so", needs=(inner,))
    options = search_options((outer,), paths="", old=False)
    says = compiled(tmp_path / "says", *options)
    command = read_command([str(says)], environment={"LD_LIBRARY_PATH": str(tmp_path / "parts")})
    argv = unpacked(bundle(command, "client"), tmp_path / "prefix")
    shutil.rmtree(tmp_path / "parts")
    assert output(argv) == "hello\n"


def test_an_archive_has_the_same_bytes_for_the_same_files(tmp_path: Path) -> None:
    program = compiled(tmp_path / "says")
    bundled = bundle(read_command([str(program)]), "client")
    write_archive([bundled], tmp_path / "one.tar")
    program.touch()
    write_archive([bundled], tmp_path / "two.tar")
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()
    with tarfile.open(tmp_path / "one.tar") as tar:
        assert {(entry.uid, entry.gid, entry.mode) for entry in tar} == {(0, 0, 0o755)}


def test_two_names_of_one_file_are_still_one_file(tmp_path: Path) -> None:
    one = library(tmp_path, "libone.so")
    (tmp_path / "libtwo.so").symlink_to(one)
    two = library(tmp_path / "elsewhere", "libtwo.so")
    says = compiled(tmp_path / "says", *search_options((one, two), paths="$ORIGIN", old=False))
    unpacked(bundle(read_command([str(says)]), "client"), tmp_path / "prefix")
    libraries = tmp_path / "prefix" / ROOT / "client/lib"
    assert (libraries / "libone.so").samefile(libraries / "libtwo.so")


def test_what_is_too_large_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bundles, "LARGEST_MIB", 0)
    program = compiled(tmp_path / "says", "-static", "-Wl,--build-id", "-g")
    with (tmp_path / "says").open("ab") as stream:
        stream.write(bytes(2 << 20))
    with pytest.raises(InputError, match="MiB, and at most 0 come along"):
        write_archive([bundle(read_command([str(program)]), "client")], tmp_path / "tar")
