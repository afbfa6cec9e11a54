# SPDX-License-Identifier: MIT
"""`kmlbench guest`: build the image, boot a guest by hand, work on it, stop it."""

from __future__ import annotations

import argparse
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from kmlbench.build import image, kernel
from kmlbench.build.bases import Base
from kmlbench.build.cache import Cache, default_cache
from kmlbench.config import campaign
from kmlbench.errors import InputError
from kmlbench.hosts import detached, kvm
from kmlbench.hosts.kind_qemu import QemuHostSpec, choose_acceleration
from kmlbench.hosts.qemu import GuestSpec
from kmlbench.model import Clock, Server
from kmlbench.progress import Progress

COMMAND_TIMEOUT_S = 24 * 3600.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verbs."""
    parser.epilog = "example: kmlbench guest boot kml"
    verbs = parser.add_subparsers(dest="verb", required=True)
    _configure_build(verbs)
    boot = _named(verbs, "boot", "boot a guest from hosts.yaml and leave it running")
    boot.add_argument("--hosts", type=Path, default=Path("hosts.yaml"), help="the file that names the hosts")
    boot.add_argument("--clock", type=Clock, choices=list(Clock), help="overrides the clock in hosts.yaml")
    boot.add_argument(
        "--kernel", type=Base, choices=list(Base), dest="base", help="overrides `linux` in hosts.yaml"
    )
    boot.add_argument("--server", type=Server, choices=list(Server), help="overrides the one in hosts.yaml")
    boot.epilog = "example: kmlbench guest boot kml --clock time"
    boot.set_defaults(run=_boot)
    ssh = _named(verbs, "ssh", "run a command on a running guest")
    ssh.add_argument("--stdin", action="store_true", help="pass standard input to the command")
    ssh.add_argument("argv", nargs="+", metavar="ARGV", help="after --, the command and its arguments")
    ssh.epilog = "example: kmlbench guest ssh kml -- uname -r"
    ssh.set_defaults(run=_ssh)
    copy = _named(verbs, "copy", "copy a local file to a running guest")
    copy.add_argument("source", type=Path, metavar="SRC", help="a local file")
    copy.add_argument("destination", metavar="DEST", help="the path on the guest")
    copy.epilog = "example: kmlbench guest copy notes.txt kml /tmp/notes.txt"
    copy.set_defaults(run=_copy)
    stop = _named(verbs, "stop", "stop a running guest")
    stop.epilog = "example: kmlbench guest stop kml"
    stop.set_defaults(run=_stop)


def _configure_build(verbs: Any) -> None:
    build = verbs.add_parser("build", help="build the guest image, or find it in the cache")
    build.add_argument("--server", type=Server, choices=list(Server), default=Server.MYSQL)
    build.add_argument("--refresh", action="store_true", help="fetch today's Debian packages")
    build.add_argument("--mirror", help="the Debian mirror, instead of the one this machine's apt uses")
    build.epilog = "example: kmlbench guest build --server mariadb"
    build.set_defaults(run=_build)


def _named(verbs: Any, verb: str, description: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(verb, help=description)
    parser.add_argument("name", metavar="NAME", help="a guest in hosts.yaml")
    return parser


def _build(arguments: argparse.Namespace, progress: Progress) -> int:
    cache = default_cache()
    if arguments.refresh:
        image.refresh(arguments.server, cache=cache)
    artifact = image.ensure(arguments.server, cache=cache, progress=progress, mirror=arguments.mirror)
    progress.note(f"{artifact.server} guest: {artifact.root}, packages in {artifact.packages}")
    return 0


def _boot(arguments: argparse.Namespace, progress: Progress) -> int:
    cache = default_cache()
    settings = campaign.load_config(arguments.hosts)
    host = settings.host(arguments.name)
    if not isinstance(host, QemuHostSpec):
        raise InputError(f"{arguments.hosts}: host {host.name} is not a guest, so it cannot be booted")
    server = arguments.server or settings.campaign.server
    wanted = replace(host, clock=arguments.clock or host.clock, linux=arguments.base or host.linux)
    spec = _specification(wanted, server, cache=cache, progress=progress)
    progress.stage(f"booting {spec.name}")
    running = detached.start_guest(spec, root=detached.default_directory(cache.root, progress=progress))
    how = f"Linux {spec.kernel.release}, {spec.acceleration}, clock {spec.clock}"
    progress.note(f"{running.name} runs ({how}): port {running.port}")
    return 0


def _specification(host: QemuHostSpec, server: Server, *, cache: Cache, progress: Progress) -> GuestSpec:
    if host.clock is Clock.INSTRUCTIONS and host.cpus > 1:
        raise InputError(f"guest {host.name} has {host.cpus} CPUs; the instruction clock needs exactly one")
    image.require_buildable(server, cache=cache)
    built = kernel.ensure(host.kernel, host.linux, cache=cache, progress=progress)
    root = image.ensure(server, cache=cache, progress=progress)
    acceleration, clock = choose_acceleration(host, lambda: kvm.probe(built, root, cache=cache))
    return GuestSpec(
        name=host.name,
        kernel=built,
        image=root,
        memory_mb=host.memory_mb,
        cpus=host.cpus,
        cpu_model=host.cpu_model,
        clock=clock,
        acceleration=acceleration,
        seed=0,
    )


def _ssh(arguments: argparse.Namespace, progress: Progress) -> int:
    progress.stage(f"{arguments.name}: {shlex.join(arguments.argv)}")
    stdin = sys.stdin.buffer.read() if arguments.stdin else b""
    with detached.connection(_running(arguments.name, progress)) as host:
        result = host.run(arguments.argv, timeout_s=COMMAND_TIMEOUT_S, stdin=stdin)
    sys.stdout.write(result.stdout)
    sys.stderr.write(result.stderr)
    return result.returncode if result.returncode >= 0 else 255


def _copy(arguments: argparse.Namespace, progress: Progress) -> int:
    if not arguments.source.is_file():
        raise InputError(
            f"{arguments.source} is not a file", remedy="give one file; archive a directory first"
        )
    progress.stage(f"copying {arguments.source} to {arguments.name}")
    with detached.connection(_running(arguments.name, progress)) as host:
        host.put(arguments.source, arguments.destination)
    return 0


def _stop(arguments: argparse.Namespace, progress: Progress) -> int:
    root = detached.default_directory(default_cache().root, progress=progress)
    detached.stop_guest(arguments.name, root=root)
    progress.note(f"{arguments.name} has stopped")
    return 0


def _running(name: str, progress: Progress) -> detached.Running:
    root = detached.default_directory(default_cache().root, progress=progress)
    return detached.find_guest(name, root=root)
