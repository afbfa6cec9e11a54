# SPDX-License-Identifier: MIT
"""`kmlbench kernel`: build the two kernels."""

from __future__ import annotations

import argparse
from typing import Any

from kmlbench.build import kernel as builder
from kmlbench.build.cache import default_cache
from kmlbench.model import Kernel
from kmlbench.progress import Progress


def register(subparsers: Any) -> None:
    """Add the verb `kernel` to the parser of `kmlbench`."""
    verbs = subparsers.add_parser("kernel", help="build the kernels of the experiment").add_subparsers(
        dest="verb", required=True
    )
    build = verbs.add_parser("build", help="build the kernels, or find them in the cache")
    build.add_argument(
        "kernels", nargs="*", type=Kernel, metavar="KERNEL", help="stock or kml; both if none is named"
    )
    build.set_defaults(run=_build)


def _build(arguments: argparse.Namespace, progress: Progress) -> int:
    cache = default_cache()
    for kernel in arguments.kernels or list(Kernel):
        artifact = builder.ensure(kernel, cache=cache, progress=progress)
        progress.note(f"{artifact.kernel}: Linux {artifact.release}, {artifact.image}")
    return 0
