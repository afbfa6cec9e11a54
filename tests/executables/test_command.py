# SPDX-License-Identifier: MIT
"""A command line names a program as in a shell; a script comes with the program that interprets it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.programs import compiled

from kmlbench.errors import InputError
from kmlbench.executables.command import read_command
from kmlbench.executables.script import LINE, Interpretation, interpretation


def script(path: Path, first: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{first}\necho hello\n")
    path.chmod(0o755)
    return path


def refused(*argv: str, path: Path | None = None) -> str:
    with pytest.raises(InputError) as raised:
        read_command(argv, environment={"PATH": str(path or "/usr/bin")})
    return str(raised.value)


def test_a_name_is_looked_for_in_path(tmp_path: Path) -> None:
    program = compiled(tmp_path / "says")
    command = read_command(["says", "-x"], environment={"PATH": f"/nowhere:{tmp_path}"})
    assert (command.name, command.title, command.arguments) == ("says", "says", ("-x",))
    assert command.closure.program == program


def test_a_name_that_exists_in_several_places_is_refused_with_all_of_them(tmp_path: Path) -> None:
    first, second = (script(tmp_path / place / "says", f"#!/bin/sh {place}") for place in "ab")
    message = refused("says", path=Path(f"{first.parent}:{second.parent}"))
    assert f"2 different programs are called 'says': {first}, {second}" in message
    assert "remedy: give the path of one of them" in message


def test_links_to_one_program_are_one_program(tmp_path: Path) -> None:
    program = compiled(tmp_path / "a/says")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    command = read_command(["says"], environment={"PATH": f"{tmp_path / 'b'}:{tmp_path / 'a'}"})
    assert command.closure.program.samefile(program)


def test_what_cannot_be_run_is_refused_with_the_reason(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("hello\n")
    assert f"{text} is not executable" in refused(str(text))
    text.chmod(0o755)
    assert f"{text} is neither an ELF program nor a script" in refused(str(text))
    assert f"{tmp_path} is not a file" in refused(str(tmp_path))
    assert f"{tmp_path / 'x'} does not exist" in refused(str(tmp_path / "x"))
    assert "no program is called 'no-such-program' in PATH (/usr/bin)" in refused("no-such-program")


@pytest.mark.parametrize(
    "first", ["#!/bin/bash", "#! /bin/bash ", "#!/usr/bin/env bash", "#!/usr/bin/env -S bash"]
)
def test_a_script_comes_with_its_interpreter(first: str, tmp_path: Path) -> None:
    path = script(tmp_path / "says", first)
    command = read_command([str(path), "x"], environment={"PATH": "/usr/bin"})
    assert command.closure.program.samefile("/bin/bash")
    assert "libc.so.6" in command.closure.libraries
    assert (command.before, command.arguments) == ((path,), ("x",))


def test_the_rest_of_the_first_line_is_one_argument_and_with_env_s_it_is_words(tmp_path: Path) -> None:
    one = read_command([str(script(tmp_path / "one", "#!/bin/bash -e  -u"))])
    assert one.before == ("-e  -u", tmp_path / "one")
    words = read_command([str(script(tmp_path / "two", "#!/usr/bin/env -S bash -e  -u"))])
    assert words.before == ("-e", "-u", tmp_path / "two")


def test_the_interpreter_of_a_script_may_be_a_script(tmp_path: Path) -> None:
    inner = script(tmp_path / "inner", "#!/bin/bash -e")
    outer = script(tmp_path / "outer", f"#!{inner} -v")
    command = read_command([str(outer)])
    assert command.closure.program.samefile("/bin/bash")
    assert command.before == ("-e", inner, "-v", outer)


def test_scripts_that_interpret_each_other_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "loop"
    script(path, f"#!{path}")
    assert f"{path} is neither an ELF program nor a script" in refused(str(path))


@pytest.mark.parametrize(
    ("first", "reason"),
    [
        ("#!", "names no interpreter"),
        ("#!/no/such/shell", "its interpreter /no/such/shell is not on this machine"),
        ("#!/usr/bin/env A=1 sh", "env is to do more than to find a program"),
        ("#!/usr/bin/env -i sh", "env is to do more than to find a program"),
        ("#!/usr/bin/env -S sh '", "cannot be split into words"),
        ("#!/usr/bin/env no-such-shell", "no program is called 'no-such-shell' in PATH"),
        ("#!" + "x" * LINE, f"longer than the {LINE} bytes"),
    ],
)
def test_a_first_line_that_does_not_say_what_to_run_is_refused(
    first: str, reason: str, tmp_path: Path
) -> None:
    path = script(tmp_path / "says", first)
    message = refused(str(path))
    assert message.startswith(f"{path}: ")
    assert reason in message


@given(line=st.binary(max_size=LINE - 2))
def test_any_first_line_is_understood_or_refused(line: bytes) -> None:
    found = understood(b"#!" + line)
    assert found.interpreter.name if isinstance(found, Interpretation) else str(found).startswith("/x: ")


def understood(head: bytes) -> Interpretation | InputError:
    try:
        return interpretation(Path("/x"), head, find=lambda name: Path("/bin", name))
    except InputError as error:
        return error
