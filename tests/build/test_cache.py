# SPDX-License-Identifier: MIT
"""An entry of the cache is whole or absent, and built once."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.paths import SUPPORT

from kmlbench.build.cache import Cache, content_key, default_cache, hash_files
from kmlbench.errors import BuildError, MachineError

KEY = {"content": "1"}
CHILD = SUPPORT / "build_child.py"


def entries(root: Path) -> list[str]:
    """Everything in the cache but the lock files, which stay."""
    return sorted(path.name for path in (root / "thing").iterdir() if path.suffix != ".lock")


def build(directory: Path) -> None:
    (directory / "whole").write_text("whole")


def refuse(directory: Path) -> None:
    pytest.fail(f"built again in {directory}")


def start_child(root: Path, fifo: Path, counter: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen((sys.executable, CHILD, root, fifo, counter))


def test_an_entry_is_built_once_and_knows_its_key(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    first = cache.ensure("thing", KEY, build, need_gib=0)
    assert cache.ensure("thing", KEY, refuse) == first
    assert (first / "whole").read_text() == "whole"
    assert json.loads((first / "key.json").read_text()) == KEY


def test_another_content_is_another_entry(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    first = cache.ensure("thing", KEY, build, need_gib=0)
    assert cache.ensure("thing", {"content": "2"}, build, need_gib=0) != first


def test_a_failed_build_leaves_nothing(tmp_path: Path) -> None:
    def fail(directory: Path) -> None:
        (directory / "half").write_text("half")
        raise BuildError("did not compile")

    with pytest.raises(BuildError, match="did not compile"):
        Cache(tmp_path).ensure("thing", KEY, fail, need_gib=0)
    assert entries(tmp_path) == []


def test_a_killed_build_leaves_nothing_that_looks_whole(tmp_path: Path) -> None:
    root, fifo, counter = tmp_path / "cache", tmp_path / "fifo", tmp_path / "counter"
    os.mkfifo(fifo)
    child = start_child(root, fifo, counter)
    with fifo.open("w"):  # the child is inside its build
        assert entries(root) != []
        child.send_signal(signal.SIGKILL)
        child.wait()
    cache = Cache(root)
    assert not cache.path("thing", KEY).exists()
    entry = cache.ensure("thing", KEY, build, need_gib=0)
    assert sorted(path.name for path in entry.iterdir()) == ["key.json", "whole"]
    assert entries(root) == [entry.name]


def test_what_a_killed_build_left_goes_with_the_next_of_another_entry(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    child = start_child(tmp_path, fifo, tmp_path / "counter")
    while not list(tmp_path.glob("thing/.*.partial-*/half")):
        assert child.poll() is None
        time.sleep(0.01)
    Cache(tmp_path).ensure("thing", {"content": "2"}, build, need_gib=0)
    assert list(tmp_path.glob("thing/.*.partial-*/half")), "a build that goes on is not touched"
    child.kill()
    child.wait()
    Cache(tmp_path).ensure("thing", {"content": "3"}, build, need_gib=0)
    assert entries(tmp_path) == sorted(content_key({"content": each}) for each in "23")


def test_two_builds_at_once_build_once(tmp_path: Path) -> None:
    root, fifo, counter = tmp_path / "cache", tmp_path / "fifo", tmp_path / "counter"
    os.mkfifo(fifo)
    children = [start_child(root, fifo, counter) for _ in range(2)]
    with fifo.open("w"):
        pass
    assert [child.wait(timeout=30) for child in children] == [0, 0]
    assert counter.read_text() == "built\n"
    assert (Cache(root).path("thing", KEY) / "whole").exists()


def test_a_forgotten_entry_is_built_again(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    entry = cache.ensure("thing", KEY, build, need_gib=0)
    (entry / "whole").write_text("old")
    cache.forget("thing", KEY)
    assert entries(tmp_path) == []
    assert (cache.ensure("thing", KEY, build, need_gib=0) / "whole").read_text() == "whole"


def test_too_little_disk_is_said_before_anything_is_built(tmp_path: Path) -> None:
    with pytest.raises(MachineError, match=r"GiB free[^$]*XDG_CACHE_HOME"):
        Cache(tmp_path).ensure("thing", KEY, refuse, need_gib=1e9)
    assert entries(tmp_path) == []


def test_a_disk_that_fills_up_during_a_build_is_a_machine_error(tmp_path: Path) -> None:
    def fill(directory: Path) -> None:
        with Path("/dev/full").open("w") as full:
            full.write(str(directory))

    with pytest.raises(MachineError, match=os.strerror(errno.ENOSPC)):
        Cache(tmp_path).ensure("thing", KEY, fill, need_gib=0)
    assert entries(tmp_path) == []


def test_the_key_does_not_depend_on_the_order_of_its_parts() -> None:
    assert content_key({"a": "1", "b": "2"}) == content_key({"b": "2", "a": "1"})
    assert content_key({"a": "1", "b": "2"}) != content_key({"a": "2", "b": "1"})


def test_the_hash_of_files_covers_names_and_contents(tmp_path: Path) -> None:
    item, two = tmp_path / "one", tmp_path / "two"
    item.write_text("1")
    two.write_text("2")
    before = hash_files([item, two])
    assert hash_files([two, item]) == before
    two.write_text("3")
    assert hash_files([item, two]) != before
    two.write_text("2")
    assert hash_files([item, two.rename(tmp_path / "three")]) != before


def test_the_default_cache_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache().root == tmp_path / "kmlbench"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert default_cache().root == Path("/home/somebody/.cache/kmlbench")


def test_an_entry_is_replaced_when_the_other_is_whole(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    entry = cache.ensure("thing", KEY, build, need_gib=0)
    with pytest.raises(BuildError), cache.staged("thing", KEY, need_gib=0, replace=True):
        raise BuildError("half of another")
    assert (entry / "whole").read_text() == "whole"
    with cache.staged("thing", KEY, need_gib=0, replace=True) as directory:
        assert directory is not None
        (directory / "whole").write_text("another")
        assert (entry / "whole").read_text() == "whole"
    assert (entry / "whole").read_text() == "another"
    assert entries(tmp_path) == [entry.name]


def test_an_entry_that_exists_is_not_staged(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.ensure("thing", KEY, build, need_gib=0)
    with cache.staged("thing", KEY, need_gib=1e9) as directory:
        assert directory is None
