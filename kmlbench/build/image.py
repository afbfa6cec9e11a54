# SPDX-License-Identifier: MIT
"""The guest image: a Debian tree with a database server, the project's programs, and /trusted.

Two levels of the cache: "debian" is what the mirror had on the day it was built, and stays until
`refresh`; "image" is that tree with the project's files, and follows every change of the recipe.
"""

from __future__ import annotations

import shutil
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from kmlbench import process
from kmlbench.build.architecture import require_architecture
from kmlbench.build.artifacts import ImageArtifact
from kmlbench.build.cache import Cache, content_key, fresh_log, hash_files
from kmlbench.build.mirror import KEYRING, debian_mirror, require_keyring
from kmlbench.build.namespaces import private_prefix
from kmlbench.errors import MachineError
from kmlbench.model import Server
from kmlbench.paths import INSTRUMENT, PROJECT, WORKLOADS
from kmlbench.process import build_environment
from kmlbench.progress import Progress

RECIPE = PROJECT / "guest"

SUITE = "sid"

SCRIPTS = ("*.lua", "*.py", "*.toml")

COMPILE = ("gcc", "-O2", "-pthread", "-Wall", "-Wextra", "-D_GNU_SOURCE")

# Libraries for the clients, by their sources in instrument/: marks, and random numbers from a seed.
LIBRARIES = {"mark.c": ("libkmlbench-mark.so", "-nostdlib"), "seed.c": ("libkmlbench-seed.so",)}

BOOTSTRAP_TIMEOUT_S = 1800.0

ASSEMBLE_TIMEOUT_S = 600.0

NEED_GIB = 2.0

NEED_MEMORY_GIB = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Extras:
    """What an image has besides: Debian packages, and copies below /trusted of what is below /usr."""

    packages: tuple[str, ...] = ()
    trusted: tuple[str, ...] = ()


NOTHING = Extras()


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What an image is made of: its packages, and the patterns of what is copied below /trusted."""

    server: Server
    packages: tuple[str, ...]
    trusted: tuple[str, ...]


def ensure(
    server: Server,
    *,
    cache: Cache,
    progress: Progress,
    mirror: str | None = None,
    extras: Extras = NOTHING,
) -> ImageArtifact:
    """The image with `server` and `extras`, built if it is not in the cache.

    `mirror` is only used to fetch Debian's packages; by default, that of the machine's apt is used.
    Raises BuildError with the end of the log, MachineError if this machine lacks something.
    """
    require_buildable(server, cache=cache, extras=extras)
    recipe = Recipe(server=server, packages=packages_of(server, extras), trusted=trusted_of(server, extras))
    debian = cache.ensure(
        "debian",
        debian_content(server, extras),
        lambda directory: _bootstrap(recipe, directory, cache=cache, progress=progress, mirror=mirror),
        need_gib=NEED_GIB,
    )
    key = content(server, debian, extras)
    entry = cache.ensure(
        "image",
        key,
        lambda directory: _assemble(recipe, debian, directory, cache=cache, progress=progress),
        need_gib=NEED_GIB,
    )
    return _artifact(server, key, entry)


def require_buildable(server: Server, *, cache: Cache, extras: Extras = NOTHING) -> None:
    """Raises MachineError if the image is not in the cache and this machine cannot build it. Quick."""
    require_architecture()
    if built(server, cache=cache, extras=extras) is not None:
        return
    require_memory()
    private_prefix()
    if not cache.path("debian", debian_content(server, extras)).exists():
        require_keyring()
        debian_mirror()


def built(server: Server, *, cache: Cache, extras: Extras = NOTHING) -> ImageArtifact | None:
    """The image if it is in the cache; builds nothing."""
    debian = cache.path("debian", debian_content(server, extras))
    key = content(server, debian, extras) if debian.exists() else {}
    entry = cache.path("image", key)
    return _artifact(server, key, entry) if entry.exists() else None


def _artifact(server: Server, key: Mapping[str, str], entry: Path) -> ImageArtifact:
    return ImageArtifact(
        server=server,
        root=entry / "root.img",
        packages=entry / "packages",
        host_key=(entry / "host_key.pub").read_text().strip(),
        client_key=entry / "client_key",
        key=content_key(key),
    )


def refresh(server: Server, *, cache: Cache) -> None:
    """Drop Debian's packages from the cache, so that the next `ensure` fetches today's."""
    cache.forget("debian", debian_content(server))


def listed(name: str, server: Server) -> tuple[str, ...]:
    """The lines of guest/common/NAME and guest/SERVER/NAME without comments and empty lines."""
    files = (RECIPE / "common" / name, RECIPE / server / name)
    lines = (line.strip() for file in files for line in file.read_text().splitlines())
    return tuple(line for line in lines if line and not line.startswith("#"))


def packages_of(server: Server, extras: Extras = NOTHING) -> tuple[str, ...]:
    """The Debian packages of an image; without extras, those of its recipe."""
    listed_packages = listed("packages.txt", server)
    return (*listed_packages, *sorted(set(extras.packages) - set(listed_packages)))


def trusted_of(server: Server, extras: Extras = NOTHING) -> tuple[str, ...]:
    """What is copied below /trusted, as patterns relative to /usr; without extras, that of its recipe."""
    patterns = listed("trusted.txt", server)
    new = {path for path in extras.trusted if not any(fnmatch(path, pattern) for pattern in patterns)}
    return (*patterns, *sorted(new))


def initialiser(server: Server) -> str:
    """The shell script that creates the pristine data of `server` in the directory $1."""
    return (RECIPE / server / "initialise").read_text()


def debian_content(server: Server, extras: Extras = NOTHING) -> Mapping[str, str]:
    """What Debian's tree below the image depends on, for its content key, other than the day."""
    return {
        "server": server,
        "suite": SUITE,
        "packages": " ".join(packages_of(server, extras)),
        "recipe": hash_files([RECIPE / "bootstrap"]),
    }


