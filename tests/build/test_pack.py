# SPDX-License-Identifier: MIT
"""What is built on one machine is carried to another whole, or not at all."""

from __future__ import annotations

import io
import os
import random
import shutil
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import msgspec
import pyarrow
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kmlbench.build import checksums, image, kernel, pack, unpack
from kmlbench.build.bases import DEFAULT, Base
from kmlbench.build.cache import Cache, content_key
from kmlbench.build.pack import FILES, Kind
from kmlbench.cli.main import main
from kmlbench.errors import InputError, MachineError
from kmlbench.model import Kernel, Server
from kmlbench.progress import Silent

SERVER = Server.MYSQL

ORIGIN = pack.Origin(version="1.2", commit="0123456789ab")

CHECKOUT = {"configuration": "c", "patches": "p", "recipe": "r"}
MACHINE = {"source": "linux-source-6.12 6.12.117-1", "compiler": "gcc 12.2.0", "linker": "ld 2.40"}

# The guest's file system has a hole at its beginning, in its middle and at its end.
ROOT = bytes(1 << 17) + b"root" * 20000 + bytes(3 << 20) + os.urandom(100) + bytes(1 << 18)


# What cannot be compressed, as a kernel.
NOISE = random.Random(1).randbytes(10000)


def content(each: Kernel, base: Base) -> dict[str, str]:
    """The key of a kernel here."""
    return {"kernel": str(each), **CHECKOUT, **MACHINE, "source": f"linux-source-{base} {base}.117-1"}


