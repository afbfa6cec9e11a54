# SPDX-License-Identifier: MIT
"""Package pairs: what is set over a user's configuration, what is told about it, and what stops a build."""

from __future__ import annotations

import gzip
import lzma
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from support.paths import REPOSITORY

from kmlbench import kconfig
from kmlbench.build import deb
from kmlbench.build import deb_config as configuration
from kmlbench.build.bases import DEFAULT, Base
from kmlbench.build.cache import Cache
from kmlbench.build.deb import PackageArtifact, Request
from kmlbench.build.deb_config import Cause, Change
from kmlbench.cli.main import main
from kmlbench.errors import BuildError, InputError, MachineError
from kmlbench.model import Kernel
from kmlbench.progress import Silent

USER = """CONFIG_X86_64=y
CONFIG_SMP=y
CONFIG_VMAP_STACK=y
CONFIG_UNWINDER_ORC=y
CONFIG_IA32_EMULATION=y
CONFIG_COMPAT=y
CONFIG_HZ=250
CONFIG_LOCALVERSION="-mine"
CONFIG_CC_VERSION_TEXT="gcc 9"
"""


def options(text: str = USER, **changed: str) -> dict[str, str]:
    return {**kconfig.parse_options(text), **{f"CONFIG_{name}": value for name, value in changed.items()}}


@pytest.mark.parametrize("base", list(Base))
def test_required_is_what_the_patches_depend_on(base: Base) -> None:
    series = "".join(patch.read_text() for patch in base.patches())
    lines = re.findall(r"^([+-])\tdepends on (.+)$", series.partition("+config KERNEL_MODE_LINUX\n")[2], re.M)
    depends: list[str] = []
    for sign, line in lines:
        (depends.append if sign == "+" else depends.remove)(line)
    words = " && ".join(depends).split(" && ")
    expected = {f"CONFIG_{word.lstrip('!')}": "n" if word.startswith("!") else "y" for word in words}
    assert base.required() == expected


@pytest.mark.parametrize("base", list(Base))
def test_the_guests_kernels_have_what_is_required(base: Base) -> None:
    asked = base.fragment(Kernel.STOCK) + "CONFIG_X86_64=y\nCONFIG_XEN_PV=n\n"
    assert kconfig.lost_options(base.required(), kconfig.parse_options(asked)) == ()


@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress])
def test_a_configuration_is_read_plain_or_compressed(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    file = tmp_path / "config"
    file.write_bytes(pack(USER.encode()))
    assert deb.request(str(file), DEFAULT).options == options()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "not the configuration of an x86-64 kernel"),
        (b"CONFIG_ARM64=y\n", "not the configuration of an x86-64 kernel"),
        (b"\x7fELF\xff\xfe", "cannot be read"),
        (gzip.compress(USER.encode())[:-9], "cannot be read"),
    ],
)
def test_what_is_no_configuration_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "config"
    file.write_bytes(content)
    with pytest.raises(InputError, match=message):
        deb.request(str(file), DEFAULT)


def test_a_configuration_that_is_not_there_ends_with_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["kernel", "deb", "/nowhere/config"]) == 2
    printed = capsys.readouterr().err
    assert "/nowhere/config cannot be read" in printed
    assert "remedy: " in printed


def test_the_word_lean_is_the_configuration_of_the_guests() -> None:
    assert deb.request("lean", DEFAULT).lean
    assert deb.request("lean", DEFAULT).options == kconfig.parse_options(DEFAULT.fragment(Kernel.STOCK))


def test_both_kernels_of_a_pair_get_the_same_but_for_kml() -> None:
    stock, kml = (configuration.settings(DEFAULT, kernel, options()) for kernel in (Kernel.STOCK, Kernel.KML))
    assert kconfig.unexpected_differences(stock, kml) == ()
    assert stock["CONFIG_IA32_EMULATION"] == kml["CONFIG_IA32_EMULATION"] == "n"
    assert "CONFIG_KERNEL_MODE_LINUX" not in stock
    assert kml["CONFIG_KERNEL_MODE_LINUX"] == "y"
    assert (stock["CONFIG_LOCALVERSION"], kml["CONFIG_LOCALVERSION"]) == (
        '"-kmlbench-stock"',
        '"-kmlbench-kml"',
    )


@pytest.mark.parametrize(
    ("given", "becomes"),
    [
        ({}, {}),
        ({"CONFIG_SYSTEM_TRUSTED_KEYS": '""', "CONFIG_MODULE_SIG_KEY": '""'}, {}),
        ({"CONFIG_SYSTEM_TRUSTED_KEYS": '"/etc/keys/mine.pem"', "CONFIG_MODULE_SIG_KEY": '"pkcs11:x"'}, {}),
        ({"CONFIG_MODULE_SIG_KEY": '"certs/signing_key.pem"'}, {}),
        ({"CONFIG_SYSTEM_TRUSTED_KEYS": '"debian/certs/a.pem"'}, {"CONFIG_SYSTEM_TRUSTED_KEYS": '""'}),
        (
            {"CONFIG_MODULE_SIG_KEY": '"debian/build/key.pem"'},
            {"CONFIG_MODULE_SIG_KEY": '"certs/signing_key.pem"'},
        ),
    ],
)
def test_keys_of_another_build_are_left_out(given: dict[str, str], becomes: dict[str, str]) -> None:
    wanted = configuration.settings(DEFAULT, Kernel.STOCK, {**options(), **given})
    assert {name: wanted[name] for name in configuration.KEYS if name in wanted} == becomes


