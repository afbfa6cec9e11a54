# SPDX-License-Identifier: MIT
"""The plugin is built and tried, or it is said why guests run without it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kmlbench.build import instrument
from kmlbench.build.instrument import Instrument, Unavailable
from kmlbench.process import QEMU


def test_qemu_loads_what_make_built() -> None:
    built = instrument.ensure()
    assert isinstance(built, Instrument), str(built)
    assert built.plugin.is_file()
    assert str(built) == f"kmlbench-windows, format 1, QEMU's plugin interface {built.interface}"


def test_a_machine_without_a_compiler_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(instrument, "build_directory", lambda: tmp_path / "build")
    monkeypatch.setenv("CC", "no-such-compiler")
    monkeypatch.setenv("MAKEFLAGS", "-e")
    result = instrument.ensure()
    assert isinstance(result, Unavailable)
    assert "no-such-compiler" in result.reason


def qemu_that_refuses(directory: Path, words: str) -> str:
    program = directory / QEMU
    program.write_text(f"#!/bin/sh\necho '{words}' >&2\nexit 1\n")
    program.chmod(0o755)
    return f"{directory}{os.pathsep}{os.environ['PATH']}"


def test_a_qemu_without_plugins_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = f"{QEMU}: -plugin: invalid option"
    monkeypatch.setenv("PATH", qemu_that_refuses(tmp_path, words))
    assert instrument.ensure() == Unavailable(reason=words)


def test_an_answer_that_is_none_is_no_plugin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", qemu_that_refuses(tmp_path, ""))
    (tmp_path / QEMU).write_text("#!/bin/sh\necho welcome\n")
    result = instrument.probe(tmp_path / "plugin.so")
    assert isinstance(result, Unavailable)
    assert "did not answer" in result.reason


def test_a_tree_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(instrument, "build_directory", lambda: tmp_path / "file" / "build")
    assert instrument.ensure() == Unavailable(reason=f"{tmp_path}/file/build: Not a directory")
