# SPDX-License-Identifier: MIT
"""`kmlbench host`: a schema and an example of hosts.yaml; checking, preparing and cleaning SSH hosts."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kmlbench import paths
from kmlbench.build import image
from kmlbench.cli.parser import printable
from kmlbench.config import campaign
from kmlbench.config.campaign import Config
from kmlbench.errors import HostError, InputError
from kmlbench.hosts.kind_ssh import ALIKE_LINES, SshHostSpec
from kmlbench.model import Server
from kmlbench.progress import Progress
from kmlbench.provision import apply
from kmlbench.provision.changes import Lack, planned_changes
from kmlbench.provision.payload import Belongings, belongings
from kmlbench.results.command_line import differing
from kmlbench.run import preflight

# The other host of a pair may be off.
PARTNER_S = 5.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the verbs."""
    parser.epilog = "example: kmlbench host check oak"
    verbs = parser.add_subparsers(dest="verb", required=True)
    printed = verbs.add_parser("schema", help="print the JSON schema of hosts.yaml, for editors")
    printed.add_argument("--workload", action="store_true", help="that of workload files instead")
    printed.epilog = "example: kmlbench host schema > hosts.schema.json"
    printed.set_defaults(run=_schema)
    example = verbs.add_parser("example", help="print a hosts.yaml with two guests, to begin with")
    example.epilog = "example: kmlbench host example > hosts.yaml"
    example.set_defaults(run=_example)
    check = _named(verbs, "check", "list what a host lacks for a campaign, and change nothing")
    check.epilog = "example: kmlbench host check oak"
    check.set_defaults(run=_check)
    prepare = _named(verbs, "prepare", "install what the suite needs on a host, with a manifest")
    prepare.add_argument("--dry-run", action="store_true", help="print the changes without making them")
    prepare.epilog = "example: kmlbench host prepare oak --dry-run"
    prepare.set_defaults(run=_prepare)
    clean = _named(verbs, "clean", "remove what was installed on a host, and nothing else")
    clean.epilog = "example: kmlbench host clean oak"
    clean.set_defaults(run=_clean)


def _named(verbs: Any, verb: str, description: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(verb, help=description)
    parser.add_argument("name", metavar="NAME", help="a host in hosts.yaml with kind: ssh")
    parser.add_argument(
        "--hosts", type=Path, default=Path("hosts.yaml"), help="the file that names the hosts"
    )
    return parser


def _schema(arguments: argparse.Namespace, progress: Progress) -> int:
    # The verbs that ask a host start without importing the models of the schema.
    from kmlbench.config import schema

    del progress
    print(schema.workload_schema_json() if arguments.workload else schema.schema_json(), end="")
    return 0


def _example(arguments: argparse.Namespace, progress: Progress) -> int:
    del arguments, progress
    print(paths.HOSTS_EXAMPLE.read_text(encoding="utf-8"), end="")
    return 0


def _check(arguments: argparse.Namespace, progress: Progress) -> int:
    settings, spec = _chosen(arguments)
    progress.stage(f"checking {spec.name}")
    with _wanted(settings.campaign.server) as wanted, spec.connection() as host:
        state = apply.survey_host(host, wanted)
        lacks = list(apply.lacking(host, wanted, state))
        changes = planned_changes(wanted, state)
        if changes.lines:
            what = f"{len(changes.lines)} things are not installed, such as: {changes.lines[-1]}"
            lacks.append(Lack(what=what, remedy=f"kmlbench host prepare {spec.name}"))
        else:
            lacks += apply.check_proof(host, spec.kernel)
        line = host.run(("cat", "/proc/cmdline"), timeout_s=PARTNER_S).stdout
    lacks += _unlike_partner(settings, spec, line, progress)
    _print_lines(
        [line for lack in lacks for line in (f"{spec.name}: {lack.what}", f"  remedy: {lack.remedy}")]
    )
    if not lacks:
        _print_lines([f"{spec.name}: ready for campaigns with {settings.campaign.server}"])
    return HostError.exit_code if lacks else 0


def _unlike_partner(settings: Config, spec: SshHostSpec, line: str, progress: Progress) -> Iterator[Lack]:
    """How the command line of its kernel differs from that of the other host of its pair."""
    for stock, kml in zip(settings.campaign.stock, settings.campaign.kml, strict=True):
        for name in {stock, kml} - {spec.name} if spec.name in {stock, kml} else ():
            other = settings.host(name)
            if not isinstance(other, SshHostSpec):
                continue
            try:
                lines = {spec.name: line, name: other.command_line(PARTNER_S)}
            except HostError as error:
                progress.note(f"the command lines were not compared: {error.args[0]}")
            else:
                if difference := differing(lines):
                    what = f"the command lines of the kernels differ: {difference}"
                    yield Lack(what=what, remedy=ALIKE_LINES)


def _prepare(arguments: argparse.Namespace, progress: Progress) -> int:
    settings, spec = _chosen(arguments)
    progress.stage(f"preparing {spec.name}")
    with _wanted(settings.campaign.server) as wanted, spec.connection() as host:
        state = apply.survey_host(host, wanted)
        if not arguments.dry_run:
            done = apply.prepare_host(host, wanted, state).lines
            _print_lines(
                [*(f"{spec.name}: {line}" for line in done), f"{spec.name}: prepared, {len(done)} changes"]
            )
            return 0
        lacks = apply.lacking(host, wanted, state)
        _print_lines([f"{spec.name}: would {line}" for line in planned_changes(wanted, state).lines])
        _print_lines([f"{spec.name}: blocked by: {lack.what}; {lack.remedy}" for lack in lacks])
    return HostError.exit_code if lacks else 0


def _clean(arguments: argparse.Namespace, progress: Progress) -> int:
    _, spec = _chosen(arguments)
    progress.stage(f"cleaning {spec.name}")
    with spec.connection() as host:
        done = apply.clean(host)
    _print_lines([f"{spec.name}: removed {path}" for path in done.removed])
    _print_lines([f"{spec.name}: kept {path}, which is not empty" for path in done.in_use])
    if done.changed:
        raise HostError(
            f"{spec.name}: modified since it was installed, and kept: {', '.join(done.changed)}",
            remedy="inspect it, remove it by hand, and run clean again",
        )
    _print_lines([f"{spec.name}: clean, {len(done.removed)} files removed"])
    return 0


def _chosen(arguments: argparse.Namespace) -> tuple[Config, SshHostSpec]:
    settings = campaign.load_config(arguments.hosts)
    spec = settings.host(arguments.name)
    if not isinstance(spec, SshHostSpec):
        raise InputError(
            f"{arguments.hosts}: host {spec.name} is a guest, which needs no preparation",
            remedy="name a host with kind: ssh",
        )
    preflight.logins(settings, [spec])
    return settings, spec


@contextmanager
def _wanted(server: Server) -> Iterator[Belongings]:
    """What is installed on a host, with the programs compiled on this machine."""
    with tempfile.TemporaryDirectory(prefix="kmlbench-") as directory:
        image.add_programs(Path(directory))
        yield belongings(
            server,
            Path(directory),
            trusted=image.listed("trusted.txt", server),
            initialise=image.initialiser(server),
        )


def _print_lines(lines: Sequence[str]) -> None:
    for line in lines:
        print(printable(line))
