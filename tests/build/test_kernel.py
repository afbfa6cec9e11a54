# SPDX-License-Identifier: MIT
"""The kernel build stops at a patch that does not apply, and follows Debian where it says so."""

import lzma
import re
import time
from collections import Counter as Counted
from dataclasses import replace
from pathlib import Path

import pytest
from support.paths import REPOSITORY

from kmlbench import kconfig, process
from kmlbench.build import bases, deb, source
from kmlbench.build import kernel as builder
from kmlbench.build.bases import COMMON, CONFIGS, DEFAULT, Base
from kmlbench.build.cache import Cache, content_key
from kmlbench.build.deb import Request
from kmlbench.errors import BuildError
from kmlbench.model import Kernel
from kmlbench.paths import KERNEL
from kmlbench.progress import Silent

NEW = [base for base in Base if base.origin.suite]
EACH = [DEFAULT, *(pytest.param(base, marks=pytest.mark.slow) for base in NEW)]
PATCH = """--- a/file
+++ b/file
@@ -1,3 +1,3 @@
 one
-two
+zwei
 three
"""


def debian(base: Base, cache: Cache) -> str:
    """Debian's own configuration of a version of Linux; that of one that is not installed is fetched."""
    package = base.origin.package.replace("linux-source", "linux-config")
    origin = replace(base.origin, package=package)
    sources = (
        source.fetched(base, origin, cache=cache, progress=Silent()) if origin.suite else source.INSTALLED
    )
    return lzma.decompress((sources / package / "config.amd64_none_amd64.xz").read_bytes()).decode()


@pytest.fixture
def patch(tmp_path: Path) -> Path:
    path = tmp_path / "0001-zwei.patch"
    path.write_text(PATCH)
    return path


def source_with(directory: Path, text: str) -> Path:
    source = directory / "source"
    source.mkdir()
    (source / "file").write_text(text)
    return source


def test_a_patch_is_applied(tmp_path: Path, patch: Path) -> None:
    source = source_with(tmp_path, "one\ntwo\nthree\n")
    builder.apply([patch], source, name="linux-source-1")
    assert (source / "file").read_text() == "one\nzwei\nthree\n"


@pytest.mark.parametrize("text", ["one\n2\nthree\n", "eins\ntwo\nthree\n", "one\nzwei\nthree\n"])
def test_a_patch_that_does_not_apply_exactly_stops_the_build(tmp_path: Path, patch: Path, text: str) -> None:
    source = source_with(tmp_path, text)
    with pytest.raises(BuildError, match=r"0001-zwei\.patch does not apply to linux-source-1"):
        builder.apply([patch], source, name="linux-source-1")


def test_what_kernel_has_of_one_version_is_a_base() -> None:
    assert {path.parent.name for path in KERNEL.glob("*/base")} == set(Base)
    assert [base for base in Base if not base.origin.suite] == [DEFAULT]
    for base in Base:
        assert base.origin.package == f"linux-source-{base}"
        assert base.origin.version.startswith(base if base.origin.suite else "")
        assert bases.of_source(f"{base.origin.package} {base}.1-1") is base
    assert bases.of_source("linux-source-5.10 5.10.1-1") is None


def test_each_patch_is_of_one_base_or_common_to_all() -> None:
    on_disk = Counted(path for path in KERNEL.rglob("*.patch") if path.parent.name == "patches")
    assert Counted(path for base in Base for path in set(base.patches())) == Counted(
        {path: len(Base) if path.parent == COMMON / "patches" else 1 for path in on_disk}
    )


def test_no_patch_of_a_base_hides_a_common_one() -> None:
    common = {path.name for path in (COMMON / "patches").iterdir()}
    for base in Base:
        assert not common & {path.name for path in (base.directory / "patches").iterdir()}


@pytest.mark.parametrize("base", list(Base))
def test_a_series_is_whole_and_in_order(base: Base) -> None:
    names = [patch.name for patch in base.patches()]
    assert names == sorted(set(names))
    assert [int(name[:4]) for name in names] == list(range(1, len(names) + 1))
    common = [patch.name for patch in DEFAULT.patches()]
    assert names[: len(common)] == common


@pytest.mark.slow
@pytest.mark.parametrize("base", list(Base))
def test_each_series_applies_exactly_to_its_source(base: Base, cache: Cache, tmp_path: Path) -> None:
    archive = source.ensure(base, cache=cache, progress=Silent())
    package = base.origin.package
    files = [f"{package}/{name}" for name in sorted(changed(base.patches()))]
    tar = ("tar", "--extract", "--file", str(archive), "--directory", str(tmp_path), *files)
    process.check(tar, timeout_s=source.STEP_TIMEOUT_S)
    builder.apply(base.patches(), tmp_path / package, name=source.version(base))
    assert (tmp_path / package / "arch/x86/kernel/kml.c").is_file()


def changed(series: list[Path]) -> set[str]:
    """The files of a source that patches change, without those that they create."""
    text = "".join(patch.read_text() for patch in series)
    pairs = re.findall(r"^--- (\S+)\n\+\+\+ b/(\S+)$", text, re.MULTILINE)
    return {new for _, new in pairs} - {new for old, new in pairs if old == "/dev/null"}