@pytest.fixture(scope="module", autouse=True)
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[pytest.MonkeyPatch]:
    """What this checkout builds on this machine, without asking dpkg and gcc; nothing is recorded."""
    record = tmp_path_factory.mktemp("record") / "checksums.toml"
    record.write_text("build = []\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernel, "content", content)
        patch.setattr(image, "debian_content", lambda server, *_: {"server": str(server), "packages": "bash"})
        patch.setattr(image, "additions", lambda server, *_: {"files": "f", "workloads": f"w of {server}"})
        patch.setattr(checksums, "RECORD", record)
        yield patch


def fill(kind: Kind, content: dict[str, bytes]) -> Callable[[Path], None]:
    def write(directory: Path) -> None:
        for name in FILES[kind]:
            (directory / name).write_bytes(content.get(name, f"{kind} {name}\n".encode()))

    return write


def build_kernels(cache: Cache, base: Base = DEFAULT, *, image: bytes = b"bzImage" * 100) -> None:
    for each in Kernel:
        cache.ensure("kernel", kernel.content(each, base), fill(Kind.KERNEL, {"bzImage": image}), need_gib=0)


def build_image(cache: Cache, *, packages: bytes = b"bash 1\n") -> None:
    key = image.debian_content(SERVER)
    debian = cache.ensure("debian", key, fill(Kind.DEBIAN, {"packages": packages}), need_gib=0)
    content = {"packages": packages, "root.img": ROOT, "client_key": b"key\n"}
    made = cache.ensure("image", image.content(SERVER, debian), fill(Kind.IMAGE, content), need_gib=0)
    (made / "client_key").chmod(0o600)


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Cache:
    """A cache with both kernels and an image."""
    cache = Cache(tmp_path_factory.mktemp("full"))
    build_kernels(cache)
    build_image(cache)
    return cache


@pytest.fixture(scope="module")
def packed(full: Cache, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("packed") / "lab.tar.zst"
    pack.pack(path, origin=ORIGIN, cache=full, progress=Silent())
    return path


@pytest.fixture
def empty(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "empty")


def files(cache: Cache) -> dict[str, bytes]:
    """All that anybody finds in a cache: locks are not content."""
    return {
        str(path.relative_to(cache.root)): path.read_bytes()
        for path in cache.root.rglob("*")
        if path.is_file() and path.suffix != ".lock"
    }


def test_what_was_packed_is_what_is_unpacked(full: Cache, packed: Path, empty: Cache) -> None:
    arrivals = unpack.unpack(packed, cache=empty, progress=Silent())
    assert {arrival.state for arrival in arrivals} == {unpack.State.UNPACKED}
    assert files(empty) == files(full)
    assert all(kernel.built(each, DEFAULT, cache=empty) for each in Kernel)


def test_an_image_arrives_with_its_holes_and_a_private_key(packed: Path, empty: Cache) -> None:
    unpack.unpack(packed, cache=empty, progress=Silent())
    arrived = image.built(SERVER, cache=empty)
    assert arrived is not None
    assert arrived.client_key.stat().st_mode & 0o777 == 0o600
    assert arrived.root.stat().st_blocks * 512 < len(ROOT) / 2


def test_packing_twice_gives_the_same_file(full: Cache, packed: Path, tmp_path: Path) -> None:
    again = tmp_path / "again"
    pack.pack(again, origin=ORIGIN, cache=full, progress=Silent())
    assert again.read_bytes() == packed.read_bytes()


def test_a_pack_has_a_private_key_and_is_private(packed: Path) -> None:
    assert packed.stat().st_mode & 0o777 == 0o600


def test_a_pack_is_a_tar_that_other_programs_read(packed: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(plain(packed))) as tar:
        names = tar.getnames()
    assert names[0] == "manifest.json"
    assert len(names) == 1 + 2 * len(FILES[Kind.KERNEL]) + len(FILES[Kind.DEBIAN]) + len(FILES[Kind.IMAGE])


def test_kernels_can_be_carried_alone(full: Cache, packed: Path, tmp_path: Path, empty: Cache) -> None:
    kernels = tmp_path / "kernels"
    pack.pack(kernels, origin=ORIGIN, cache=full, progress=Silent(), images=False)
    assert kernels.stat().st_size < packed.stat().st_size
    unpack.unpack(kernels, cache=empty, progress=Silent())
    assert {name.split("/")[0] for name in files(empty)} == {"kernel"}


def test_kernels_are_taken_alone_from_a_pack_with_an_image(packed: Path, empty: Cache) -> None:
    unpack.unpack(packed, cache=empty, progress=Silent(), images=False)
    assert {name.split("/")[0] for name in files(empty)} == {"kernel"}


def test_a_kernel_that_is_not_built_is_not_packed(empty: Cache, tmp_path: Path) -> None:
    with pytest.raises(MachineError, match=r"kernel stock 6.12 is not built[^$]*kmlbench kernel build"):
        pack.pack(tmp_path / "lab", origin=ORIGIN, cache=empty, progress=Silent())
    assert not (tmp_path / "lab").exists()


@pytest.mark.parametrize("built", [[DEFAULT], [Base.LINUX_7_2], list(Base)])
def test_all_pairs_that_are_built_are_packed(empty: Cache, tmp_path: Path, built: list[Base]) -> None:
    for base in built:
        build_kernels(empty, base)
    manifest = pack.pack(tmp_path / "lab", origin=ORIGIN, cache=empty, progress=Silent())
    labels = [manifest.label(entry) for entry in manifest.entries]
    assert labels == [f"kernel {each} {base}" for base in built for each in Kernel]
    there = Cache(tmp_path / "there")
    unpack.unpack(tmp_path / "lab", cache=there, progress=Silent())
    assert [base for base in Base if kernel.built(Kernel.KML, base, cache=there)] == built


def test_half_a_pair_is_not_packed(empty: Cache, tmp_path: Path) -> None:
    build_kernels(empty)
    key = kernel.content(Kernel.STOCK, Base.LINUX_7_2)
    empty.ensure("kernel", key, fill(Kind.KERNEL, {}), need_gib=0)
    with pytest.raises(MachineError, match=r"kernel kml 7.2 is not built[^$]*kernel build --kernel 7.2"):
        pack.pack(tmp_path / "lab", origin=ORIGIN, cache=empty, progress=Silent())


def test_an_entry_that_lacks_a_file_is_not_packed(full: Cache, tmp_path: Path) -> None:
    cache = Cache(shutil.copytree(full.root, tmp_path / "copy"))
    (cache.path("kernel", kernel.content(Kernel.KML, DEFAULT)) / "vmlinux").unlink()
    with pytest.raises(MachineError, match=r"vmlinux could not be read[^$]*build it again"):
        pack.pack(tmp_path / "lab", origin=ORIGIN, cache=cache, progress=Silent())


def test_a_file_that_exists_is_not_overwritten(full: Cache, tmp_path: Path) -> None:
    (tmp_path / "lab").write_text("mine")
    with pytest.raises(InputError, match="exists"):
        pack.pack(tmp_path / "lab", origin=ORIGIN, cache=full, progress=Silent())
    assert (tmp_path / "lab").read_text() == "mine"


def test_a_pack_that_cannot_be_written_leaves_nothing(full: Cache, tmp_path: Path) -> None:
    with pytest.raises(MachineError, match=r"could not be written: No such file[^$]*free space"):
        pack.pack(tmp_path / "nowhere/lab", origin=ORIGIN, cache=full, progress=Silent())
    with pytest.raises(KeyboardInterrupt):
        pack.pack(tmp_path / "lab", origin=ORIGIN, cache=full, progress=Interrupted(after=9))
    assert list(tmp_path.iterdir()) == []


class Interrupted(Silent):
    """Somebody presses Ctrl-C after some units."""

    def __init__(self, *, after: int) -> None:
        self.left = after

    def advance(self, count: int = 1) -> None:
        self.left -= count
        if self.left < 0:
            raise KeyboardInterrupt


@pytest.mark.parametrize("after", [0, 3, 14, 18])
def test_an_interruption_leaves_the_cache_as_it_was(packed: Path, empty: Cache, after: int) -> None:
    with pytest.raises(KeyboardInterrupt):
        unpack.unpack(packed, cache=empty, progress=Interrupted(after=after))
    assert files(empty) == {}
    unpack.unpack(packed, cache=empty, progress=Silent())


def test_a_disk_that_is_full_leaves_the_cache_as_it_was(
    packed: Path, empty: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full_disk(path: Path) -> IO[bytes]:
        del path
        return Path("/dev/full").open("wb")

    monkeypatch.setattr(unpack, "_created", full_disk)
    with pytest.raises(MachineError, match=r"No space left[^$]*free some disk space"):
        unpack.unpack(packed, cache=empty, progress=Silent())
    assert files(empty) == {}


def test_a_disk_that_is_too_small_is_said_before_anything_is_unpacked(packed: Path, empty: Cache) -> None:
    def large(manifest: Any) -> None:
        for entry in manifest["entries"]:
            entry["disk_bytes"] = 1 << 49

    path = compressed(empty.root.parent / "large", with_manifest(plain(packed), large))
    with pytest.raises(MachineError, match=r"GiB free, 2097152.0 GiB are needed[^$]*XDG_CACHE_HOME"):
        unpack.unpack(path, cache=empty, progress=Silent())
    assert files(empty) == {}


def test_what_is_in_the_cache_stays(packed: Path, empty: Cache) -> None:
    build_kernels(empty, image=b"of my own")
    before = files(empty)
    arrivals = unpack.unpack(packed, cache=empty, progress=Silent())
    assert {str(each.state) for each in arrivals} == {
        "in the cache already, with other bytes",
        "unpacked",
    }
    assert before.items() <= files(empty).items()
    again = unpack.unpack(packed, cache=empty, progress=Silent())
    assert again[-1].state is unpack.State.PRESENT


def test_packages_of_another_day_are_replaced_only_if_asked(packed: Path, full: Cache, empty: Cache) -> None:
    build_image(empty, packages=b"bash 2\n")
    before = files(empty)
    with pytest.raises(InputError, match=r"packages for mysql: other versions than those in[^$]*--replace"):
        unpack.unpack(packed, cache=empty, progress=Silent())
    assert files(empty) == before
    with pytest.raises(KeyboardInterrupt):
        unpack.unpack(packed, cache=empty, progress=Interrupted(after=14), replace=True)
    assert files(empty) == before
    unpack.unpack(packed, cache=empty, progress=Silent(), replace=True)
    assert files(full).items() <= files(empty).items()
    here, there = (image.built(SERVER, cache=cache) for cache in (empty, full))
    assert here is not None
    assert there is not None
    assert here.key == there.key


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (
            {"patches": "q"},
            r"kernel kml 6.12: its patches .* differs from this checkout's[^$]*1.2 .commit 0123456789ab",
        ),
        ({"configuration": "q"}, r"kernel stock 6.12: its configuration .* differs[^$]*pack again"),
        (
            {"compiler": "gcc 14"},
            r"the compiler is gcc 14 here, and was gcc 12.2.0[^$]*install the same",
        ),
        ({"source": "6.12.118"}, r"the source is 6.12.118 here, and was .*6.12.117[^$]*kernel build"),
    ],
)
def test_what_this_checkout_would_not_use_is_refused_with_the_reason(
    packed: Path, empty: Cache, monkeypatch: pytest.MonkeyPatch, other: dict[str, str], message: str
) -> None:
    own = kernel.content
    monkeypatch.setattr(kernel, "content", lambda *of: {**own(*of), **other})
    with pytest.raises(InputError, match=message):
        unpack.unpack(packed, cache=empty, progress=Silent())
    assert files(empty) == {}


def test_an_image_of_other_files_is_refused_and_its_kernels_are_not(
    packed: Path, empty: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image, "additions", lambda server, *_: {"files": "f", "workloads": f"new {server}"})
    with pytest.raises(InputError, match=r"guest image with mysql: workloads/ differs[^$]*--kernels-only"):
        unpack.unpack(packed, cache=empty, progress=Silent())
    unpack.unpack(packed, cache=empty, progress=Silent(), images=False)
    assert all(kernel.built(each, DEFAULT, cache=empty) for each in Kernel)


def test_a_kernel_that_is_not_the_recorded_one_is_refused(
    packed: Path, empty: Cache, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    record = tmp_path / "checksums.toml"
    monkeypatch.setattr(checksums, "RECORD", record)
    key = kernel.content(Kernel.KML, DEFAULT)
    build = checksums.Build(
        **{part: key[part] for part in ("source", "compiler", "linker")},
        kernel=Kernel.KML,
        key=content_key(key),
        image="0" * 64,
        vmlinux="0" * 64,
    )
    record.write_text(checksums.toml((build,)))
    with pytest.raises(
        InputError, match=r"kernel kml 6.12: its SHA-256 is [^$]*checksums.toml[^$]*build here"
    ):
        unpack.unpack(packed, cache=empty, progress=Silent())
    assert files(empty) == {}


def test_the_command_carries_kernels(
    full: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(full.root, tmp_path / "here/kmlbench")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "here"))
    assert main(["kernel", "pack", str(tmp_path / "lab")]) == 0
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "there"))
    assert main(["kernel", "unpack", str(tmp_path / "lab")]) == 0
    assert files(Cache(tmp_path / "there/kmlbench")) == files(full)
    said = capsys.readouterr().err
    assert "guest image with mysql: unpacked" in said
    assert "kernel kml 6.12: unpacked" in said
    assert "not recorded: an unknown compiler" in said


