# SPDX-License-Identifier: MIT
"""The source of a kernel that is not installed comes from a signed archive, in the version that is named."""

from __future__ import annotations

import functools
import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from kmlbench import process
from kmlbench.build import bases, kernel, mirror, source
from kmlbench.build.bases import DEFAULT, Base
from kmlbench.build.cache import Cache
from kmlbench.errors import MachineError
from kmlbench.model import Kernel
from kmlbench.paths import KERNEL
from kmlbench.process import Environment
from kmlbench.progress import Silent

NEW = Base.LINUX_7_2
PACKAGE = NEW.origin.package
VERSION = "7.2.5-1~bpo13+1"
SUITE = "trixie-backports"
TOOL_TIMEOUT_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Archive:
    """A Debian archive in `directory`, served at `address`; what is changed there has to be signed anew."""

    directory: Path
    address: str
    keys: Path

    @property
    def suite(self) -> Path:
        return self.directory / "dists" / SUITE

    def gpg(self, *words: str) -> None:
        argv = ("gpg", "--batch", "--yes", "--quiet", "--homedir", str(self.keys), *words)
        process.check(argv, timeout_s=TOOL_TIMEOUT_S)

    def sign(self) -> None:
        """Index what is in the archive."""
        index = "\n".join(entry(self.directory, path) for path in sorted(self.directory.glob("pool/*.deb")))
        place = self.suite / "main/binary-amd64/Packages"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(index)
        release = self.suite / "Release"
        release.write_text(
            f"Origin: Debian\nLabel: Debian\nSuite: {SUITE}\nCodename: {SUITE}\nArchitectures: amd64\n"
            "Components: main\nDate: Mon, 02 Nov 2026 00:00:00 UTC\n"
            "Valid-Until: Mon, 09 Nov 2026 00:00:00 UTC\n"
            f"SHA256:\n {sha256(place)} {place.stat().st_size} main/binary-amd64/Packages\n"
        )
        self.gpg("--clearsign", "--output", str(self.suite / "InRelease"), str(release))


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def entry(directory: Path, path: Path) -> str:
    control = process.check(("dpkg-deb", "--field", str(path)), timeout_s=TOOL_TIMEOUT_S).stdout
    return (
        f"{control}Filename: {path.relative_to(directory)}\n"
        f"Size: {path.stat().st_size}\nSHA256: {sha256(path)}\n"
    )


def pack(directory: Path, version: str) -> None:
    """A package with a source of one line."""
    root = directory / "package"
    tree = root / "usr/src" / PACKAGE
    tree.mkdir(parents=True)
    (tree / "Makefile").write_text(f"# {version}\n")
    archive = f"{tree}.tar.xz"
    place = str(tree.parent)
    tar = ("tar", "--create", "--xz", "--remove-files", "--file", archive, "--directory", place, PACKAGE)
    process.check(tar, timeout_s=TOOL_TIMEOUT_S)
    (root / "DEBIAN").mkdir()
    (root / "DEBIAN/control").write_text(
        f"Package: {PACKAGE}\nVersion: {version}\nArchitecture: all\nMaintainer: nobody <nobody@localhost>\n"
        "Description: the source of a kernel\n"
    )
    pool = directory / "archive/pool"
    pool.mkdir(parents=True, exist_ok=True)
    target = str(pool / f"{PACKAGE}_{version}_all.deb")
    process.check(("dpkg-deb", "--root-owner-group", "--build", str(root), target), timeout_s=TOOL_TIMEOUT_S)
    process.check(("rm", "-r", str(root)), timeout_s=TOOL_TIMEOUT_S)


