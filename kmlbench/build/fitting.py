# SPDX-License-Identifier: MIT
"""Whether a pack has what this checkout would build on this machine, and what differs if not."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from kmlbench.build import bases, checksums, image, kernel
from kmlbench.build.cache import Cache, content_key, hash_digests
from kmlbench.build.pack import BZIMAGE, Entry, Kind, Manifest
from kmlbench.errors import InputError
from kmlbench.model import Kernel, Server

PACKAGES = "packages"

# Parts of a key that come from what is installed on a machine, as they read; the others come from a checkout.
INSTALLED = {"source": "the source", "compiler": "the compiler", "linker": "the linker"}

IN_CHECKOUT = {
    "configuration": "its configuration (kernel/common/configs, local.config)",
    "patches": "its patches (kernel/*/series, kernel/*/patches)",
    "recipe": "the recipe of its build",
    "suite": "Debian's suite",
    "packages": "the list of packages (guest/*/packages.txt)",
    "manifest": "the versions of Debian's packages in it",
    "files": "guest/files",
    "trusted": "what is copied to /trusted (guest/*/trusted.txt)",
    "workloads": "workloads/",
    "marks": "instrument/mark.c",
    "options": "the options of the compiler",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Difference:
    """A part of the key of an entry, and its values in the pack and here; empty where there is none."""

    label: str
    part: str
    packed: str
    here: str

    def __str__(self) -> str:
        if self.part in INSTALLED:
            values = f"{self.here or 'unknown'} here, and was {self.packed or 'unknown'} where it was built"
            return f"{self.label}: {INSTALLED[self.part]} is {values}"
        return f"{self.label}: {IN_CHECKOUT.get(self.part, self.part)} differs from this checkout's"


def require_fitting(path: Path, manifest: Manifest, entries: tuple[Entry, ...]) -> None:
    """Raises InputError with everything in `entries` that campaigns of this checkout would not use.

    Raises MachineError without a compiler or the source of the kernels.
    """
    different = [each for entry in entries for each in _differences(entry, manifest)]
    if different:
        raise InputError(*(f"{path}: {each}" for each in different), remedy=_remedy(manifest, different))
    recorded = checksums.read()
    for entry in entries:
        if entry.kind is Kind.KERNEL:
            _require_recorded(f"{path}: {manifest.label(entry)}", entry, recorded)


def require_packages(path: Path, manifest: Manifest, entries: tuple[Entry, ...], *, cache: Cache) -> None:
    """Raises InputError if the cache has Debian packages of other versions, on which its images are made."""
    for entry in entries:
        if other_packages(entry, cache=cache):
            raise InputError(
                f"{path}: {manifest.label(entry)}: other versions than those in {cache.root / entry.name}",
                remedy="`kmlbench kernel unpack --replace` replaces those in the cache; images of this "
                "machine are then made from the packages of the pack",
            )


def other_packages(entry: Entry, *, cache: Cache) -> bool:
    """Whether these are Debian's packages, and the cache has others under the same key."""
    own = cache.root / entry.name / PACKAGES
    return (
        entry.kind is Kind.DEBIAN and own.exists() and checksums.sha256(own) != entry.member(PACKAGES).sha256
    )


def _differences(entry: Entry, manifest: Manifest) -> Iterator[_Difference]:
    here = _own_key(entry, manifest)
    for part in sorted(entry.key.keys() | here.keys()):
        if entry.key.get(part) != here.get(part):
            packed, own = entry.key.get(part, ""), here.get(part, "")
            yield _Difference(label=manifest.label(entry), part=part, packed=packed, here=own)


def _own_key(entry: Entry, manifest: Manifest) -> Mapping[str, str]:
    """The key that this checkout would give to this entry; empty if it builds nothing of the kind."""
    match entry.kind:
        case Kind.KERNEL if entry.key.get("kernel") in set(Kernel):
            base = bases.of_source(entry.key.get("source", "")) or bases.DEFAULT
            return kernel.content(Kernel(entry.key["kernel"]), base)
        case Kind.DEBIAN if entry.key.get("server") in set(Server):
            return image.debian_content(Server(entry.key["server"]))
        case Kind.IMAGE:
            below = manifest.packages_of(entry)
            if below is not None and below.key.get("server") in set(Server):
                return _own_image(below)
    return {}


def _own_image(debian: Entry) -> Mapping[str, str]:
    """The key of an image that this checkout would make from these packages."""
    name = content_key(debian.key)
    packages = hash_digests([(Path(name, PACKAGES), debian.member(PACKAGES).sha256)])
    return {"debian": name, "manifest": packages, **image.additions(Server(debian.key["server"]))}


def _require_recorded(name: str, entry: Entry, recorded: tuple[checksums.Build, ...]) -> None:
    packed = entry.member(BZIMAGE).sha256
    if checksums.verdict(entry.key, packed, recorded=recorded) is checksums.Verdict.DIFFERENT:
        raise InputError(
            f"{name}: its SHA-256 is {packed}, and a build of this source by this compiler "
            f"gives another ({checksums.RECORD})",
            remedy="ask who packed it how it was built, or build here: `kmlbench kernel build`",
        )


def _remedy(manifest: Manifest, different: list[_Difference]) -> str:
    origin = manifest.origin
    if any(each.part not in INSTALLED for each in different):
        return (
            f"use the program that packed it, {origin.version} (commit {origin.commit}), or pack again "
            "with this one; with `--kernels-only` the image may differ"
        )
    return "install the same versions of these packages as there, or build here: `kmlbench kernel build`"
