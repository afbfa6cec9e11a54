# SPDX-License-Identifier: MIT
"""`kmlbench kernel list` says what is built, by what, and what a campaign boots."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from kmlbench.build import kernel, source
from kmlbench.build.artifacts import KernelArtifact
from kmlbench.build.bases import DEFAULT, Base
from kmlbench.build.cache import Cache
from kmlbench.cli.main import main
from kmlbench.errors import MachineError
from kmlbench.model import Kernel

OLDER = {"kernel": "kml", "source": "linux-source-6.12 6.12.100-1", "compiler": "gcc 11", "patches": "old"}


def build(directory: Path) -> None:
    (directory / "release").write_text("6.12.117-kmlbench\n")
    for name in ("bzImage", "vmlinux"):
        (directory / name).write_bytes(bytes(3 << 20))


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cache:
    """Has the kml kernel of this checkout and an older one; the stock kernel is not built."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cache = Cache(tmp_path / "kmlbench")
    cache.ensure("kernel", OLDER, build, need_gib=0)
    cache.ensure("kernel", kernel.content(Kernel.KML, DEFAULT), build, need_gib=0)
    return cache


def test_each_kernel_has_a_line_and_what_lacks_is_named(
    cache: Cache, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["kernel", "list"]) == 0
    printed = capsys.readouterr()
    heading, current, older = printed.out.splitlines()
    assert heading.startswith("kernel  release")
    key = cache.path("kernel", kernel.content(Kernel.KML, DEFAULT)).name
    assert current.split()[:5] == ["kml", "6.12.117-kmlbench", key, "yes", "6"]
    assert older.split()[3:] == ["no", "6", "gcc", "11", "not", "recorded:", "an", "unknown", "compiler"]
    assert "which a campaign boots, is not built: run `kmlbench kernel build --kernel 7.2`" in printed.err


def test_each_linux_has_kernels_that_campaigns_boot(cache: Cache, capsys: pytest.CaptureFixture[str]) -> None:
    key = kernel.content(Kernel.KML, Base.LINUX_7_2)
    cache.ensure("kernel", key, build, need_gib=0)
    assert main(["kernel", "list", "--json"]) == 0
    listed = {each["source"]: each["wanted"] for each in json.loads(capsys.readouterr().out)}
    assert listed == {
        source.version(DEFAULT): True,
        source.version(Base.LINUX_7_2): True,
        OLDER["source"]: False,
    }
    assert main(["kernel", "list"]) == 0
    notes = capsys.readouterr().err
    for base in Base:
        assert f"stock {base}: " in notes
        assert f"kml {base}: " not in notes


def test_the_linux_that_is_named_is_built_from_the_mirror_that_is_named(
    cache: Cache, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []

    def ensure(each: Kernel, base: Base, *, mirror: str | None, **_: object) -> KernelArtifact | None:
        asked.append((each, base, mirror))
        return kernel.built(Kernel.KML, DEFAULT, cache=cache)

    monkeypatch.setattr(kernel, "ensure", ensure)
    assert main(["kernel", "build", "--kernel", "7.2", "--mirror", "http://mirror.example"]) == 0
    assert main(["kernel", "build", "kml"]) == 0
    assert asked == [
        *((each, Base.LINUX_7_2, "http://mirror.example") for each in Kernel),
        (Kernel.KML, DEFAULT, None),
    ]
    assert main(["kernel", "build", "--kernel", "5.10"]) == 2
    assert "6.12" in capsys.readouterr().err


@pytest.mark.usefixtures("cache")
def test_programs_get_the_same_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["kernel", "list", "--json"]) == 0
    current, older = json.loads(capsys.readouterr().out)
    assert (current["kernel"], current["wanted"], older["wanted"]) == ("kml", True, False)
    assert older["source"] == OLDER["source"]
    assert len(older["sha256"]) == 64


@pytest.mark.usefixtures("cache")
def test_a_machine_without_a_compiler_lists_what_it_has(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def lacks(*_: object) -> dict[str, str]:
        raise MachineError("the program gcc is not installed on this machine")

    monkeypatch.setattr(kernel, "content", lacks)
    assert main(["kernel", "list"]) == 0
    printed = capsys.readouterr()
    assert [line.split()[3] for line in printed.out.splitlines()[1:]] == ["unknown", "unknown"]
    assert "which of them a campaign boots is unknown: the program gcc is not installed" in printed.err


@pytest.mark.usefixtures("cache")
def test_checksums_are_printed_for_the_record(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["kernel", "list", "--checksums"]) == 0
    (build,) = tomllib.loads(capsys.readouterr().out)["build"]
    assert build["kernel"] == "kml"
    assert build["bzImage"] == build["vmlinux"]
    assert build["compiler"] == kernel.content(Kernel.KML, DEFAULT)["compiler"]


def test_without_kernels_there_are_no_checksums(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert main(["kernel", "list", "--checksums"]) == 2
    assert "run `kmlbench kernel build`" in capsys.readouterr().err
    assert main(["kernel", "list"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_a_kernel_that_is_not_whole_is_named(cache: Cache, capsys: pytest.CaptureFixture[str]) -> None:
    (cache.path("kernel", OLDER) / "release").unlink()
    assert main(["kernel", "list"]) == 3
    assert "is no whole kernel" in capsys.readouterr().err