def test_every_change_has_its_cause() -> None:
    adopted = options(CC_VERSION_TEXT='"gcc 12"', HZ="1000", NEW_IN_THIS_SOURCE="y")
    wanted = configuration.settings(DEFAULT, Kernel.KML, adopted)
    built = {**adopted, **wanted, "CONFIG_COMPAT": "n"}
    assert configuration.configuration_changes(options(), adopted, built, wanted) == (
        Change(name="CONFIG_KERNEL_MODE_LINUX", before="n", after="y", cause=Cause.PAIR),
        Change(name="CONFIG_LOCALVERSION", before='"-mine"', after='"-kmlbench-kml"', cause=Cause.PAIR),
        Change(name="CONFIG_IA32_EMULATION", before="y", after="n", cause=Cause.REQUIRED),
        Change(name="CONFIG_COMPAT", before="y", after="n", cause=Cause.FOLLOWS),
        Change(name="CONFIG_HZ", before="250", after="1000", cause=Cause.SOURCE),
    )


def test_what_the_source_adds_by_itself_is_no_change() -> None:
    adopted = options(X86_X2APIC="y")
    wanted = {"CONFIG_X86_64": "y"}
    user = {name: value for name, value in options().items() if name != "CONFIG_X86_64"}
    assert configuration.configuration_changes(user, adopted, adopted, wanted) == ()


def test_the_user_is_told_what_was_set_and_how_much_follows() -> None:
    changes = [
        Change(name="CONFIG_IA32_EMULATION", before="y", after="n", cause=Cause.REQUIRED),
        Change(name="CONFIG_COMPAT", before="y", after="n", cause=Cause.FOLLOWS),
        Change(name="CONFIG_COMPAT_32", before="y", after="n", cause=Cause.FOLLOWS),
    ]
    assert configuration.summary(changes) == (
        f"CONFIG_IA32_EMULATION: y -> n ({Cause.REQUIRED})",
        f"2 more: {Cause.FOLLOWS}",
    )


def test_an_option_that_something_else_insists_on_stops_the_build() -> None:
    with pytest.raises(BuildError, match=r"CONFIG_XEN_PV=n \(is y\)"):
        configuration.require_settings({"CONFIG_XEN_PV": "n", "CONFIG_SMP": "y"}, options(XEN_PV="y"))


def test_missing_tools_are_named_by_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deb, "NEEDED", ("dpkg", "no-such-package"))
    monkeypatch.setattr(deb, "NEEDED_FOR", {"CONFIG_HZ": "not-asked", "CONFIG_SMP": "no-such-compressor"})
    with pytest.raises(MachineError, match="not installed: no-such-compressor no-such-package") as caught:
        deb.require_tools(Request(base=DEFAULT, text=USER))
    assert "apt-get install no-such-compressor no-such-package" in str(caught.value)


def test_the_setup_installs_what_packages_need() -> None:
    listed = (REPOSITORY / "tools" / "packages.txt").read_text().split()
    assert set(deb.NEEDED) <= set(listed)


def test_the_packages_depend_on_configuration_and_kernel() -> None:
    stock, kml = (
        deb.content(kernel, Request(base=DEFAULT, text=USER)) for kernel in (Kernel.STOCK, Kernel.KML)
    )
    assert stock["patches"] == "none" != kml["patches"]
    assert stock["configuration"] != kml["configuration"]
    other = deb.content(Kernel.STOCK, Request(base=DEFAULT, text=USER.replace("250", "1000")))
    assert other["configuration"] != stock["configuration"]
    assert deb.content(Kernel.STOCK, deb.request("lean", DEFAULT))["configuration"] != stock["configuration"]


def test_a_distributions_modules_need_more_disk_than_a_lean_kernel() -> None:
    modules = USER + "CONFIG_MODULES=y\n"
    needed = [
        deb.need_gib(Request(base=DEFAULT, text=text))
        for text in (USER, modules, modules + "CONFIG_DEBUG_INFO=y\n")
    ]
    assert needed == sorted(set(needed))


def test_a_full_disk_is_told_before_anything_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deb, "LEAN_GIB", 1e9)
    with pytest.raises(MachineError, match="GiB free"):
        deb.ensure(Kernel.STOCK, Request(base=DEFAULT, text=USER), cache=Cache(tmp_path), progress=Silent())


@pytest.fixture
def artifact(tmp_path: Path) -> PackageArtifact:
    for name in ("linux-image.deb", "config", "changes"):
        (tmp_path / name).write_text(name)
    return PackageArtifact(
        kernel=Kernel.KML,
        release="6.12-kmlbench-kml",
        files=(tmp_path / "linux-image.deb",),
        config=tmp_path / "config",
        changes=tmp_path / "changes",
    )


def test_packages_and_changes_are_copied_to_the_output(artifact: PackageArtifact, tmp_path: Path) -> None:
    output = tmp_path / "new" / "directory"
    assert deb.copy_packages(artifact, output) == (
        output / "linux-image.deb",
        output / "changes-6.12-kmlbench-kml.txt",
    )
    assert (output / "changes-6.12-kmlbench-kml.txt").read_text() == "changes"


def test_an_output_that_cannot_be_written_is_told(artifact: PackageArtifact, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(MachineError, match="could not be copied"):
        deb.copy_packages(artifact, tmp_path / "file")
