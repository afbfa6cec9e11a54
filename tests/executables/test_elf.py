# SPDX-License-Identifier: MIT
"""Files that are no sound x86-64 program are refused with the reason, whatever is in them."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.programs import compiled

from kmlbench.errors import InputError
from kmlbench.executables.elf import ElfFile, read_elf
from kmlbench.executables.search import expand

MACHINE, AARCH64 = 18, 183


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return compiled(tmp_path_factory.mktemp("elf") / "says", "-Wl,-rpath,/opt/a:/opt/b", "-s").read_bytes()


def test_what_a_program_says_about_itself(program: bytes, tmp_path: Path) -> None:
    path = tmp_path / "says"
    path.write_bytes(program)
    assert read_elf(path) == ElfFile(
        path=path,
        interpreter="/lib64/ld-linux-x86-64.so.2",
        needed=("libc.so.6",),
        soname=None,
        rpath=(),
        runpath=("/opt/a", "/opt/b"),
        default_paths=True,
        program=True,
    )


def test_a_program_for_another_architecture_is_refused(program: bytes, tmp_path: Path) -> None:
    path = tmp_path / "says"
    path.write_bytes(program[:MACHINE] + struct.pack("<H", AARCH64) + program[MACHINE + 2 :])
    with pytest.raises(InputError, match="says is for AArch64 with 64 bits, and the kernels are for x86-64"):
        read_elf(path)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_file_is_read_or_refused_and_never_a_traceback(
    program: bytes, tmp_path: Path, data: st.DataObject
) -> None:
    length = data.draw(st.integers(4, len(program)), label="length")
    damaged = bytearray(program[:length])
    # The headers and the dynamic section are what is read.
    for _ in range(data.draw(st.integers(0, 4))):
        at = data.draw(st.integers(4, min(length, 0x3000) - 1)) if length > 4 else 0
        damaged[at : at + 1] = bytes([data.draw(st.integers(0, 255))])
    path = tmp_path / "says"
    path.write_bytes(bytes(damaged))
    result = read(path)
    assert result.path == path if isinstance(result, ElfFile) else str(path) in str(result)


def read(path: Path) -> ElfFile | InputError:
    try:
        return read_elf(path)
    except InputError as error:
        return error


@given(text=st.text(alphabet="ab/$", max_size=8))
def test_a_path_without_tokens_is_itself(text: str) -> None:
    assert expand(text, origin=Path("/x")) == (text,)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$ORIGIN/../lib", ("/opt/bin/../lib",)),
        ("${ORIGIN}x", ("/opt/binx",)),
        ("$ORIGINx", ("$ORIGINx",)),
        ("/usr/$LIB", ("/usr/lib/x86_64-linux-gnu", "/usr/lib64")),
        ("/$PLATFORM", ("/x86_64",)),
    ],
)
def test_tokens_are_replaced(text: str, expected: tuple[str, ...]) -> None:
    assert expand(text, origin=Path("/opt/bin")) == expected