def test_the_key_names_the_patches_and_not_where_they_lie(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A patch that becomes common, or stops being it, builds no kernel again."""
    before = {base: builder.hash_patches(base) for base in Base}
    for place in ("common", *Base):
        (tmp_path / place / "patches").mkdir(parents=True)
    for base in Base:
        (tmp_path / base / "series").write_text("".join(f"{path.name}\n" for path in base.patches()))
        for path in base.patches():
            (tmp_path / base / "patches" / path.name).write_bytes(path.read_bytes())
    monkeypatch.setattr(bases, "KERNEL", tmp_path)
    monkeypatch.setattr(bases, "COMMON", tmp_path / "common")
    assert {base: builder.hash_patches(base) for base in Base} == before


def test_make_setup_installs_the_default_source_and_debians_configuration_of_it() -> None:
    names = {f"linux-source-{DEFAULT}", f"linux-config-{DEFAULT}"}
    assert names <= set((REPOSITORY / "tools/packages.txt").read_text().split())


@pytest.mark.parametrize("base", EACH)
def test_what_prices_a_system_call_is_as_in_debian(base: Base, cache: Cache) -> None:
    local = base.directory / bases.LOCAL
    text = (CONFIGS / "debian-price.config").read_text() + (local.read_text() if local.exists() else "")
    ours = kconfig.parse_options(text)
    assert kconfig.lost_options(ours, kconfig.parse_options(debian(base, cache))) == ()
    assert {"CONFIG_CPU_MITIGATIONS", "CONFIG_MITIGATION_RETPOLINE"} <= ours.keys()


@pytest.mark.parametrize("base", EACH)
def test_every_mitigation_of_debian_is_asked_for(base: Base, cache: Cache) -> None:
    options = kconfig.parse_options(debian(base, cache))
    mitigations = {name: value for name, value in options.items() if name.startswith("CONFIG_MITIGATION_")}
    asked = kconfig.parse_options(base.fragment(Kernel.STOCK))
    # VMSCAPE guards a hypervisor's user space against its guests; these kernels have no KVM.
    mitigations.pop("CONFIG_MITIGATION_VMSCAPE", None)
    assert kconfig.lost_options(mitigations, asked) == ()


class _ConfiguredError(Exception):
    """What follows takes hours."""


class UntilCompiling(Silent):
    """Ends a build where its compiler would begin."""

    def stage(self, name: str, *, total: int | None = None) -> None:
        del total
        if "compiling" in name:
            raise _ConfiguredError


@pytest.mark.soak
@pytest.mark.parametrize("base", list(Base))
def test_debians_configuration_can_have_kml(
    base: Base, cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 7.2 it could not: KVM_INTEL selects X86_FRED, which KERNEL_MODE_LINUX excluded."""
    monkeypatch.setattr(deb, "need_gib", lambda _: deb.LEAN_GIB)
    # Packages that somebody built from this configuration have another key.
    wanted = Request(base=base, text=f"{debian(base, cache)}# configured only\n")
    with pytest.raises(_ConfiguredError):
        deb.ensure(Kernel.KML, wanted, cache=cache, progress=UntilCompiling())


@pytest.mark.parametrize("base", list(Base))
def test_the_kernels_ask_for_the_same_but_kml(base: Base) -> None:
    kconfig.require_same_but_kml(base.fragment(Kernel.STOCK), base.fragment(Kernel.KML))


@pytest.mark.parametrize("base", list(Base))
def test_a_change_of_configuration_patches_or_kernel_changes_the_key(base: Base) -> None:
    stock, kml = builder.content(Kernel.STOCK, base), builder.content(Kernel.KML, base)
    assert stock["patches"] == "none" != kml["patches"]
    assert stock["configuration"] != kml["configuration"]
    assert stock["source"] == kml["source"]


def test_each_kernel_of_each_base_has_a_key_of_its_own() -> None:
    keys = {content_key(builder.content(kernel, base)) for base in Base for kernel in Kernel}
    assert len(keys) == len(Base) * len(Kernel)


class Counter(Silent):
    """Adds up what it is told."""

    def __init__(self) -> None:
        self.units = 0

    def advance(self, count: int = 1) -> None:
        self.units += count


def test_a_growing_log_is_progress(tmp_path: Path) -> None:
    progress = Counter()
    log = tmp_path / "build.log"
    deadline = time.monotonic() + 10.0
    with builder.counting_lines(log, progress, interval_s=0.01):
        log.write_text("one\ntwo\n")
        while progress.units < 2:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert progress.units == 2


def test_an_earlier_build_tells_how_long_a_build_is(tmp_path: Path) -> None:
    for name, text in ((".unfinished.partial-1", "one\n"), ("whole", "one\ntwo\nthree\n")):
        (tmp_path / name).mkdir()
        (tmp_path / name / builder.LOG).write_text(text)
    assert builder.lines_of_an_earlier_build(tmp_path) == 3


def test_without_an_earlier_build_nobody_knows_how_long_it_takes(tmp_path: Path) -> None:
    assert builder.lines_of_an_earlier_build(tmp_path) is None
