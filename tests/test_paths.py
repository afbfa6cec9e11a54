# SPDX-License-Identifier: MIT
"""The user's own directories, as odd environments have them: a remedy or a fallback, never a traceback."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kmlbench.build.cache import Cache, default_cache
from kmlbench.cli.main import main
from kmlbench.config import campaign
from kmlbench.errors import InputError, MachineError
from kmlbench.run import preflight

MACHINE, BAD_INPUT = 3, 2
STOP = ["guest", "stop", "oak"]


def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A user that passwd does not know, as in a container that was started with a uid."""
    monkeypatch.delenv("HOME")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 54321)


def test_a_cache_that_is_no_directory_has_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/dev/null")
    with pytest.raises(MachineError, match=r"(?s)/dev/null.*: Not a directory.*remedy: .*XDG_CACHE_HOME"):
        default_cache().ensure("thing", {"a": "b"}, lambda _: None)


def test_a_cache_that_only_another_user_may_see_has_a_remedy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def refuse(path: Path, *_: object, **__: object) -> os.stat_result:
        if path.is_relative_to(tmp_path / "home"):
            raise PermissionError(13, "Permission denied")
        return stat(path)

    stat = Path.stat
    monkeypatch.setattr(Path, "stat", refuse)
    existing, _ = preflight.free_space(Cache(tmp_path / "home" / ".cache").root)
    assert existing == tmp_path


def test_a_user_without_a_home_is_told_what_to_set(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    nobody(monkeypatch)
    assert main(STOP) == MACHINE
    printed = capsys.readouterr().err
    assert "there is no home directory: HOME is not set, and user 54321 is not in passwd" in printed
    assert "remedy: set HOME" in printed
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert main(STOP) == BAD_INPUT


def test_a_home_in_hosts_yaml_needs_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    nobody(monkeypatch)
    host = "kind: ssh, address: a, user: root, key: ~/.ssh/id, host_key: ssh-ed25519 AAAA"
    (tmp_path / "hosts.yaml").write_text(
        f"hosts:\n  a: {{{host}, kernel: stock}}\n  b: {{{host}, kernel: kml}}\n"
        "campaign: {stock: a, kml: b, server: mysql, workloads: [getpid]}\n"
    )
    with pytest.raises(InputError, match=r"hosts.yaml:2: host 'a': key: there is no home directory: HOME is"):
        campaign.load_config(tmp_path / "hosts.yaml")


@pytest.mark.parametrize(("name", "place"), [("XDG_CACHE_HOME", "cache"), ("HOME", "home")])
def test_a_relative_directory_is_refused(
    name: str, place: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv(name, place)
    assert main(STOP) == MACHINE
    printed = capsys.readouterr().err
    assert f"{name} is '{place}', which is not an absolute path" in printed
    assert "remedy: set " in printed


@pytest.mark.parametrize("place", ["/proc/1", "run/user", "/nonexistent/user/1000"])
def test_another_users_runtime_directory_is_not_taken(
    place: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: 54321)
    monkeypatch.setenv("XDG_RUNTIME_DIR", place)
    assert main(STOP) == BAD_INPUT
    printed = capsys.readouterr().err
    assert f"XDG_RUNTIME_DIR is '{place}'" in printed
    assert f"{tmp_path}/kmlbench/guests is used instead" in printed
    assert "guest oak is not running" in printed
