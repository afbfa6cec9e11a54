# SPDX-License-Identifier: MIT
"""The sources of the kernels: Debian's packages, installed on this machine or fetched from its mirror."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from kmlbench import process
from kmlbench.build.bases import Base, Origin
from kmlbench.build.cache import Cache, fresh_log
from kmlbench.build.mirror import KEYRING, debian_mirror, require_keyring
from kmlbench.errors import MachineError
from kmlbench.paths import page, setup_remedy
from kmlbench.process import build_environment
from kmlbench.progress import Progress

INSTALLED = Path("/usr/src")

STEP_TIMEOUT_S = 600.0

FETCH_TIMEOUT_S = 1800.0

NEED_GIB = 1.0

# What apt keeps here is of this fetch alone; settings of the machine, such as a proxy, hold.
APT_DIRECTORIES = ("etc/sources.list.d", "etc/preferences.d", "lists/partial", "cache/archives/partial")

# The Release file of a frozen mirror may be past its date; its signature is checked all the same.
APT_OPTIONS = (
    "Acquire::Check-Valid-Until=false",
    "Acquire::Languages=none",
    "APT::Architecture=amd64",
    "APT::Architectures=amd64",
    "APT::Sandbox::User=",
    "APT::Update::Error-Mode=any",
)


def version(base: Base) -> str:
    """The source's package with its version. Raises MachineError if it has to be installed and is not."""
    origin = base.origin
    if origin.suite:
        return f"{origin.package} {origin.version}"
    result = process.run(
        ("dpkg-query", "--show", "--showformat=${Package} ${Version}", origin.package),
        timeout_s=STEP_TIMEOUT_S,
    )
    if result.returncode != 0 or not result.stdout.strip() or not _archive(INSTALLED, origin).exists():
        raise MachineError(f"Debian's package {origin.package} is not installed", remedy=setup_remedy())
    return result.stdout.strip()


def ensure(base: Base, *, cache: Cache, progress: Progress, mirror: str | None = None) -> Path:
    """The archive of the source; fetched from Debian's mirror if it is not installed and not in the cache.

    `mirror` replaces that of the machine's apt. Raises MachineError if the mirror does not answer or lacks
    this version.
    """
    origin = base.origin
    if not origin.suite:
        return _archive(INSTALLED, origin)
    return _archive(fetched(base, origin, cache=cache, progress=progress, mirror=mirror), origin)


def fetched(
    base: Base, origin: Origin, *, cache: Cache, progress: Progress, mirror: str | None = None
) -> Path:
    """What a package of this version of Linux has in /usr/src, from the cache or the mirror."""
    return cache.ensure(
        "source",
        {"package": origin.package, "version": origin.version},
        lambda directory: _fetch(base, origin, directory, cache=cache, progress=progress, mirror=mirror),
        need_gib=NEED_GIB,
    )


def unpack(archive: Path, directory: Path) -> Path:
    """The source, unpacked as `directory`/source."""
    argv = ("tar", "--extract", "--file", str(archive), "--directory", str(directory))
    process.check(argv, timeout_s=STEP_TIMEOUT_S, env=build_environment())
    return (directory / archive.name.removesuffix(".tar.xz")).rename(directory / "source")


def _archive(directory: Path, origin: Origin) -> Path:
    return directory / f"{origin.package}.tar.xz"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Apt:
    """Apt with indices of its own, of one suite of one mirror; `another` is how one names another mirror."""

    another: str
    root: Path
    mirror: str
    suite: str
    log: Path

    def prepare(self) -> None:
        """Fetch the indices. Raises MachineError with what apt complains of."""
        for name in APT_DIRECTORIES:
            (self.root / name).mkdir(parents=True)
        line = f"deb [signed-by={KEYRING}] {self.mirror} {self.suite} main\n"
        (self.root / "etc/sources.list").write_text(line)
        self._run("apt-get", "update", wanted=f"the index of {self.suite}")

    def versions(self, package: str) -> tuple[str, ...]:
        """The versions of a package that the suite has, the newest first."""
        argv = ("apt-cache", *self._options(), "madison", package)
        listing = process.check(argv, timeout_s=STEP_TIMEOUT_S, env=build_environment()).stdout
        return tuple(line.split("|")[1].strip() for line in listing.splitlines())

    def download(self, package: str, version: str) -> Path:
        """The package's file, which agrees with the signed index. Raises MachineError as `prepare`."""
        self._run("apt-get", "download", f"{package}={version}", wanted=f"{package} {version}")
        return next(self.root.glob(f"{package}_*.deb"))

    def _run(self, program: str, *words: str, wanted: str) -> None:
        argv = (program, *self._options(), *words)
        result = process.run(
            argv, timeout_s=FETCH_TIMEOUT_S, cwd=self.root, env=build_environment(), log=self.log
        )
        if result.returncode != 0:
            raise MachineError(
                f"{self.mirror} does not give {wanted}:\n{process.tail(self.log)}",
                remedy=f"see that the mirror answers, or name another: {self.another} "
                "https://deb.debian.org/debian",
            )

    def _options(self) -> tuple[str, ...]:
        own = {"Dir::Etc": "etc", "Dir::State": "", "Dir::State::lists": "lists", "Dir::Cache": "cache"}
        places = (f"{name}={self.root / place}" for name, place in own.items())
        return tuple(f"--option={option}" for option in (*places, *APT_OPTIONS))


def _fetch(  # noqa: PLR0913 - what `fetched` has, and where to
    base: Base, origin: Origin, directory: Path, *, cache: Cache, progress: Progress, mirror: str | None
) -> None:
    progress.stage(f"fetching {origin.package} {origin.version}")
    require_keyring()
    root = directory / "apt"
    log = fresh_log(cache, f"source-{origin.package}")
    apt = _Apt(
        another=f"kmlbench kernel build --kernel {base} --mirror",
        root=root,
        mirror=mirror or debian_mirror(),
        suite=origin.suite,
        log=log,
    )
    apt.prepare()
    _require_version(base, origin, apt)
    package = apt.download(origin.package, origin.version)
    process.check(
        ("dpkg-deb", "--extract", str(package), str(root / "unpacked")),
        timeout_s=STEP_TIMEOUT_S,
        env=build_environment(),
    )
    for path in (root / "unpacked/usr/src").iterdir():
        path.rename(directory / path.name)
    shutil.rmtree(root)


def _require_version(base: Base, origin: Origin, apt: _Apt) -> None:
    """Raises MachineError if the suite does not have this version."""
    there = apt.versions(origin.package)
    if origin.version in there:
        return
    raise MachineError(
        f"{origin.package} {origin.version}, which the patches are for, is not in {origin.suite} of "
        f"{apt.mirror}; that has {', '.join(there) or 'no version of it'}",
        remedy=f"name a mirror that has it, such as a day of Debian's snapshots: {apt.another} "
        "http://snapshot.debian.org/archive/debian/YYYYMMDDTHHMMSSZ; or carry the patches to another version "
        f"({page('carrying.md')}) and name that in {base.directory / 'base'}",
    )
