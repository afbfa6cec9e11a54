# SPDX-License-Identifier: MIT
"""A machine of the user's: what is said to be missing, what is installed, and that clean takes just that."""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.directory_host import RootedHost

from kmlbench import process
from kmlbench.errors import HostError
from kmlbench.model import CommandResult, Kernel, Prefix, Server
from kmlbench.provision import apply, manifest
from kmlbench.provision import changes as readiness
from kmlbench.provision.apply import clean, lacking, prepare_host, survey_host
from kmlbench.provision.manifest import Manifest
from kmlbench.provision.payload import PACKAGES, Belongings, belongings

pytestmark = pytest.mark.slow

INITIALISE = """
set -eu
mkdir "$1/mysql" "$1/#innodb_redo"
echo one > "$1/ibdata1"
echo two > "$1/mysql/user.ibd"
echo three > "$1/#innodb_redo/#ib_redo0"
"""
SYSTEM = ("bin/bash", "bin/sysbench", "sbin/mysqld", "bin/mysql")
TRUSTED = (*SYSTEM, "lib/kmlbench/*")


@pytest.fixture
def host(tmp_path: Path) -> RootedHost:
    root = tmp_path / "host"
    for relative in SYSTEM:
        file = root / "usr" / relative
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"#!/bin/sh\n# {relative}\n")
    # As on Debian, where the name is a link; pymysql is there, whatever this machine has.
    (root / "usr/bin/python3.13").write_text("#!/bin/sh\nexit 0\n")
    (root / "usr/bin/python3.13").chmod(0o755)
    (root / "usr/bin/python3").symlink_to("python3.13")
    for directory in ("usr/lib", "usr/share", "var/lib", "run"):
        (root / directory).mkdir(parents=True)
    (root / "usr/share/mine").write_text("mine")
    return RootedHost(root)


@pytest.fixture
def wanted(tmp_path: Path) -> Belongings:
    stage = tmp_path / "stage"
    for relative, text in (
        ("usr/lib/kmlbench/cpl", "program"),
        ("usr/lib/kmlbench/measure", "measure"),
        ("usr/share/kmlbench/oltp/insert.lua", "script"),
    ):
        (stage / relative).parent.mkdir(parents=True, exist_ok=True)
        (stage / relative).write_text(text)
    return belongings(Server.MYSQL, stage, trusted=(*TRUSTED, "bin/python3"), initialise=INITIALISE)


def files(host: RootedHost) -> dict[str, tuple[str, int]]:
    """Everything on the host: content and mode."""
    return {
        str(path.relative_to(host.root)): (
            path.read_text() if path.is_file() else "",
            path.stat().st_mode,
        )
        for path in host.root.rglob("*")
    }


def prepared(host: RootedHost, wanted: Belongings) -> readiness.Changes:
    return prepare_host(host, wanted, survey_host(host, wanted))


def test_what_is_installed_is_taken_away_again_and_nothing_else(host: RootedHost, wanted: Belongings) -> None:
    before = files(host)
    changes = prepared(host, wanted)
    there = files(host)
    assert there["trusted/bin/python3"][0] == there["usr/bin/python3.13"][0]
    assert there["trusted/lib/kmlbench/cpl"][0] == "program"
    assert there["var/lib/kmlbench/data/#innodb_redo/#ib_redo0"][0] == "three\n"
    assert there["trusted"][1] & 0o777 == 0o700
    assert there["trusted/sbin/mysqld"][1] & 0o777 == 0o755
    assert there["usr/share/kmlbench/oltp/insert.lua"][1] & 0o777 == 0o644
    assert not [path for path in there if "partial" in path or "stage" in path]
    assert "initialise the server's data in /var/lib/kmlbench/data" in changes.lines
    assert {path: there[path] for path in before} == before
    done = clean(host)
    assert files(host) == before
    assert len(done.removed) == 3 + 7 + 3
    assert (done.changed, done.in_use) == ((), ())
    assert clean(host).removed == ()


def test_a_second_time_there_is_nothing_to_do(host: RootedHost, wanted: Belongings) -> None:
    prepared(host, wanted)
    before = files(host)
    assert prepared(host, wanted).lines == ()
    assert files(host) == before


def test_looking_changes_nothing(host: RootedHost, wanted: Belongings) -> None:
    before = files(host)
    state = survey_host(host, wanted)
    assert lacking(host, wanted, state) == ()
    text = readiness.planned_changes(wanted, state).lines
    assert text[0] == "make the directory /trusted (0700)"
    assert "install /usr/lib/kmlbench/cpl" in text
    assert "copy /usr/sbin/mysqld to /trusted/sbin/mysqld" in text
    assert files(host) == before


