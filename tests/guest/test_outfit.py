# SPDX-License-Identifier: MIT
"""Programs of this machine and of the guest run from both its prefixes, in kernel mode from /trusted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.guest_programs import check
from support.programs import SAYS, compiled

from kmlbench.errors import InputError
from kmlbench.executables.bundle import ROOT, bundled, write_archive
from kmlbench.hosts.base import Booted
from kmlbench.hosts.ssh import SshHost
from kmlbench.model import Boot, Kernel, Prefix
from kmlbench.provision.outfit import Outfit, fitted_out
from kmlbench.run.trial import MEASURE

pytestmark = pytest.mark.guest

REPORT = "/run/test-outfit.json"
BOOT = Boot(index=0, block=0, twin=0, kernel=Kernel.KML, groups=())


def programs(directory: Path) -> dict[str, list[str]]:
    """A command of each kind; all print the same."""
    script = directory / "script"
    script.write_text("#!/usr/bin/env bash\necho works\n")
    script.chmod(0o755)
    made = {
        "glibc": compiled(directory / "glibc"),
        "static": compiled(directory / "static", "-static"),
        "static-pie": compiled(directory / "static-pie", "-static-pie"),
        "musl": compiled(directory / "musl", compiler="musl-gcc", source=SAYS),
    }
    of_guest = ["guest:basename", "/usr/share/works"]
    return {
        **{name: [str(path), "works"] for name, path in made.items()},
        "script": [str(script)],
        "guest": of_guest,
    }


@contextmanager
def fitted(guest: SshHost, outfit: Outfit, directory: Path) -> Iterator[Booted]:
    @contextmanager
    def machines(boot: Boot, directory: Path) -> Iterator[Booted]:
        del boot, directory
        yield Booted(host=guest, facts={}, image="image")

    with fitted_out(machines, outfit)(BOOT, directory) as booted:
        yield booted


def test_programs_of_every_kind_run_in_kernel_mode_and_are_gone_afterwards(
    kml_guest: SshHost, tmp_path: Path
) -> None:
    bundles = {name: bundled(argv, name) for name, argv in programs(tmp_path).items()}
    write_archive([each for each in bundles.values() if each.here], tmp_path / "programs.tar")
    copied = {file: copy for each in bundles.values() for file, copy in each.copied.items()}
    outfit = Outfit(root=ROOT, archive=tmp_path / "programs.tar", copied=copied)
    with fitted(kml_guest, outfit, tmp_path) as booted:
        assert booted.image != "image"
        for name, each in bundles.items():
            for prefix in Prefix:
                argv = [word.replace("{prefix}", prefix) for word in each.argv]
                assert check(kml_guest, MEASURE, "--report", REPORT, "--", *argv) == "works\n", name
                client = json.loads(check(kml_guest, "cat", REPORT))["client"]
                assert client["kernel_mode"] is (prefix is Prefix.TRUSTED), (name, prefix)
    left = check(kml_guest, "sh", "-c", f"ls -d /usr/{ROOT} /trusted/{ROOT} /run/*.tar || :")
    assert left == ""


def test_a_program_that_the_guest_lacks_is_refused(kml_guest: SshHost, tmp_path: Path) -> None:
    with (
        pytest.raises(InputError, match="kml has no program /usr/bin/no-such-program"),
        fitted(kml_guest, Outfit(root=ROOT, copied={"bin/no-such-program": f"{ROOT}/x"}), tmp_path),
    ):
        pass


def test_a_script_of_the_guest_is_refused(kml_guest: SshHost, tmp_path: Path) -> None:
    with (
        pytest.raises(InputError, match="/usr/bin/ldd of kml is a script"),
        fitted(kml_guest, Outfit(root=ROOT, copied={"bin/ldd": f"{ROOT}/x"}), tmp_path),
    ):
        pass
