# SPDX-License-Identifier: MIT
"""A machine of another architecture builds nothing, says so at once, and reads campaigns all the same."""

from __future__ import annotations

import platform
from pathlib import Path

import pytest
from support.synthetic_campaigns import Recipe, build

import kmlbench
from kmlbench import process
from kmlbench.cli.main import main, run_benchmark

MACHINE = 3
HOST = "kind: qemu, memory_mb: 512, cpus: 1, cpu_model: max, clock: instructions"
GUESTS = (
    f"hosts:\n  a: {{{HOST}, kernel: stock}}\n  b: {{{HOST}, kernel: kml}}\n"
    "campaign: {stock: a, kml: b, server: mysql, workloads: [getpid], blocks: 2, scale: 1}\n"
)


@pytest.fixture(autouse=True)
def arm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An arm64 machine on which nothing may be started."""

    def refuse(*argv: object, **_: object) -> None:
        raise AssertionError(argv)

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    monkeypatch.setattr(process, "run", refuse)
    monkeypatch.setattr(process, "check", refuse)
    (tmp_path / "hosts.yaml").write_text(GUESTS)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    "words", ["kernel build", "kernel deb lean", "guest build", "guest boot a"], ids=str.split
)
def test_nothing_is_built(words: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words.split()) == MACHINE
    printed = capsys.readouterr().err
    assert "this machine is aarch64, and kernels, images and programs are built on x86_64" in printed
    assert "stored campaigns can be read anywhere" in printed


def test_no_campaign_on_guests_is_started(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_benchmark(["--results", str(tmp_path / "results")]) == MACHINE
    assert "this machine is aarch64" in capsys.readouterr().err
    assert not (tmp_path / "results").exists()


def test_campaigns_are_read(tmp_path: Path) -> None:
    path = build(tmp_path, Recipe(blocks=2, workloads=("getpid",)))
    assert len(kmlbench.load(path)) > 0
    assert main(["compare", str(path), str(path)]) == 2
