# SPDX-License-Identifier: MIT
"""`kmlbench kernel`: build the two kernels, for guests or as packages for real machines."""

from __future__ import annotations

import argparse
from pathlib import Path

from kmlbench.build import deb as package
from kmlbench.build import kernel as builder
from kmlbench.build.cache import default_cache
from kmlbench.model import Kernel
from kmlbench.progress import Progress


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verbs."""
    parser.epilog = "example: kmlbench kernel build"
    verbs = parser.add_subparsers(dest="verb", required=True)
    build = verbs.add_parser("build", help="build the kernels, or find them in the cache")
    build.add_argument(
        "kernels", nargs="*", type=Kernel, metavar="KERNEL", help="stock or kml; both if not given"
    )
    build.epilog = "example: kmlbench kernel build kml"
    build.set_defaults(run=_build)
    deb = verbs.add_parser("deb", help="build a pair of Debian packages for real machines")
    deb.add_argument(
        "configuration",
        metavar="CONFIG",
        help="a kernel configuration, such as /boot/config-6.12.0-amd64, or `lean` for that of the guests",
    )
    deb.add_argument(
        "--output", type=Path, default=Path(), metavar="DIR", help="where the packages are written (here)"
    )
    deb.epilog = "example: kmlbench kernel deb /boot/config-6.12.0-amd64 --output packages"
    deb.set_defaults(run=_deb)


def _build(arguments: argparse.Namespace, progress: Progress) -> int:
    cache = default_cache()
    for kernel in arguments.kernels or list(Kernel):
        artifact = builder.ensure(kernel, cache=cache, progress=progress)
        progress.note(f"{artifact.kernel}: Linux {artifact.release}, {artifact.image}")
    return 0


def _deb(arguments: argparse.Namespace, progress: Progress) -> int:
    wanted = package.request(arguments.configuration)
    package.require_tools(wanted)
    cache = default_cache()
    for kernel in Kernel:
        artifact = package.ensure(kernel, wanted, cache=cache, progress=progress)
        for file in package.copy_packages(artifact, arguments.output):
            print(file)
    return 0
