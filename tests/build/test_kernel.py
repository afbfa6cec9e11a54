# SPDX-License-Identifier: MIT
"""The kernel build stops at a patch that does not apply, and follows Debian where it says so."""

import lzma
import time
from pathlib import Path

import pytest
from support.paths import REPOSITORY

from kmlbench import kconfig
from kmlbench.build import kernel as builder
from kmlbench.errors import BuildError
from kmlbench.model import Kernel
from kmlbench.paths import KERNEL
from kmlbench.progress import Silent

BASE = (KERNEL / "base").read_text().strip()
CONFIG = BASE.replace("linux-source", "linux-config")
DEBIAN = Path("/usr/src") / CONFIG / "config.amd64_none_amd64.xz"
PATCH = """--- a/file
+++ b/file
@@ -1,3 +1,3 @@
 one
-two
+zwei
 three
"""


@pytest.fixture(scope="module")
def debian() -> dict[str, str]:
    return kconfig.parse_options(lzma.decompress(DEBIAN.read_bytes()).decode())


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
    builder.apply([patch], source)
    assert (source / "file").read_text() == "one\nzwei\nthree\n"


@pytest.mark.parametrize("text", ["one\n2\nthree\n", "eins\ntwo\nthree\n", "one\nzwei\nthree\n"])
def test_a_patch_that_does_not_apply_exactly_stops_the_build(tmp_path: Path, patch: Path, text: str) -> None:
    source = source_with(tmp_path, text)
    with pytest.raises(BuildError, match=r"0001-zwei\.patch does not apply to linux-source"):
        builder.apply([patch], source)


def test_the_series_names_every_patch_once() -> None:
    on_disk = sorted((KERNEL / "patches").iterdir())
    assert builder.patches() == on_disk


def test_make_setup_installs_the_source_and_debians_configuration_of_it() -> None:
    assert {BASE, CONFIG} <= set((REPOSITORY / "tools/packages.txt").read_text().split())


def test_what_prices_a_system_call_is_as_in_debian(debian: dict[str, str]) -> None:
    ours = kconfig.parse_options((KERNEL / "configs" / "debian-price.config").read_text())
    assert kconfig.lost_options(ours, debian) == ()
    assert {"CONFIG_CPU_MITIGATIONS", "CONFIG_MITIGATION_RETPOLINE"} <= ours.keys()


def test_every_mitigation_of_debian_is_asked_for(debian: dict[str, str]) -> None:
    mitigations = {name: value for name, value in debian.items() if name.startswith("CONFIG_MITIGATION_")}
    asked = kconfig.parse_options(builder.fragment(Kernel.STOCK))
    # VMSCAPE guards a hypervisor's user space against its guests; these kernels have no KVM.
    mitigations.pop("CONFIG_MITIGATION_VMSCAPE", None)
    assert kconfig.lost_options(mitigations, asked) == ()


def test_the_kernels_ask_for_the_same_but_kml() -> None:
    kconfig.require_same_but_kml(builder.fragment(Kernel.STOCK), builder.fragment(Kernel.KML))


def test_a_change_of_configuration_patches_or_kernel_changes_the_key() -> None:
    stock, kml = builder.content(Kernel.STOCK), builder.content(Kernel.KML)
    assert stock["patches"] == "none" != kml["patches"]
    assert stock["configuration"] != kml["configuration"]
    assert stock["source"] == kml["source"]


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