def test_a_file_that_was_changed_since_is_left_and_named(host: RootedHost, wanted: Belongings) -> None:
    prepared(host, wanted)
    (host.root / "trusted/bin/bash").write_text("somebody's own")
    (host.root / "trusted/bin/more").write_text("somebody's own, too")
    done = clean(host)
    assert done.changed == ("/trusted/bin/bash",)
    left = {path for path, (text, _) in files(host).items() if text and not path.startswith("usr")}
    assert left == {"trusted/bin/bash", "trusted/bin/more", "var/lib/kmlbench/manifest.json"}
    (host.root / "trusted/bin/bash").unlink()
    again = clean(host)
    assert (again.changed, again.in_use) == ((), ("/trusted/bin", "/trusted"))
    assert (host.root / "trusted/bin/more").read_text() == "somebody's own, too"
    assert not (host.root / "var/lib/kmlbench").exists()


def test_a_newer_server_is_copied_anew(host: RootedHost, wanted: Belongings) -> None:
    prepared(host, wanted)
    (host.root / "usr/sbin/mysqld").write_text("a newer one")
    assert prepared(host, wanted).lines == ("copy /usr/sbin/mysqld to /trusted/sbin/mysqld",)
    assert (host.root / "trusted/sbin/mysqld").read_text() == "a newer one"
    assert clean(host).changed == ()


def test_what_was_there_before_is_not_ours(host: RootedHost, wanted: Belongings) -> None:
    own = host.root / "trusted/bin"
    own.mkdir(parents=True)
    (own / "bash").write_text((host.root / "usr/bin/bash").read_text())
    prepared(host, wanted)
    assert "/trusted/bin/bash" not in clean(host).removed
    assert (own / "bash").exists()


def refused(host: RootedHost, wanted: Belongings) -> str:
    before = files(host)
    with pytest.raises(HostError, match="cannot be prepared, and nothing was changed") as caught:
        prepared(host, wanted)
    assert files(host) == before
    return str(caught.value)


POLICY = """mysql-server-core:
  Installed: (none)
  Candidate: {}
  Version table:
"""


@pytest.mark.parametrize(
    ("candidate", "remedy"),
    [
        ("8.0.46-1ubuntu1", "remedy: apt-get install mysql-server-core"),
        ("(none)", "remedy: its distribution has no package mysql-server-core: add MySQL's own archive"),
        ("", "remedy: apt-get install mysql-server-core"),
    ],
)
def test_the_hosts_own_apt_is_asked_before_a_package_is_named(
    host: RootedHost, wanted: Belongings, candidate: str, remedy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (host.root / "usr/sbin/mysqld").unlink()
    run = host.run

    def with_apt(argv: tuple[str, ...], *, timeout_s: float, stdin: bytes = b"") -> CommandResult:
        if "apt-cache" not in argv:
            return run(argv, timeout_s=timeout_s, stdin=stdin)
        assert argv[-1] == "mysql-server-core"
        # A host without apt ends with 127.
        text, code = (POLICY.format(candidate), 0) if candidate else ("", 127)
        return CommandResult(argv=argv, returncode=code, stdout=text, stderr="", elapsed_s=0.0)

    monkeypatch.setattr(host, "run", with_apt)
    assert remedy in refused(host, wanted)


@pytest.mark.parametrize("server", Server)
def test_the_packages_that_this_machine_is_told_to_install_are_in_its_apt(
    host: RootedHost, tmp_path: Path, server: Server
) -> None:
    """On the distribution on which the tests run."""
    trusted = tuple(PACKAGES)
    wanted = belongings(server, tmp_path / "none", trusted=trusted, initialise=INITIALISE)
    text = refused(host, wanted)
    for package in re.findall(r"apt-get install ([\w.-]+)", text):
        argv = ("env", "LC_ALL=C", "apt-cache", "policy", package)
        assert "Candidate: (none)" not in process.run(argv, timeout_s=60).stdout
        assert process.run(argv, timeout_s=60).stdout


def test_every_lack_is_told_with_its_remedy(host: RootedHost, wanted: Belongings) -> None:
    (host.root / "usr/sbin/mysqld").unlink()
    (host.root / "usr/bin/sysbench").unlink()
    (host.root / "usr/bin/python3.13").write_text("#!/bin/sh\nexit 1\n")
    (host.root / "trusted/bin").mkdir(parents=True)
    (host.root / "trusted/bin/bash").write_text("another shell")
    (host.root / "trusted").chmod(0o777)
    text = refused(host, wanted)
    for line in (
        "/usr/sbin/mysqld is missing",
        "mysql-server-core",
        "/usr/bin/sysbench is missing",
        "apt-get install sysbench",
        "has no pymysql",
        "/trusted/bin/bash exists and is neither what was installed",
        "/trusted belongs to root, mode 0777: others can modify it",
        "chmod go-w /trusted",
    ):
        assert line in text


def test_data_of_another_server_are_refused(host: RootedHost, wanted: Belongings, tmp_path: Path) -> None:
    prepared(host, wanted)
    other = belongings(Server.MARIADB, tmp_path / "stage", trusted=TRUSTED, initialise=INITIALISE)
    assert "was prepared for mysql, not for mariadb" in refused(host, other)


@pytest.mark.parametrize("moment", ["tar", "sh", "mv", "find"])
def test_after_an_interruption_clean_finds_everything(
    host: RootedHost, wanted: Belongings, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = files(host)
    run = host.run

    def dies(argv: tuple[str, ...], *, timeout_s: float, stdin: bytes = b"") -> object:
        if argv[0] == moment and moment != "sh":
            raise HostError("rooted went away")
        if moment == "sh" and argv[:2] == ("sh", "-c") and b"/trusted" in stdin:
            run(argv, timeout_s=timeout_s, stdin=b"\n".join(stdin.split(b"\n")[:6]) + b"\n")
            raise HostError("rooted went away")
        return run(argv, timeout_s=timeout_s, stdin=stdin)

    monkeypatch.setattr(host, "run", dies)
    with pytest.raises(HostError, match="went away"):
        prepared(host, wanted)
    monkeypatch.undo()
    assert clean(host).changed == ()
    assert files(host) == before
    assert prepared(host, wanted).lines != ()


LISTED = Manifest(server=Server.MYSQL, files={"/trusted/bin/bash": "0" * 64}, directories=("/trusted",))


def test_a_manifest_is_read_as_it_was_written() -> None:
    assert manifest.parse_manifest(LISTED.dump(), host="h") == LISTED


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "/trusted/../etc/passwd",
        "/trusted/./x",
        "/",
        "trusted/x",
        "/trusted/a b",
        "/trusted\n/x",
        *("/usr/lib/kmlbench/..", "/trustedx", "/trusted//x", "/usr/lib", "/var/lib/kmlbench/.."),
    ],
)
def test_a_manifest_that_names_what_is_not_ours_is_refused(path: str) -> None:
    for forged in (
        Manifest(server=Server.MYSQL, files={path: "0" * 64}),
        Manifest(server=Server.MYSQL, directories=(path,)),
    ):
        with pytest.raises(HostError, match="which is not ours"):
            manifest.parse_manifest(forged.dump(), host="h")


