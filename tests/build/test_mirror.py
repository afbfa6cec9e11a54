# SPDX-License-Identifier: MIT
"""The mirror of the guest's packages is the one that this machine's apt uses."""

from __future__ import annotations

from pathlib import Path

import pytest

from kmlbench.build.mirror import debian_mirror
from kmlbench.errors import MachineError

THIRD_PARTY = "deb https://packages.example.org/apt tool-bookworm main\n"
SECURITY = "deb http://mirror.example.org/debian-security bookworm-security main\n"
STANZAS = """\
Types: deb
URIs: http://security.example.org/debian-security
Suites: bookworm-security
Components: main

# the archive
Types: deb deb-src
URIs:
 http://mirror.example.org/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
"""


def apt(directory: Path, **files: str) -> Path:
    (directory / "sources.list.d").mkdir()
    for name, text in files.items():
        place = directory if name == "sources_list" else directory / "sources.list.d"
        (place / name.replace("_", ".")).write_text(text)
    return directory


def test_stanzas(tmp_path: Path) -> None:
    assert debian_mirror(apt(tmp_path, debian_sources=STANZAS)) == "http://mirror.example.org/debian"


def test_one_line_format_with_options(tmp_path: Path) -> None:
    line = "deb [arch=amd64 signed-by=/a/key.gpg] http://mirror.example.org/debian bookworm main\n"
    assert debian_mirror(apt(tmp_path, sources_list=SECURITY + line)) == "http://mirror.example.org/debian"


def test_third_parties_and_security_are_passed_over(tmp_path: Path) -> None:
    place = apt(tmp_path, a_list=THIRD_PARTY, b_list=SECURITY, c_sources=STANZAS)
    assert debian_mirror(place) == "http://mirror.example.org/debian"


def test_a_disabled_stanza_and_a_commented_line_do_not_count(tmp_path: Path) -> None:
    place = apt(
        tmp_path,
        a_sources=STANZAS + "Enabled: no\n",
        sources_list="# deb http://mirror.example.org/debian bookworm main\n",
    )
    with pytest.raises(MachineError, match="--mirror"):
        debian_mirror(place)


def test_this_machine_has_a_mirror() -> None:
    assert "://" in debian_mirror()
