# SPDX-License-Identifier: MIT
"""The versions of Linux that the patches are kept for, and what kernel/ has for each."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from kmlbench import kconfig
from kmlbench.model import Kernel
from kmlbench.paths import KERNEL

COMMON = KERNEL / "common"

CONFIGS = COMMON / "configs"

# Options of one version alone; Kconfig takes the last of two lines for one option.
LOCAL = "local.config"

REQUIRED = "required.config"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Debian's package of a source. One that is fetched has a version, and the suite that has it.

    Without these, it is the package that is installed on this machine, in whatever version.
    """

    package: str
    version: str = ""
    suite: str = ""


class Base(StrEnum):
    """A version of Linux: kernel/VERSION has what is its own, kernel/common what all have."""

    LINUX_6_12 = "6.12"
    LINUX_7_2 = "7.2"

    @property
    def directory(self) -> Path:
        """What is this version's own."""
        return KERNEL / self

    @property
    def origin(self) -> Origin:
        """Where its source comes from: the words of the file `base`."""
        names = ("package", "version", "suite")
        return Origin(**dict(zip(names, (self.directory / "base").read_text().split(), strict=False)))

    def patches(self) -> list[Path]:
        """The patches in the order of its series; one that is not its own is common."""
        places = [self.directory / "patches", COMMON / "patches"]
        names = (self.directory / "series").read_text().split()
        return [next(place for place in places if (place / name).exists()) / name for name in names]

    def fragment(self, kernel: Kernel) -> str:
        """The options requested for this kernel, in the syntax of a kernel configuration."""
        local = self.directory / LOCAL
        files = [CONFIGS / "common.config", CONFIGS / "debian-price.config", CONFIGS / f"{kernel}.config"]
        if local.exists():
            files.insert(2, local)
        return "".join(file.read_text() for file in files)

    def required(self) -> dict[str, str]:
        """What KERNEL_MODE_LINUX depends on: required.config in common and, where there is one, here."""
        files = [place / REQUIRED for place in (CONFIGS, self.directory)]
        return kconfig.parse_options("".join(file.read_text() for file in files if file.exists()))


DEFAULT = Base.LINUX_6_12


def of_source(source: str) -> Base | None:
    """The version whose package a source is, by the source's name as in the key of a kernel."""
    package = source.partition(" ")[0]
    return next((base for base in Base if base.origin.package == package), None)
