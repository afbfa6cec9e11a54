# SPDX-License-Identifier: MIT
"""What is built does not depend on the shell of who builds it."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from kmlbench.build import image, kernel
from kmlbench.build.bases import DEFAULT
from kmlbench.model import Kernel
from kmlbench.process import build_environment, check

ODD = {
    **{"ARCH": "arm64", "LLVM": "1", "CC": "false", "KCFLAGS": "-O0 -DODD", "CROSS_COMPILE": "odd-"},
    **{"MAKEFLAGS": "-k", "KBUILD_OUTPUT": "/odd", "W": "1", "SOURCE_DATE_EPOCH": "1", "CPATH": "/odd"},
    **{"LC_ALL": "de_DE.UTF-8", "LANG": "tr_TR.UTF-8", "TZ": "Asia/Kathmandu", "HOME": "/odd", "USER": "odd"},
    **{"GCC_EXEC_PREFIX": "/odd/", "LIBRARY_PATH": "/odd", "LD_LIBRARY_PATH": "/odd", "ENV": "/odd"},
}


@pytest.fixture
def odd(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Variables, a compiler of the user's own and a umask, all of which would change a build."""
    for name, value in ODD.items():
        monkeypatch.setenv(name, value)
    own = tmp_path / "own"
    own.mkdir()
    for program in ("gcc", "ld", "make", "env"):
        (own / program).write_text("#!/bin/sh\necho odd\nexit 1\n")
        (own / program).chmod(0o755)
    monkeypatch.setenv("PATH", f"{own}:{os.environ['PATH']}")
    before = os.umask(0o077)
    yield
    os.umask(before)


def files(directory: Path) -> dict[str, tuple[str, str]]:
    """Mode and content of everything below a directory."""
    return {
        str(path.relative_to(directory)): (
            stat.filemode(path.stat().st_mode),
            hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "",
        )
        for path in directory.rglob("*")
    }


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, str]]:
    return files(stage(tmp_path_factory.mktemp("plain")))


def stage(directory: Path) -> Path:
    """What is laid over the guest's Debian, as `guest build` makes it."""
    made = directory / "stage"
    shutil.copytree(image.RECIPE / "files", made)
    image.add_programs(made)
    image.set_modes(made)
    return made


@pytest.mark.slow
@pytest.mark.usefixtures("odd")
def test_the_programs_of_the_guest_are_the_same_under_an_odd_shell(
    plain: dict[str, tuple[str, str]], tmp_path: Path
) -> None:
    assert files(stage(tmp_path)) == plain
    assert plain["usr/lib/kmlbench"][0] == "drwxr-xr-x"
    assert plain["usr/lib/kmlbench/init"][0] == "-rwxr-xr-x"
    assert plain["etc/ssh/sshd_config"][0] == "-rw-r--r--"


@pytest.mark.usefixtures("odd")
def test_nothing_of_the_shell_reaches_make(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text(
        "show:\n\t@env | sort; umask; date +%Z; echo '$(ARCH)$(CC)$(KCFLAGS)'\n"
    )
    argv = ("make", "--no-print-directory", f"--directory={tmp_path}", "show")
    shown = check(argv, timeout_s=30, env=build_environment(kernel.REPRODUCIBLE)).stdout
    assert "odd" not in shown.replace(str(tmp_path), "")
    seen = {line.partition("=")[0] for line in shown.splitlines() if "=" in line}
    assert seen & ODD.keys() <= {"LC_ALL", "TZ", "HOME", "MAKEFLAGS"}
    assert "MAKEFLAGS=k" not in shown
    assert "KBUILD_BUILD_USER=kmlbench\n" in shown
    assert shown.endswith("0022\nUTC\ncc\n")


def test_the_key_of_a_kernel_is_the_same_under_an_odd_shell(request: pytest.FixtureRequest) -> None:
    kernel._first_line.cache_clear()
    before = kernel.content(Kernel.STOCK, DEFAULT)
    kernel._first_line.cache_clear()
    request.getfixturevalue("odd")
    assert kernel.content(Kernel.STOCK, DEFAULT) == before
    kernel._first_line.cache_clear()


def test_the_key_of_a_kernel_says_where_its_compiler_was_looked_for() -> None:
    path = build_environment().variables["PATH"]
    assert f"PATH={path}" in kernel.content(Kernel.STOCK, DEFAULT)["recipe"].split()


def test_a_proxy_reaches_the_mirror(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://proxy:3128")
    assert (
        check(("printenv", "http_proxy"), timeout_s=30, env=build_environment()).stdout
        == "http://proxy:3128\n"
    )
