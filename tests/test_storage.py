# SPDX-License-Identifier: MIT
"""Files that are whole or not there, and locks that end with their process."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from kmlbench.storage import locked, write_whole

HOLDER = """
import sys
from pathlib import Path
from kmlbench.storage import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("durable", [False, True])
def test_a_file_is_replaced_whole_and_no_draft_is_left(tmp_path: Path, durable: bool) -> None:
    path = tmp_path / "file"
    for content in (b"before", b"after"):
        write_whole(path, content, durable=durable)
        assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_replaced_stays_and_no_draft_is_left(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.mkdir()
    (path / "inside").touch()
    with pytest.raises(OSError, match="file"):
        write_whole(path, b"after")
    assert list(tmp_path.iterdir()) == [path]


def test_a_lock_that_another_process_has_is_refused_until_that_process_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with subprocess.Popen(
        (sys.executable, "-c", HOLDER, str(path)), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(BlockingIOError), locked(path, wait=False):
            pytest.fail("two have it")
        other.kill()
        other.wait()
    with locked(path, wait=False):
        pass


def test_a_file_that_its_holder_removed_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "lock"
    flock = fcntl.flock
    removed: list[int] = []

    def after_the_holder(descriptor: int, how: int) -> None:
        if not removed:
            removed.append(path.stat().st_ino)
            path.unlink()
        flock(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", after_the_holder)
    with locked(path) as descriptor:
        assert os.path.samestat(os.fstat(descriptor), path.stat())
    assert removed


def test_a_file_that_must_be_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), locked(tmp_path / "none", flags=0):
        pytest.fail("it was made")
    assert list(tmp_path.iterdir()) == []
