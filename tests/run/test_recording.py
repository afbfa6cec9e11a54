# SPDX-License-Identifier: MIT
"""A trial keeps its section of the boot's recording, and what names its addresses."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from kmlbench.errors import TrialError
from kmlbench.hosts.base import Recording
from kmlbench.instrument.reader import read_file
from kmlbench.results.reader import GUEST, MEASURED, WINDOWS
from kmlbench.run.recording import BootRecording

HEAD = "kmlbench-windows 1\nqemu 1 1\ncostly syscall\nsection 0\n"
EMPTY = "begin {0} 2 {1} 0 0\nend {0} 0 0 mark\n"
MAPS = "401000-402000 r-xp 00000000 00:02 5 /not/in/the/image\n401000-402000 r-xp 00000000 00:02 5 [vdso]\n"


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    directory = tmp_path / "raw" / "0000-stock-usr-getpid"
    directory.mkdir(parents=True)
    (directory / MEASURED).write_text(json.dumps({"client": {"maps": MAPS}, "server": None}))
    return directory


def recording(tmp_path: Path) -> BootRecording:
    """Of a guest whose image is empty."""
    (tmp_path / "root.img").write_bytes(b"")
    files = Recording(
        windows=tmp_path / "windows", system_map=tmp_path / "System.map", root=tmp_path / "root.img"
    )
    return BootRecording(recording=files, text="ffffffff9a200000", functions="kernel-stock.gz")


def test_the_section_of_a_trial_can_be_read_alone(tmp_path: Path, raw: Path) -> None:
    boot = recording(tmp_path)
    (tmp_path / "windows").write_text(f"{HEAD}section 0\n{EMPTY.format(0, 1)}")
    before = boot.length()
    with (tmp_path / "windows").open("a") as stream:
        stream.write(f"{EMPTY.format(1, 2)}section 0\n{EMPTY.format(2, 3)}{EMPTY.format(3, 4)}")
    boot.keep(raw, since=before)
    kept = read_file(raw / WINDOWS)
    assert [window.number for window in kept.windows] == [3, 4]
    assert json.loads((raw / GUEST).read_text()) == {
        "text": "ffffffff9a200000",
        "functions": "kernel-stock.gz",
    }
    # What is not in the image has no functions, and is no error.
    assert sorted(path.name for path in raw.parent.iterdir()) == [raw.name]
    assert gzip.decompress((raw / WINDOWS).read_bytes()).startswith(b"kmlbench-windows 1\n")


def test_a_step_without_a_section_is_no_trial(tmp_path: Path, raw: Path) -> None:
    boot = recording(tmp_path)
    (tmp_path / "windows").write_text(f"{HEAD}section 0\n{EMPTY.format(0, 1)}")
    with pytest.raises(TrialError, match="no mark of the measured step"):
        boot.keep(raw, since=boot.length())