def test_the_command_names_what_is_wrong_with_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "notes").write_text("not a pack")
    for name in ("notes", "nowhere", "."):
        assert main(["kernel", "unpack", str(tmp_path / name)]) == 2
    said = capsys.readouterr().err
    assert "nowhere could not be read: No such file" in said
    assert "remedy: name a file that `kmlbench kernel pack` wrote" in said
    assert "notes: before manifest.json it could not be read" in said


# What somebody may have done to a pack.


def plain(path: Path) -> bytes:
    with path.open("rb") as stream, pyarrow.CompressedInputStream(stream, "zstd") as source:
        return bytes(source.read())


def compressed(path: Path, content: bytes) -> Path:
    with path.open("wb") as stream, pyarrow.CompressedOutputStream(stream, "zstd") as sink:
        sink.write(content)
    return path


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, bytes, dict[str, bytes]]:
    """A place for packs, a small pack without its compression, and what it has."""
    place = tmp_path_factory.mktemp("small")
    cache = Cache(place / "cache")
    build_kernels(cache, image=NOISE)
    pack.pack(place / "lab", origin=ORIGIN, cache=cache, progress=Silent(), images=False)
    return place, plain(place / "lab"), files(cache)


def attempt(path: Path, cache: Cache) -> str:
    """Why a pack is refused, or nothing."""
    shutil.rmtree(cache.root, ignore_errors=True)
    try:
        unpack.unpack(path, cache=cache, progress=Silent())
    except InputError as error:
        return str(error) if error.remedy and not files(cache) else ""
    return ""


