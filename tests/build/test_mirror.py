# SPDX-License-Identifier: MIT
"""The mirror of the guest's packages is the one that this machine's apt uses.

tests/data/apt has what apt 2.6.1 printed (mirror.ARGV) after an update from archives that were served through
a proxy. `sources_list.txt`: a browser's source first, then a commented one, a disc, the security archive, one
of a third party with Debian's codename, backports, sources alone, the archive and its updates, and a stanza
that is disabled. `deb822.txt`: a browser's stanza, a disabled one, the archive. `others.txt`: no archive of
Debian's. `never_updated.txt`: Debian's archive, of which no index was ever fetched.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from support.paths import REPOSITORY

from kmlbench.build import mirror
from kmlbench.build.mirror import archives, debian_mirror
from kmlbench.errors import MachineError

RECORDED = REPOSITORY / "tests/data/apt"
ARCHIVE = "http://ftp.de.debian.org/debian"


@pytest.fixture
def apt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program apt-get, to be written, that stands before the real one."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path / "apt-get"


def play(apt: Path, script: str) -> None:
    apt.write_text(f"#!/bin/sh\n{script}\n")
    apt.chmod(0o755)


@pytest.mark.parametrize("name", ["sources_list", "deb822"])
def test_only_debians_archive_counts(apt: Path, name: str) -> None:
    play(apt, f"cat {RECORDED}/{name}.txt")
    assert debian_mirror() == ARCHIVE


def test_a_disc_that_apt_knows_is_no_mirror() -> None:
    disc = "cdrom://[Debian GNU/Linux 13.0.0 _Trixie_ - Official amd64 DVD Binary-1 with firmware]/"
    recorded = (RECORDED / "deb822.txt").read_text()
    assert list(archives(recorded.replace(f"{ARCHIVE}/", disc) + recorded)) == [ARCHIVE]


@pytest.mark.parametrize("name", ["others", "never_updated"])
def test_a_machine_without_the_archive_says_what_to_do(apt: Path, name: str) -> None:
    play(apt, f"cat {RECORDED}/{name}.txt")
    with pytest.raises(MachineError, match=r"(?s)no index of Debian's archive.*apt-get update.*--mirror"):
        debian_mirror()


def test_sources_that_apt_cannot_read_are_its_own_words(apt: Path) -> None:
    play(apt, "echo 'E: Malformed entry 1 in list file /etc/apt/sources.list (Suite)' >&2; exit 100")
    with pytest.raises(MachineError, match=r"(?s)Malformed entry 1 in list file.*--mirror"):
        debian_mirror()


def test_a_machine_without_apt_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mirror, "ARGV", ("no-apt-get", *mirror.ARGV[1:]))
    with pytest.raises(MachineError, match=r"(?s)no-apt-get is not installed on this machine.*--mirror"):
        debian_mirror()


def test_this_machine_has_a_mirror() -> None:
    assert "://" in debian_mirror()
