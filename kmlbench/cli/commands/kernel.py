# SPDX-License-Identifier: MIT
"""`kmlbench kernel`: build the two kernels, for guests or real machines, list them, carry them elsewhere."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kmlbench import provenance
from kmlbench.build import deb as package
from kmlbench.build import kernel as builder
from kmlbench.build.bases import DEFAULT, Base
from kmlbench.build.cache import default_cache
from kmlbench.cli.parser import JSON, printable
from kmlbench.errors import InputError, MachineError
from kmlbench.model import Kernel
from kmlbench.progress import Progress

if TYPE_CHECKING:
    from kmlbench.build.inventory import BuiltKernel

MIB = 1 << 20

MIRROR = "the Debian mirror of a source that is fetched, instead of the one this machine's apt uses"


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verbs."""
    parser.epilog = "example: kmlbench kernel build"
    verbs = parser.add_subparsers(dest="verb", required=True)
    build = verbs.add_parser("build", help="build the kernels, or find them in the cache")
    build.add_argument(
        "kernels", nargs="*", type=Kernel, metavar="KERNEL", help="stock or kml; both if not given"
    )
    _add_base(build)
    build.add_argument("--mirror", help=MIRROR)
    build.epilog = "example: kmlbench kernel build kml --kernel 7.2"
    build.set_defaults(run=_build)
    _configure_list(verbs)
    _configure_packs(verbs)
    deb = verbs.add_parser("deb", help="build a pair of Debian packages for real machines")
    deb.add_argument(
        "configuration",
        metavar="CONFIG",
        help="a kernel configuration, such as /boot/config-6.12.0-amd64, or `lean` for that of the guests",
    )
    deb.add_argument(
        "--output", type=Path, default=Path(), metavar="DIR", help="where the packages are written (here)"
    )
    _add_base(deb)
    deb.epilog = "example: kmlbench kernel deb /boot/config-6.12.0-amd64 --output packages"
    deb.set_defaults(run=_deb)


def _add_base(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--kernel",
        type=Base,
        choices=list(Base),
        default=DEFAULT,
        dest="base",
        help=f"the version of Linux ({DEFAULT})",
    )


def _configure_list(verbs: Any) -> None:
    listing = verbs.add_parser("list", help="list the kernels that are built, and which a campaign boots")
    listing.add_argument(
        "--checksums", action="store_true", help="print what kernel/checksums.toml would have of them"
    )
    listing.add_argument(JSON, action="store_true", help="print JSON, for programs")
    listing.epilog = "example: kmlbench kernel list"
    listing.set_defaults(run=_list)


def _configure_packs(verbs: Any) -> None:
    pack = verbs.add_parser(
        "pack", help="write what is built for this checkout to a file, for other machines"
    )
    unpack = verbs.add_parser("unpack", help="put what another machine packed into the cache of this one")
    for each, meaning in ((pack, "a new file"), (unpack, "a file that `kmlbench kernel pack` wrote")):
        each.add_argument("file", type=Path, metavar="FILE", help=meaning)
        each.add_argument("--kernels-only", action="store_true", help="without guest images")
    unpack.add_argument(
        "--replace",
        action="store_true",
        help="replace Debian packages of other versions in the cache by those of FILE",
    )
    pack.epilog = "example: kmlbench kernel pack lab.tar.zst"
    unpack.epilog = "example: kmlbench kernel unpack lab.tar.zst"
    pack.set_defaults(run=_pack)
    unpack.set_defaults(run=_unpack)


def _build(arguments: argparse.Namespace, progress: Progress) -> int:
    from kmlbench.build import checksums

    cache = default_cache()
    recorded = checksums.read()
    base = arguments.base
    for kernel in arguments.kernels or list(Kernel):
        artifact = builder.ensure(kernel, base, cache=cache, progress=progress, mirror=arguments.mirror)
        verdict = checksums.verdict(
            builder.content(kernel, base), checksums.sha256(artifact.image), recorded=recorded
        )
        progress.note(f"{artifact.kernel}: Linux {artifact.release}, {artifact.image} (checksum {verdict})")
    return 0