@given(content=st.binary(max_size=2000))
def test_any_bytes_are_refused(small: tuple[Path, bytes, dict[str, bytes]], content: bytes) -> None:
    place, *_ = small
    path = place / "any"
    path.write_bytes(content)
    assert attempt(path, Cache(place / "other"))
    assert attempt(compressed(path, content), Cache(place / "other"))


@st.composite
def damages(draw: st.DrawFn) -> Callable[[bytes], bytes]:
    """Bytes are changed, lost or added somewhere."""
    where = draw(st.floats(min_value=0, max_value=1, exclude_max=True))
    new = draw(st.binary(max_size=600))
    lost = draw(st.sampled_from([0, 1, len(new), 512, 1 << 30]))

    def damage(content: bytes) -> bytes:
        at = int(where * len(content))
        return content[:at] + new + content[at + lost :]

    return damage


@given(damage=damages())
def test_a_damaged_pack_is_refused_or_is_what_was_packed(
    small: tuple[Path, bytes, dict[str, bytes]], damage: Callable[[bytes], bytes]
) -> None:
    place, content, whole = small
    cache = Cache(place / "other")
    refused = attempt(compressed(place / "damaged", damage(content)), cache)
    assert refused or files(cache) == whole
    (place / "damaged").write_bytes(damage((place / "lab").read_bytes()))
    refused = attempt(place / "damaged", cache)
    assert refused or files(cache) == whole


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_pack_that_was_cut_off_says_where(
    small: tuple[Path, bytes, dict[str, bytes]], share: float
) -> None:
    place, content, _ = small
    whole = (place / "lab").read_bytes()
    (place / "cut").write_bytes(whole[: int(share * len(whole))])
    assert attempt(place / "cut", Cache(place / "other"))
    cut = compressed(place / "cut", content[: int(share * len(content))])
    assert "it ends " in attempt(cut, Cache(place / "other"))