@given(st.one_of(st.text(), st.dictionaries(st.text(), st.text()).map(json.dumps)))
def test_any_other_text_is_a_damaged_manifest(text: str) -> None:
    with pytest.raises(HostError, match="is damaged"):
        manifest.parse_manifest(text, host="h")


def test_a_damaged_manifest_removes_nothing(host: RootedHost, wanted: Belongings) -> None:
    prepared(host, wanted)
    path = host.root / manifest.PATH.lstrip("/")
    path.write_text(path.read_text().replace("/trusted/bin/bash", "/trusted/bin/bish"))
    before = files(host)
    with pytest.raises(HostError, match="is damaged"):
        clean(host)
    assert files(host) == before


@pytest.mark.parametrize(
    ("kernel", "prefix", "level", "message"),
    [
        (Kernel.KML, Prefix.TRUSTED, 0, None),
        (Kernel.KML, Prefix.USR, 3, None),
        (Kernel.STOCK, Prefix.TRUSTED, 3, None),
        (Kernel.KML, Prefix.TRUSTED, 3, "kernel_mode_linux=on"),
        (Kernel.STOCK, Prefix.TRUSTED, 0, "boot the stock kernel"),
        (Kernel.KML, Prefix.USR, 0, "boot the kml kernel"),
    ],
)
def test_a_privilege_that_is_not_the_cells_is_told(
    kernel: Kernel, prefix: Prefix, level: int, message: str | None
) -> None:
    result = readiness.proof_lacks(kernel, prefix, level, "kml: not armed: page table isolation is on")
    if message is None:
        assert result is None
    else:
        assert result is not None
        assert message in result.remedy
        assert "page table isolation is on" in result.what


def test_the_checksums_are_of_what_is_there(host: RootedHost, wanted: Belongings) -> None:
    prepared(host, wanted)
    listed = apply.installed(host)
    assert listed is not None
    for path, item in listed.files.items():
        content = (host.root / path.lstrip("/")).read_bytes()
        assert hashlib.sha256(content).hexdigest() == item


@pytest.fixture(autouse=True)
def _umask() -> Iterator[None]:
    """Whatever the umask of whoever runs the tests."""
    before = os.umask(0o022)
    yield
    os.umask(before)