def content(server: Server, debian: Path, extras: Extras = NOTHING) -> Mapping[str, str]:
    """What the image on this tree of Debian's depends on, for its content key. Raises MachineError."""
    key = {"debian": debian.name, "manifest": hash_files([debian / "packages"])}
    return {**key, **additions(server, extras)}


def additions(server: Server, extras: Extras = NOTHING) -> Mapping[str, str]:
    """What is added to Debian's tree, as `content` has it. Raises MachineError."""
    return {
        "recipe": hash_files([RECIPE / "assemble", RECIPE / server / "initialise"]),
        "files": hash_files(path for path in (RECIPE / "files").rglob("*") if path.is_file()),
        "trusted": " ".join(trusted_of(server, extras)),
        "workloads": hash_files(path for pattern in ("*.c", "*.h", *SCRIPTS) for path in _sources(pattern)),
        "libraries": hash_files([INSTRUMENT / "mark.h", *(INSTRUMENT / source for source in LIBRARIES)]),
        "compiler": process.check(
            (COMPILE[0], "--version"), timeout_s=60, env=build_environment()
        ).stdout.splitlines()[0],
        "options": " ".join(COMPILE),
    }


def _bootstrap(
    recipe: Recipe, directory: Path, *, cache: Cache, progress: Progress, mirror: str | None
) -> None:
    progress.stage(f"fetching Debian packages for the {recipe.server} guest")
    require_memory()
    require_keyring()
    source = mirror or debian_mirror()
    arguments = (str(directory), source, SUITE, str(KEYRING), ",".join(recipe.packages))
    process.check(
        (*private_prefix(), str(RECIPE / "bootstrap"), *arguments),
        timeout_s=BOOTSTRAP_TIMEOUT_S,
        env=build_environment(),
        log=fresh_log(cache, f"debian-{recipe.server}"),
    )


def _assemble(recipe: Recipe, debian: Path, directory: Path, *, cache: Cache, progress: Progress) -> None:
    progress.stage(f"assembling the {recipe.server} guest image")
    require_memory()
    stage = directory / "stage"
    shutil.copytree(RECIPE / "files", stage)
    add_programs(stage)
    set_modes(stage)
    add_keys(stage, directory, "kmlbench-guest")
    trusted = directory / "trusted.txt"
    trusted.write_text("".join(f"{line}\n" for line in recipe.trusted))
    image, tar = directory / "root.img", debian / "root.tar"
    paths = (RECIPE / "assemble", image, tar, stage, trusted, RECIPE / recipe.server / "initialise")
    process.check(
        (*private_prefix(), *map(str, paths)),
        timeout_s=ASSEMBLE_TIMEOUT_S,
        env=build_environment(),
        log=fresh_log(cache, f"image-{recipe.server}"),
    )
    shutil.copy(debian / "packages", directory / "packages")
    shutil.rmtree(stage)


def add_programs(stage: Path) -> None:
    """The project's own programs, compiled by this machine's compiler, its scripts and their data."""
    require_architecture()
    programs = stage / "usr/lib/kmlbench"
    programs.mkdir(parents=True, exist_ok=True)
    for source in _sources("*.c"):
        argv = (*COMPILE, "-o", str(programs / source.stem), str(source))
        process.check(argv, timeout_s=120, env=build_environment())
    for name, (library, *options) in LIBRARIES.items():
        made = ("-fPIC", "-shared", *options, "-o", str(programs / library), str(INSTRUMENT / name))
        process.check((*COMPILE, *made), timeout_s=120, env=build_environment())
    for script in (path for pattern in SCRIPTS for path in _sources(pattern)):
        directory = stage / "usr/share/kmlbench" / script.parent.name
        directory.mkdir(parents=True, exist_ok=True)
        shutil.copy(script, directory)


def set_modes(stage: Path) -> None:
    """Give a tree the permissions of a distribution's, whatever umask it was checked out and copied under."""
    for path in (stage, *stage.rglob("*")):
        runs = path.is_dir() or path.stat().st_mode & stat.S_IXUSR
        path.chmod(0o755 if runs else 0o644)


def add_keys(stage: Path, directory: Path, name: str) -> None:
    """A host key called `name` and a client key of this image's own; the private client key stays outside."""
    host_key = stage / "etc/ssh/ssh_host_ed25519_key"
    client_key = directory / "client_key"
    for path, comment in ((host_key, name), (client_key, "kmlbench")):
        argv = ("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path))
        process.check(argv, timeout_s=60, env=build_environment())
    authorized = stage / "root/.ssh/authorized_keys"
    for private in (authorized.parent.parent, authorized.parent):
        private.mkdir(mode=0o700)
    shutil.move(client_key.with_name("client_key.pub"), authorized)
    kind, key, _ = host_key.with_name(host_key.name + ".pub").read_text().split()
    (directory / "host_key.pub").write_text(f"{kind} {key}\n")


def require_memory(meminfo: Path = Path("/proc/meminfo")) -> None:
    """The trees are assembled in memory. Raises MachineError if there is too little of it."""
    fields = dict(line.split(":") for line in meminfo.read_text().splitlines())
    available_gib = int(fields["MemAvailable"].split()[0]) / (1 << 20)
    if available_gib < NEED_MEMORY_GIB:
        raise MachineError(
            f"{available_gib:.1f} GiB of memory are free, {NEED_MEMORY_GIB:.1f} GiB are needed for the image",
            remedy="close other programs, or add swap",
        )


def _sources(pattern: str) -> list[Path]:
    return sorted(WORKLOADS.glob(f"*/{pattern}"))
