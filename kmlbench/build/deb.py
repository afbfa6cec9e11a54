# SPDX-License-Identifier: MIT
"""Debian packages of the two kernels for real machines, from the user's configuration."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kmlbench import kconfig, process
from kmlbench.build import deb_config as configuration
from kmlbench.build import kernel as builder
from kmlbench.build import source
from kmlbench.build.architecture import require_architecture
from kmlbench.build.bases import Base
from kmlbench.build.cache import Cache, fresh_log
from kmlbench.errors import BuildError, MachineError
from kmlbench.model import Kernel
from kmlbench.progress import Progress

LEAN = "lean"

CHANGES = "changes"

IMAGE = "linux-image-"

# Debian's whole configuration takes hours on a small machine.
BUILD_TIMEOUT_S = 24 * 3600.0

STEP_TIMEOUT_S = 600.0

# The build dependencies of bindeb-pkg and the source, as Debian packages.
NEEDED = (
    *("bc", "binutils", "bison", "cpio", "debhelper", "dpkg-dev", "flex", "gcc", "kmod", "libelf-dev"),
    *("libssl-dev", "make", "openssl", "patch", "rsync", "xz-utils"),
)

NEEDED_FOR = {
    "CONFIG_DEBUG_INFO_BTF": "pahole",
    "CONFIG_KERNEL_ZSTD": "zstd",
    "CONFIG_KERNEL_LZ4": "lz4",
    "CONFIG_KERNEL_LZO": "lzop",
    "CONFIG_MODULE_COMPRESS_ZSTD": "zstd",
}

# The objects of a configuration with all of a distribution's modules, with and without DWARF.
LEAN_GIB, MODULES_GIB, DEBUG_GIB = 4.0, 16.0, 40.0

ENVIRONMENT = {
    **builder.REPRODUCIBLE,
    "KDEB_SOURCENAME": "linux-kmlbench",
    "KDEB_CHANGELOG_DIST": "unstable",
    "DEBFULLNAME": "kmlbench",
    "DEBEMAIL": "kmlbench@localhost",
    "DEB_BUILD_OPTIONS": "terse",
    "DEB_BUILD_PROFILES": "pkg.linux-kmlbench.nokerneldbg",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The requested configuration of a base: a full one, or, if `lean`, the project's fragment."""

    base: Base
    text: str
    lean: bool = False

    @property
    def options(self) -> dict[str, str]:
        """The options that the text names."""
        return kconfig.parse_options(self.text)


@dataclass(frozen=True, slots=True, kw_only=True)
class PackageArtifact:
    """The packages of one kernel in the cache.

    `release` is what `uname -r` will say, `files` the .deb files (the image first), `config` the
    configuration it was built with, `changes` a text that lists the options that differ from the user's
    configuration, one per line.
    """

    kernel: Kernel
    release: str
    files: tuple[Path, ...]
    config: Path
    changes: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tree:
    """The directories of one build, and its log, which outlives a failed build."""

    source: Path
    objects: Path
    log: Path


def request(name: str, base: Base) -> Request:
    """What `kmlbench kernel deb NAME` means: a file, or the word "lean". Raises InputError."""
    if name == LEAN:
        return Request(base=base, text=base.fragment(Kernel.STOCK), lean=True)
    return Request(base=base, text=configuration.read_configuration(Path(name)))


def require_tools(wanted: Request) -> None:
    """Raises MachineError naming every Debian package that the build needs and this machine lacks."""
    require_architecture()
    extra = {package for option, package in NEEDED_FOR.items() if wanted.options.get(option) == "y"}
    if missing := _missing(sorted({*NEEDED, *extra})):
        words = " ".join(missing)
        raise MachineError(
            f"building packages needs Debian packages that are not installed: {words}",
            remedy=f"run `apt-get install {words}` as root",
        )


def ensure(kernel: Kernel, wanted: Request, *, cache: Cache, progress: Progress) -> PackageArtifact:
    """The packages of one kernel from the cache, built first if anything that goes into them has changed.

    Raises BuildError if the configuration is impossible or the build fails, MachineError if this
    machine lacks something.
    """

    def build(directory: Path) -> None:
        log = fresh_log(cache, f"deb-{kernel}")
        archive = source.ensure(wanted.base, cache=cache, progress=progress)
        tree = _Tree(source=directory / "source", objects=directory / "objects", log=log)
        progress.stage(f"packages of kernel {kernel}: unpacking and configuring")
        source.unpack(archive, directory)
        _prepare(kernel, wanted, tree, progress=progress)
        stock = cache.path("deb", content(Kernel.STOCK, wanted)) / builder.LOG
        progress.stage(f"packages of kernel {kernel}: compiling (log: {log})", total=_lines(stock))
        with builder.counting_lines(log, progress):
            _make(tree, "bindeb-pkg", jobs=os.cpu_count() or 1, variables=_version(wanted.base))
        _keep(tree, directory)

    entry = cache.ensure("deb", content(kernel, wanted), build, need_gib=need_gib(wanted))
    return PackageArtifact(
        kernel=kernel,
        release=(entry / "release").read_text().strip(),
        files=tuple(sorted(entry.glob("*.deb"), key=lambda file: not file.name.startswith(IMAGE))),
        config=entry / "config",
        changes=entry / CHANGES,
    )


