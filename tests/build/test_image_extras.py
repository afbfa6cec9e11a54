# SPDX-License-Identifier: MIT
"""What workload files add to an image, and that nothing is built anew for what is there already."""

from __future__ import annotations

from pathlib import Path

from kmlbench.build import image
from kmlbench.build.image import NOTHING, Extras
from kmlbench.model import Server


def recorded(directory: Path) -> Path:
    """A tree of Debian's as far as its content key goes."""
    (directory / "packages").write_text("bash 5.3\n")
    return directory


def test_what_an_image_has_anyway_makes_no_other_image(tmp_path: Path) -> None:
    known = Extras(packages=("bash", "sysbench"), trusted=("bin/bash", "lib/kmlbench/getpid"))
    debian = recorded(tmp_path)
    for extras in (NOTHING, known):
        assert image.debian_content(Server.MYSQL, extras) == image.debian_content(Server.MYSQL)
        assert image.content(Server.MYSQL, debian, extras) == image.content(Server.MYSQL, debian)


def test_packages_and_copies_below_trusted_are_part_of_the_keys(tmp_path: Path) -> None:
    more = Extras(packages=("redis-server", "bash"), trusted=("bin/redis-server",))
    assert image.packages_of(Server.MYSQL, more) == (*image.packages_of(Server.MYSQL), "redis-server")
    assert image.trusted_of(Server.MYSQL, more) == (*image.trusted_of(Server.MYSQL), "bin/redis-server")
    assert image.debian_content(Server.MYSQL, more) != image.debian_content(Server.MYSQL)
    debian = recorded(tmp_path)
    assert image.content(Server.MYSQL, debian, more) != image.content(Server.MYSQL, debian)
