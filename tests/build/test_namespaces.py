# SPDX-License-Identifier: MIT
"""Where an image can be built: asked in a real chroot, and before anything that takes long."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kmlbench.build import image, kernel, namespaces
from kmlbench.build.cache import Cache
from kmlbench.cli.main import main
from kmlbench.errors import MachineError
from kmlbench.process import build_environment, check

# The machine's own tree below a directory that is no mount point, entered by chroot.
CHROOT = """
root=$1
shift
mkdir "$root"
for path in /*; do
    if [ -L "$path" ]; then
        cp -P "$path" "$root"
    elif [ -d "$path" ]; then
        mkdir "$root$path" && mount --rbind "$path" "$root$path"
    fi
done
exec chroot "$root" "$@"
"""

# With ranges of ids, as useradd gives them to every user.
WITH_RANGES = """
echo root:100000:65536 >"$1"
for file in /etc/subuid /etc/subgid; do mount --bind "$1" "$file"; done
shift
exec "$@"
"""
CODE = """
from kmlbench.build import namespaces
from kmlbench.errors import MachineError
try:
    print(*namespaces.private_prefix())
except MachineError as error:
    print(error)
"""


def in_chroot(directory: Path, *argv: str, propagation: str) -> str:
    """What a command prints in such a chroot, as root, or as an ordinary user's root."""
    ordinary = () if os.geteuid() == 0 else ("--map-root-user",)
    outer = ("unshare", *ordinary, "--mount", "--propagation", propagation, "--")
    ended = subprocess.run(
        (*outer, "sh", "-c", CHROOT, "sh", str(directory / "root"), *argv),
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
        cwd="/",
    )
    return ended.stdout + ended.stderr


def test_a_command_has_mounts_of_its_own() -> None:
    argv = (*namespaces.private_prefix(), "sh", "-c", "mount -t tmpfs kmlbench-test /mnt && id -u")
    assert check(argv, timeout_s=30, env=build_environment()).stdout == "0\n"
    assert "kmlbench-test" not in Path("/proc/self/mountinfo").read_text()


@pytest.mark.slow
def test_a_chroot_whose_root_is_no_mount_point_builds_another_way(tmp_path: Path) -> None:
    text = in_chroot(tmp_path, "unshare", "--mount", "true", propagation="private")
    assert "cannot change root filesystem propagation" in text
    (tmp_path / "root").rename(tmp_path / "before")
    text = in_chroot(tmp_path, sys.executable, "-c", CODE, propagation="private")
    assert text.startswith("unshare --propagation unchanged --mount --pid ")


@pytest.mark.slow
def test_a_chroot_out_of_which_mounts_are_seen_is_refused_with_the_reason(tmp_path: Path) -> None:
    text = in_chroot(tmp_path, sys.executable, "-c", CODE, propagation="shared")
    assert "does not let a guest image be built: unshare: cannot change root filesystem propagation" in text
    assert "what is mounted in a namespace of its own is seen outside" in text
    assert "mount --bind DIR DIR" in text
    assert "kmlbench-probe" not in Path("/proc/self/mountinfo").read_text()


@pytest.mark.slow
def test_where_a_user_namespace_is_refused_that_is_told_at_once(tmp_path: Path) -> None:
    """unshare would wait for ever in a chroot, where the kernel has no user namespace for anybody."""
    argv = ("sh", "-c", WITH_RANGES, "sh", str(tmp_path / "ranges"), sys.executable, "-c", CODE)
    started = time.monotonic()
    text = in_chroot(tmp_path, *argv, propagation="shared")
    assert "a user namespace is refused (unshare: unshare failed: Operation not permitted)" in text
    assert "entered by pivot_root" in text
    assert time.monotonic() - started < namespaces.TIMEOUT_S


def test_a_setting_that_refuses_user_namespaces_is_named() -> None:
    """The limit is that of a user namespace, so that this machine's own stays as it is."""
    none = 'echo 0 >/proc/sys/user/max_user_namespaces && exec "$@"'
    bounded = (
        "setpriv",
        "--bounding-set=-all",
        "--inh-caps=-all",
        "--no-new-privs",
        sys.executable,
        "-c",
        CODE,
    )
    printed = check(
        ("unshare", "--user", "--map-root-user", "sh", "-c", none, "sh", *bounded), timeout_s=60
    ).stdout
    assert "No space left on device; sysctl user.max_user_namespaces is 0)" in printed


def test_without_the_capability_it_is_refused_with_the_reason_or_done_as_a_user() -> None:
    argv = ("setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs", sys.executable, "-c", CODE)
    printed = check(argv, timeout_s=60).stdout
    assert (
        printed.startswith("unshare --map-root-user ")
        or "does not let a guest image be built: unshare" in printed
    )


@pytest.mark.parametrize("words", ["guest boot a", "guest build"], ids=str.split)
def test_it_is_asked_before_a_kernel_is_built(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(*_: object, **__: object) -> object:
        raise AssertionError("a build was begun")

    def cannot() -> tuple[str, ...]:
        raise MachineError("this machine does not let a guest image be built: no", remedy="another one")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(image, "private_prefix", cannot)
    monkeypatch.setattr(kernel, "ensure", refuse)
    monkeypatch.setattr(Cache, "ensure", refuse)
    host = "{kind: qemu, memory_mb: 512, cpus: 1, cpu_model: max, kernel: "
    (tmp_path / "hosts.yaml").write_text(
        f"hosts:\n  a: {host}stock}}\n  b: {host}kml}}\n"
        "campaign: {stock: a, kml: b, server: mysql, workloads: [getpid], blocks: 2, scale: 1}\n"
    )
    monkeypatch.chdir(tmp_path)
    assert main(words.split()) == 3
    assert "does not let a guest image be built: no" in capsys.readouterr().err