def content(kernel: Kernel, wanted: Request) -> dict[str, str]:
    """What the packages of this kernel depend on, for their content key."""
    set_over = configuration.fragment(configuration.settings(wanted.base, kernel, wanted.options))
    given = f"{wanted.lean}\n{wanted.text}\n{set_over}"
    return {
        **builder.content(kernel, wanted.base),
        "configuration": hashlib.sha256(given.encode()).hexdigest(),
        "recipe": " ".join(f"{name}={value}" for name, value in ENVIRONMENT.items()),
    }


def need_gib(wanted: Request) -> float:
    """How much free disk a build of one of the two kernels needs, in GiB."""
    if wanted.options.get("CONFIG_MODULES") != "y":
        return LEAN_GIB
    return DEBUG_GIB if wanted.options.get("CONFIG_DEBUG_INFO") == "y" else MODULES_GIB


def copy_packages(artifact: PackageArtifact, output: Path) -> tuple[Path, ...]:
    """Copy the packages to a directory, which is created if missing. Raises MachineError."""
    try:
        output.mkdir(parents=True, exist_ok=True)
        changes = output / f"changes-{artifact.release}.txt"
        shutil.copyfile(artifact.changes, changes)
        return (*(Path(shutil.copy(file, output)) for file in artifact.files), changes)
    except OSError as error:
        raise MachineError(
            f"the packages could not be copied to {output}: {error.strerror}",
            remedy="name another directory with --output; the packages stay in the cache",
        ) from error


def _missing(packages: list[str]) -> list[str]:
    argv = ("dpkg-query", "--show", "--showformat=${db:Status-Status} ${Package}\n", *packages)
    statuses = process.run(argv, timeout_s=STEP_TIMEOUT_S).stdout.split("\n")
    return [package for package in packages if f"installed {package}" not in statuses]


def _prepare(kernel: Kernel, wanted: Request, tree: _Tree, *, progress: Progress) -> None:
    """The source, patched and configured; reports the changes to the user's configuration."""
    tree.objects.mkdir()
    if kernel is Kernel.KML:
        builder.apply(wanted.base.patches(), tree.source, name=source.version(wanted.base))
    changes = _configure(kernel, wanted, tree)
    (tree.objects.parent / CHANGES).write_text("".join(f"{change}\n" for change in changes))
    for line in configuration.summary(changes):
        progress.note(f"{kernel}: {line}")


def _lines(log: Path) -> int | None:
    """How long the log of the other kernel of the pair is, which compiles the same files."""
    return log.read_text(errors="replace").count("\n") if log.exists() else None


def _configure(kernel: Kernel, wanted: Request, tree: _Tree) -> tuple[configuration.Change, ...]:
    """Configure the tree and check it; the changes to the user's configuration."""
    adopted = _adopt(wanted, tree, {})
    overlay = configuration.settings(wanted.base, kernel, adopted)
    built = _adopt(wanted, tree, overlay)
    if kernel is Kernel.KML:
        stock = _adopt(wanted, tree, configuration.settings(wanted.base, Kernel.STOCK, adopted))
        kconfig.require_same_but_kml(configuration.fragment(stock), configuration.fragment(built))
        _adopt(wanted, tree, overlay)
    configuration.require_settings(overlay, built)
    return configuration.configuration_changes(wanted.options, adopted, built, overlay)


def _adopt(wanted: Request, tree: _Tree, overlay: Mapping[str, str]) -> dict[str, str]:
    """The full configuration that this source makes from the user's, with `overlay` on top."""
    # Of two lines for one option, Kconfig takes the last.
    text = f"{wanted.text}\n{configuration.fragment(overlay)}"
    if wanted.lean:
        given = tree.objects / "wanted.config"
        given.write_text(text)
        _make(tree, builder.CONFIGURATION, jobs=1, variables={"KCONFIG_ALLCONFIG": str(given)})
    else:
        (tree.objects / ".config").write_text(text)
        _make(tree, "olddefconfig", jobs=1)
    return kconfig.parse_options((tree.objects / ".config").read_text())


def _version(base: Base) -> dict[str, str]:
    """The version of the packages: the upstream version of Debian's source."""
    upstream = source.version(base).split()[1].partition("-")[0]
    return {"KDEB_PKGVERSION": f"{upstream}-1"}


def _make(tree: _Tree, target: str, *, jobs: int, variables: Mapping[str, str] | None = None) -> None:
    argv = ("make", f"--directory={tree.source}", f"O={tree.objects}", f"--jobs={jobs}", target)
    environment = process.build_environment({**ENVIRONMENT, **(variables or {})})
    process.check(argv, timeout_s=BUILD_TIMEOUT_S, env=environment, log=tree.log)


def _keep(tree: _Tree, directory: Path) -> None:
    """Keep the packages and their configuration; linux-libc-dev would replace the distribution's."""
    (tree.objects / ".config").rename(directory / "config")
    (tree.objects / "include/config/kernel.release").rename(directory / "release")
    shutil.copyfile(tree.log, directory / builder.LOG)
    for file in directory.iterdir():
        if file.is_dir():
            shutil.rmtree(file)
        elif file.suffix in {".buildinfo", ".changes"} or file.name.startswith("linux-libc-dev"):
            file.unlink()
    if not list(directory.glob(f"{IMAGE}*.deb")):
        raise BuildError("the build produced no linux-image package", remedy=f"read {tree.log}")
