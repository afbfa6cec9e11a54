# SPDX-License-Identifier: MIT
"""`kmlbench worker`: this machine, or a pair of hosts, as a worker of a cluster."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from kmlbench.build.cache import default_cache
from kmlbench.cluster.scheduler import require_dask
from kmlbench.config import campaign
from kmlbench.errors import InputError
from kmlbench.hosts import detached
from kmlbench.hosts.kind_qemu import this_machine
from kmlbench.hosts.spec import HostSpec
from kmlbench.model import Kernel
from kmlbench.progress import Progress
from kmlbench.run import locks, preflight, setup


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "address", metavar="ADDRESS", help="the Dask scheduler: tcp://HOST:PORT, tls://HOST:PORT"
    )
    parser.add_argument(
        "--hosts",
        type=Path,
        metavar="FILE",
        help="a pair of hosts of its own; without it, the worker boots the guests that the controller names",
    )
    parser.epilog = "example: kmlbench worker tcp://controller.example.org:8786"
    parser.set_defaults(run=_work)


def _work(arguments: argparse.Namespace, progress: Progress) -> int:
    require_dask()
    # What imports Dask, and what measures.
    from kmlbench.cluster import worker
    from kmlbench.cluster.directory import own_directory
    from kmlbench.run.session import CLAIMS

    hosts = None if arguments.hosts is None else _pair(arguments.hosts)
    claims = (this_machine(),) if hosts is None else locks.claims_of(hosts.values())
    cache = default_cache()
    root = detached.default_directory(cache.root, progress=progress) / CLAIMS
    holder = f"kmlbench worker {arguments.address}"
    with (
        locks.held(claims, root=root, holder=holder),
        own_directory(cache.root / "workers", progress=progress) as directory,
    ):
        worker.serve(arguments.address, worker.Bench(hosts=hosts, root=directory, progress=progress))
    return 0


def _pair(path: Path) -> Mapping[Kernel, HostSpec]:
    """The pair of hosts that a file's campaign names. Raises InputError if there are more."""
    settings = campaign.load_config(path)
    named = len(settings.campaign.host_pairs)
    if named > 1:
        raise InputError(
            f"{path}: a worker has one pair of hosts, and this file names {named}",
            remedy="start a worker for each pair, each with its own file",
        )
    (pair,) = setup.pairs(settings, tuple(Kernel))
    preflight.logins(settings, pair.values())
    return pair