def member(name: str, *, kind: bytes = tarfile.REGTYPE, content: bytes = b"", link: str = "") -> bytes:
    header = tarfile.TarInfo(name)
    header.type, header.linkname, header.size = kind, link, len(content)
    return header.tobuf(tarfile.USTAR_FORMAT) + content + bytes(-len(content) % 512)


def after_manifest(content: bytes) -> tuple[bytes, bytes]:
    size = tarfile.TarInfo.frombuf(content[:512], "utf-8", "strict").size
    end = 512 + size + -size % 512
    return content[:end], content[end:]


@pytest.mark.parametrize(
    ("hostile", "message"),
    [
        (member("../../../etc/passwd", content=b"root"), "'../../../etc/passwd' is where kernel/"),
        (member("/etc/passwd", content=b"root"), "'/etc/passwd' is where kernel/"),
        (member("kernel", kind=tarfile.SYMTYPE, link="/etc"), "'kernel' is a symbolic link, where the file"),
        (member("kernel", kind=tarfile.LNKTYPE, link="/etc/passwd"), "'kernel' is a hard link"),
        (member("sda", kind=tarfile.BLKTYPE), "'sda' is a device"),
        (member("null", kind=tarfile.CHRTYPE), "'null' is a device"),
        (member("kernel/", kind=tarfile.DIRTYPE), "is a directory"),
        (member("fifo", kind=tarfile.FIFOTYPE), "is a pipe"),
        (member("x", kind=tarfile.XHDTYPE, content=b"30 size=99999999999999999999\n"), "a member of type"),
        (member("x", kind=tarfile.GNUTYPE_LONGNAME, content=b"a" * 5000), "a member of type"),
    ],
)
def test_members_that_lead_elsewhere_are_refused(
    small: tuple[Path, bytes, dict[str, bytes]], hostile: bytes, message: str
) -> None:
    place, content, _ = small
    manifest, rest = after_manifest(content)
    refused = attempt(compressed(place / "hostile", manifest + hostile + rest), Cache(place / "other"))
    assert message in refused


