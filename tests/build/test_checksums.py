# SPDX-License-Identifier: MIT
"""A kernel is compared with what the repository records for its compiler; what is not recorded is said."""

from __future__ import annotations

from pathlib import Path

import pytest

from kmlbench.build import checksums, kernel
from kmlbench.build.bases import Base
from kmlbench.build.cache import content_key
from kmlbench.build.checksums import Build, Verdict
from kmlbench.errors import InputError
from kmlbench.model import Kernel

KEY = {"kernel": "kml", "source": "6.12.117", "compiler": "gcc 12", "linker": "ld 2.40", "patches": "p"}

RECORDED = (
    Build(
        kernel=Kernel.KML,
        key=content_key(KEY),
        source="6.12.117",
        compiler="gcc 12",
        linker="ld 2.40",
        image="1" * 64,
        vmlinux="2" * 64,
    ),
)


@pytest.mark.parametrize(
    ("key", "image", "verdict"),
    [
        (KEY, "1" * 64, Verdict.SAME),
        (KEY, "3" * 64, Verdict.DIFFERENT),
        ({**KEY, "patches": "q"}, "1" * 64, Verdict.STALE),
        ({**KEY, "compiler": "gcc 14"}, "1" * 64, Verdict.UNKNOWN_COMPILER),
        ({**KEY, "linker": "ld 2.44"}, "1" * 64, Verdict.UNKNOWN_COMPILER),
    ],
)
def test_the_record_says_what_it_knows(key: dict[str, str], image: str, verdict: Verdict) -> None:
    assert checksums.verdict(key, image, recorded=RECORDED) is verdict


def test_what_is_recorded_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checksums, "RECORD", tmp_path / "record")
    (tmp_path / "record").write_text(checksums.toml(RECORDED))
    assert checksums.read() == RECORDED


@pytest.mark.parametrize("text", ["[[build]]\nkernel = 1\n", "build = [", 'build = []\nother = "x"\n', "\0"])
def test_a_record_that_is_none_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setattr(checksums, "RECORD", tmp_path / "record")
    (tmp_path / "record").write_text(text)
    with pytest.raises(InputError, match=r"(?s)record: no record of checksums.*kernel list --checksums"):
        checksums.read()


def test_no_build_is_recorded_twice() -> None:
    keys = [build.key for build in checksums.read()]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize("base", list(Base))
@pytest.mark.parametrize("of", list(Kernel))
def test_the_record_is_of_this_series(of: Kernel, base: Base) -> None:
    """After a change of the series: kmlbench kernel list --checksums prints what belongs into the record."""
    key = kernel.content(of, base)
    # Debian may have another source by now, which nobody has built yet.
    recorded = tuple(build for build in checksums.read() if build.source == key["source"])
    verdict = checksums.verdict(key, "0" * 64, recorded=recorded)
    assert verdict in {Verdict.DIFFERENT, Verdict.UNKNOWN_COMPILER}