class Quiet(SimpleHTTPRequestHandler):
    """A server that says nothing."""

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Archive]:
    directory = tmp_path_factory.mktemp("debian")
    for version in ("7.2.4-1~bpo13+1", VERSION):
        pack(directory, version)
    keys = directory / "keys"
    keys.mkdir(mode=0o700)
    handler = functools.partial(Quiet, directory=str(directory / "archive"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        archive = Archive(
            directory=directory / "archive", address=f"http://127.0.0.1:{server.server_port}", keys=keys
        )
        archive.gpg(
            "--passphrase", "", "--quick-generate-key", "archive@localhost", "ed25519", "sign", "never"
        )
        archive.gpg("--output", str(directory / "keyring.gpg"), "--export")
        yield archive
        server.shutdown()
        process.run(
            ("gpgconf", "--kill", "gpg-agent"),
            timeout_s=TOOL_TIMEOUT_S,
            env=Environment(variables={"GNUPGHOME": str(keys), "PATH": process.SYSTEM_PATH}),
        )


@pytest.fixture
def archive(served: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Archive:
    """The archive, whole, with Linux 7.2 of this project in the version that is in it."""
    served.sign()
    keyring = served.keys.parent / "keyring.gpg"
    for module in (mirror, source):
        monkeypatch.setattr(module, "KEYRING", keyring)
    name_version(tmp_path, VERSION, monkeypatch)
    return served


def name_version(directory: Path, version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (directory / NEW).mkdir(exist_ok=True)
    (directory / NEW / "base").write_text(f"{PACKAGE} {version} {SUITE}\n")
    monkeypatch.setattr(bases, "KERNEL", directory)


def fetched(archive: Archive, cache: Cache) -> Path:
    return source.ensure(NEW, cache=cache, progress=Silent(), mirror=archive.address)


def nothing_in(cache: Cache) -> bool:
    return not [path for path in (cache.root / "source").iterdir() if path.suffix != ".lock"]


def test_the_version_that_is_named_is_fetched_once(archive: Archive, tmp_path: Path) -> None:
    cache = Cache(tmp_path / "cache")
    file = fetched(archive, cache)
    assert file.name == f"{PACKAGE}.tar.xz"
    assert {path.name for path in file.parent.iterdir()} == {file.name, "key.json"}
    tree = source.unpack(file, tmp_path)
    assert (tree / "Makefile").read_text() == f"# {VERSION}\n"
    (archive.suite / "InRelease").write_text("gone")
    assert fetched(archive, cache) == file


def test_an_older_version_can_be_named(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name_version(tmp_path, "7.2.4-1~bpo13+1", monkeypatch)
    tree = source.unpack(fetched(archive, Cache(tmp_path / "cache")), tmp_path)
    assert (tree / "Makefile").read_text() == "# 7.2.4-1~bpo13+1\n"


def test_a_version_that_is_gone_is_said_with_what_is_there(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name_version(tmp_path, "7.2.1-1~bpo13+1", monkeypatch)
    cache = Cache(tmp_path / "cache")
    with pytest.raises(MachineError) as caught:
        fetched(archive, cache)
    for part in (
        f"{PACKAGE} 7.2.1-1~bpo13+1, which the patches are for, is not in {SUITE} of {archive.address}; ",
        f"that has {VERSION}, 7.2.4-1~bpo13+1",
        "kmlbench kernel build --kernel 7.2 --mirror http://snapshot.debian.org",
        "7.2/base",
    ):
        assert part in str(caught.value)
    assert nothing_in(cache)


def test_a_package_that_is_gone_is_said(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name_version(tmp_path, VERSION, monkeypatch)
    hidden = [path.rename(path.with_suffix(".hidden")) for path in archive.directory.glob("pool/*.deb")]
    archive.sign()
    with pytest.raises(
        MachineError, match=r"is not in trixie-backports of http.*; that has no version of it"
    ):
        fetched(archive, Cache(tmp_path / "cache"))
    for path in hidden:
        path.rename(path.with_suffix(".deb"))


@pytest.mark.parametrize("release", ["", "Suite: trixie-backports\n"])
def test_an_archive_without_a_signature_is_refused(archive: Archive, tmp_path: Path, release: str) -> None:
    (archive.suite / "InRelease").write_text(release)
    (archive.suite / "Release").unlink()
    cache = Cache(tmp_path / "cache")
    with pytest.raises(MachineError, match=r"(?s)does not give the index of trixie-backports:.*E: "):
        fetched(archive, cache)
    assert nothing_in(cache)


def test_an_archive_of_another_key_is_refused(
    archive: Archive, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    name_version(tmp_path, VERSION, monkeypatch)
    with pytest.raises(MachineError, match=r"(?s)does not give the index.*NO_PUBKEY|not signed|Sub-process"):
        fetched(archive, Cache(tmp_path / "cache"))


def test_a_package_that_is_not_the_signed_one_is_refused(archive: Archive, tmp_path: Path) -> None:
    file = archive.directory / "pool" / f"{PACKAGE}_{VERSION}_all.deb"
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    cache = Cache(tmp_path / "cache")
    try:
        with pytest.raises(MachineError, match=r"(?s)does not give.*Hash Sum mismatch"):
            fetched(archive, cache)
    finally:
        file.write_bytes(content)
    assert nothing_in(cache)


@pytest.mark.slow
@pytest.mark.usefixtures("archive")
def test_a_mirror_that_does_not_answer_is_named(tmp_path: Path, unused_port: int) -> None:
    address = f"http://127.0.0.1:{unused_port}"
    with pytest.raises(MachineError) as caught:
        source.ensure(NEW, cache=Cache(tmp_path / "cache"), progress=Silent(), mirror=address)
    assert f"{address} does not give the index of {SUITE}:" in str(caught.value)
    assert "see that the mirror answers, or name another: kmlbench kernel build --kernel 7.2 --mirror" in str(
        caught.value
    )


@pytest.fixture
def unused_port() -> int:
    with ThreadingHTTPServer(("127.0.0.1", 0), Quiet) as server:
        return server.server_port


def test_the_source_that_is_installed_is_not_fetched(cache: Cache) -> None:
    file = source.ensure(DEFAULT, cache=cache, progress=Silent())
    assert file == source.INSTALLED / f"linux-source-{DEFAULT}.tar.xz"
    assert file.is_file()


def test_what_is_asked_for_has_a_key_before_it_is_fetched() -> None:
    words = (KERNEL / NEW / "base").read_text().split()
    assert kernel.content(Kernel.STOCK, NEW)["source"] == f"{words[0]} {words[1]}"