def _list(arguments: argparse.Namespace, progress: Progress) -> int:
    from kmlbench.build import inventory

    if arguments.checksums:
        return _checksums()
    try:
        wanted = inventory.wanted()
    except MachineError as error:
        wanted = None
        progress.note(f"which of them a campaign boots is unknown: {error}")
    kernels = inventory.kernels(default_cache(), wanted)
    if arguments.json:
        import msgspec

        print(json.dumps(msgspec.to_builtins(kernels), indent=2))
        return 0
    for line in _columns([_HEADING, *map(_row, kernels)]):
        print(printable(line))
    for (base, kernel), key in (wanted or {}).items():
        if key not in {each.key for each in kernels}:
            progress.note(
                f"{kernel} {base}: {key}, which a campaign boots, is not built: "
                f"run `kmlbench kernel build --kernel {base}`"
            )
    return 0


def _checksums() -> int:
    from kmlbench.build import checksums

    cache = default_cache()
    builds = tuple(
        checksums.of(built, builder.content(kernel, base))
        for base, kernel in product(Base, Kernel)
        if (built := builder.built(kernel, base, cache=cache)) is not None
    )
    if not builds:
        raise InputError(
            "no kernel of this checkout is built, so there are no checksums",
            remedy="run `kmlbench kernel build`",
        )
    print(checksums.toml(builds), end="")
    return 0


_HEADING = ("kernel", "release", "key", "a campaign boots it", "MiB", "compiler", "checksum")


def _row(kernel: BuiltKernel) -> tuple[str, ...]:
    boots = {True: "yes", False: "no", None: "unknown"}[kernel.wanted]
    size = f"{kernel.bytes / MIB:.0f}"
    return (kernel.kernel, kernel.release, kernel.key, boots, size, kernel.compiler, kernel.checksum)


def _columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()


def _pack(arguments: argparse.Namespace, progress: Progress) -> int:
    from kmlbench.build import pack

    origin = pack.Origin(version=provenance.package_version(), commit=provenance.git_commit())
    images = not arguments.kernels_only
    packed = pack.pack(arguments.file, origin=origin, cache=default_cache(), progress=progress, images=images)
    for entry in packed.entries:
        progress.note(f"{packed.label(entry)}: {entry.name}")
    if images and not any(entry.kind is pack.Kind.IMAGE for entry in packed.entries):
        progress.note("no guest image is built for this checkout: the other machine builds its own")
    progress.note(f"{arguments.file}: {arguments.file.stat().st_size / MIB:.0f} MiB")
    return 0


def _unpack(arguments: argparse.Namespace, progress: Progress) -> int:
    from kmlbench.build import checksums, pack, unpack

    cache = default_cache()
    arrivals = unpack.unpack(
        arguments.file,
        cache=cache,
        progress=progress,
        images=not arguments.kernels_only,
        replace=arguments.replace,
    )
    recorded = checksums.read()
    for arrival in arrivals:
        entry, checksum = arrival.entry, ""
        if entry.kind is pack.Kind.KERNEL:
            image = entry.member(pack.BZIMAGE).sha256
            checksum = f" (checksum {checksums.verdict(entry.key, image, recorded=recorded)})"
        progress.note(f"{arrival.label}: {arrival.state}, {cache.root / entry.name}{checksum}")
    return 0


def _deb(arguments: argparse.Namespace, progress: Progress) -> int:
    wanted = package.request(arguments.configuration, arguments.base)
    package.require_tools(wanted)
    cache = default_cache()
    for kernel in Kernel:
        artifact = package.ensure(kernel, wanted, cache=cache, progress=progress)
        for file in package.copy_packages(artifact, arguments.output):
            print(file)
    return 0