def test_a_member_that_no_manifest_lists_is_refused(small: tuple[Path, bytes, dict[str, bytes]]) -> None:
    place, content, _ = small
    more = content[:-1024] + member("more", content=b"more") + bytes(1024)
    assert "more members than" in attempt(compressed(place / "more", more), Cache(place / "other"))
    endless = content + bytes(1 << 20)
    assert "more members than" in attempt(compressed(place / "more", endless), Cache(place / "other"))


def with_manifest(content: bytes, change: Callable[[Any], object]) -> bytes:
    """The archive with a manifest that was changed as `change` does."""
    first, rest = after_manifest(content)
    size = tarfile.TarInfo.frombuf(first[:512], "utf-8", "strict").size
    manifest = msgspec.json.decode(first[512 : 512 + size])
    change(manifest)
    return member("manifest.json", content=msgspec.json.encode(manifest)) + rest


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m.update(format=2), "a pack of format 2, and this version reads format 1"),
        (lambda m: m.update(entries=[]), "no entries"),
        (lambda m: m.update(entries=m["entries"] * 2), "or one twice"),
        (lambda m: m["entries"][0].update(kind="../../home"), "Invalid enum value"),
        (lambda m: m["entries"][0]["members"][0].update(name="../../home"), "does not have the files of"),
        (lambda m: m["entries"][0]["members"].pop(), "does not have the files of"),
        (lambda m: m["entries"][0]["members"][0].update(size=-1), "Expected `int` >= 0"),
        (lambda m: m["entries"][0]["members"][0].update(size=10**18), "Expected `int` <="),
        (lambda m: m["entries"][0]["members"][0].update(size=1), "and 1 in the manifest"),
        (lambda m: m["entries"][0]["members"][0].update(sha256="0" * 64), "has another SHA-256 than"),
        (lambda m: m["entries"][0]["key"].update(kernel="other"), "kernel other"),
        (lambda m: m["entries"][0]["key"].update(more="x"), "more differs from this checkout's"),
        (lambda m: m["entries"][0].update(key=["a"]), "Expected `object`"),
        (lambda m: m.pop("format"), "missing required field `format`"),
    ],
)
def test_a_manifest_that_is_not_true_is_refused(
    small: tuple[Path, bytes, dict[str, bytes]], change: Callable[[Any], object], message: str
) -> None:
    place, content, _ = small
    path = compressed(place / "changed", with_manifest(content, change))
    assert message in attempt(path, Cache(place / "other"))


def test_an_image_of_other_packages_than_those_beside_it_is_refused(packed: Path, tmp_path: Path) -> None:
    def change(manifest: Any) -> None:
        manifest["entries"][3]["key"]["manifest"] = "0"

    path = compressed(tmp_path / "changed", with_manifest(plain(packed), change))
    assert "guest image with mysql: the versions of Debian's packages in it" in attempt(
        path, Cache(tmp_path / "other")
    )
    path = compressed(tmp_path / "changed", with_manifest(plain(packed), lambda m: m["entries"].pop(2)))
    assert "guest image with packages it lacks" in attempt(path, Cache(tmp_path / "other"))


def test_a_manifest_of_a_gigabyte_is_refused_before_it_is_read(
    small: tuple[Path, bytes, dict[str, bytes]],
) -> None:
    place, *_ = small
    header = tarfile.TarInfo("manifest.json")
    header.size = 1 << 30
    path = compressed(place / "large", header.tobuf(tarfile.USTAR_FORMAT))
    assert "1073741824 bytes, more than 1048576" in attempt(path, Cache(place / "other"))
