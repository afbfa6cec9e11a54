# SPDX-License-Identifier: MIT
"""A clone in a clean Debian 12 and 13: set up, examined and checked; and its wheel, for an ordinary user."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator

import pytest
from support.debian_root import DebianRoot, debian_root
from support.paths import REPOSITORY

from kmlbench.build.cache import require_space
from kmlbench.build.namespaces import private_prefix
from kmlbench.errors import MachineError

WITHIN_S = 2 * 3600

pytestmark = [pytest.mark.soak, pytest.mark.timeout(2 * WITHIN_S)]

CLONE = "/srv/kmlbench"

NEED_GIB = 8.0

# useradd gives a range of ids to people, and none to services.
INSTALL = f"""
{CLONE}/.venv/bin/pip wheel --quiet --no-deps --wheel-dir /opt/wheel {CLONE}
python3 -m venv /opt/kmlbench
/opt/kmlbench/bin/pip install --quiet /opt/wheel/*.whl
useradd --create-home somebody
useradd --create-home --system service
"""

BUILD = "cd && /opt/kmlbench/bin/kmlbench guest build"

# With kernels by this Debian's compiler, on its QEMU, in which only TCG is to be had.
CAMPAIGN = """
cd
export PATH=/opt/kmlbench/bin:$PATH
kmlbench host example >hosts.yaml
run-benchmark --workloads getpid --blocks 2 --scale 0.2
kmlbench verify results/latest
kmlbench export results/latest --csv
"""


@pytest.fixture(scope="module", params=["bookworm", "trixie"])
def debian(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DebianRoot]:
    """A Debian with a clone, and nothing else, that `make setup` has set up."""
    directory = tmp_path_factory.mktemp(request.param)
    try:
        require_space(directory, need_gib=NEED_GIB)
        prefix = private_prefix()
    except MachineError as error:
        # A root of another release needs root, or a user's range of ids; the message says which.
        pytest.skip(f"no Debian can be entered here: {error}")
    with debian_root(request.param, directory, prefix=prefix) as root:
        clone = root.directory / CLONE.removeprefix("/")
        subprocess.run(("git", "clone", "--quiet", "--no-hardlinks", REPOSITORY, clone), check=True)
        checked(root, "make", "setup")
        yield root


@pytest.fixture(scope="module")
def installed(debian: DebianRoot) -> DebianRoot:
    """With a wheel in an environment that has no checkout, and two users."""
    if os.geteuid() != 0:
        # The ids that useradd hands out are not in the range of the user who runs this test.
        pytest.skip("users with ranges of ids of their own need root")
    checked(debian, "sh", "-euc", INSTALL, place="/")
    return debian


def checked(root: DebianRoot, *argv: str, place: str = CLONE) -> str:
    """What a command printed that must end well."""
    ended = root.run(*argv, timeout_s=WITHIN_S, place=place)
    assert ended.returncode == 0, ended.stdout[-4000:] + ended.stderr[-4000:]
    return ended.stdout


def test_doctor_examines_the_machine(debian: DebianRoot) -> None:
    text = checked(debian, ".venv/bin/kmlbench", "doctor")
    assert "good      qemu: installed" in text


def test_make_check_passes(debian: DebianRoot) -> None:
    text = checked(debian, "make", "check")
    assert " passed" in text


def test_an_ordinary_user_builds_an_image_from_the_wheel(installed: DebianRoot) -> None:
    checked(installed, "su", "somebody", "--command", BUILD, place="/")
    home = installed.directory / "home/somebody"
    assert list(home.glob(".cache/kmlbench/image/*/root.img"))


def test_a_campaign_of_an_ordinary_user_counts_instructions_and_verifies(installed: DebianRoot) -> None:
    text = checked(installed, "su", "somebody", "--command", f"set -e{CAMPAIGN}", place="/")
    assert "match the raw output" in text
    assert ",instructions," in text


def test_a_user_without_a_range_of_ids_is_told_before_anything_is_built(installed: DebianRoot) -> None:
    ended = installed.run("su", "service", "--shell", "/bin/sh", "--command", BUILD, timeout_s=60, place="/")
    assert ended.returncode == 3
    assert 'no line matching user "service" in /etc/subuid' in ended.stderr
    assert "usermod --add-subuids" in ended.stderr
