# SPDX-License-Identifier: MIT
"""`kmlbench doctor`: the state of this machine and each host, what it means, how to change it."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from kmlbench.build import image, kernel
from kmlbench.build.cache import default_cache
from kmlbench.cli.parser import printable
from kmlbench.config import campaign
from kmlbench.config.campaign import Config
from kmlbench.doctor import host_checks, questions
from kmlbench.doctor.checks import Finding, FindingState
from kmlbench.doctor.questions import Said
from kmlbench.errors import HostError, MachineError
from kmlbench.hosts import kvm
from kmlbench.hosts.spec import HostSpec
from kmlbench.model import Acceleration, Kernel
from kmlbench.process import QEMU
from kmlbench.progress import Progress
from kmlbench.run import preflight

HERE = "this machine"

DEADLINE_S = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """A machine: the findings, or why it could not be examined. `exit_code` is that of the worst."""

    name: str
    findings: tuple[Finding, ...]
    error: str
    exit_code: int


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    parser.add_argument(
        "--hosts", type=Path, default=Path("hosts.yaml"), help="the file that names the hosts"
    )
    parser.add_argument("--json", action="store_true", help="print JSON, for programs")
    parser.set_defaults(run=_doctor)


def _doctor(arguments: argparse.Namespace, progress: Progress) -> int:
    examined = []
    for one in _examine(campaign.load_config(arguments.hosts), progress):
        examined.append(one)
        if not arguments.json:
            print("\n".join(printable(line) for line in _lines(one)), flush=True)
    if arguments.json:
        print(json.dumps({"machines": [_record(one) for one in examined]}, indent=2))
    return next((one.exit_code for one in examined if one.exit_code), 0)


def _examine(settings: Config, progress: Progress) -> Iterator[Examined]:
    progress.stage(f"examining {HERE}")
    said = questions.ask_this_machine()
    yield _here(settings, said)
    for host in settings.hosts:
        if host.size is None:
            progress.stage(f"examining {host.name}")
            yield _there(host)
        else:
            found = host_checks.guest_findings(
                host.size.memory_mb, host.size.cpus, said, overhead_mb=preflight.OVERHEAD_MIB
            )
            yield _examined(host.name, found, MachineError.exit_code)


def _here(settings: Config, said: Said) -> Examined:
    guests = any(QEMU in host.programs for host in settings.hosts)
    found = (*host_checks.machine_findings(said, guests=guests), *_room(settings, guests=guests))
    return _examined(HERE, ((_accelerated(settings), *found) if guests else found), MachineError.exit_code)


def _room(settings: Config, *, guests: bool) -> Iterator[Finding]:
    """The free space for results and, if something has to be built, in the cache."""
    place, free_mib = preflight.free_space(Path("results"))
    meaning = "campaigns are kept there unless --results is given, and do not start with less than"
    yield host_checks.disk_room("results", place, free_mib, need_mib=preflight.RESULTS_MIB, meaning=meaning)
    if guests and not _is_built(settings):
        place, free_mib = preflight.free_space(default_cache().root)
        meaning = "kernels and images are built there, one of them with"
        need_mib = int(max(kernel.NEED_GIB, image.NEED_GIB) * 1024)
        yield host_checks.disk_room("cache", place, free_mib, need_mib=need_mib, meaning=meaning)


def _there(host: HostSpec) -> Examined:
    try:
        with host.connection(DEADLINE_S) as connected:
            said = questions.ask_host(connected)
    except HostError as error:
        return Examined(name=host.name, findings=(), error=str(error), exit_code=HostError.exit_code)
    return _examined(host.name, host_checks.host_findings(said, host.kernel), HostError.exit_code)


def _examined(name: str, findings: Sequence[Finding], code: int) -> Examined:
    prevented = any(finding.state is FindingState.PREVENTS for finding in findings)
    return Examined(name=name, findings=tuple(findings), error="", exit_code=code if prevented else 0)


def _accelerated(settings: Config) -> Finding:
    """KVM is tried with what is in the cache; nothing is built."""
    answer = kvm.refused()
    if answer is None:
        cache = default_cache()
        try:
            built = (
                kernel.built(Kernel.STOCK, cache=cache),
                image.built(settings.campaign.server, cache=cache),
            )
        except MachineError as error:
            return host_checks.guest_acceleration(None, f"this machine cannot build a guest: {error.args[0]}")
        if built[0] is None or built[1] is None:
            return host_checks.guest_acceleration(
                None, "there is no kernel or image yet to try it with (make build)"
            )
        answer = kvm.attempt(built[0], built[1])
    return host_checks.guest_acceleration(answer.acceleration is Acceleration.KVM, answer.reason)


def _is_built(settings: Config) -> bool:
    cache = default_cache()
    try:
        kernels = [kernel.built(one, cache=cache) for one in Kernel]
    except MachineError:
        return False
    return None not in (*kernels, image.built(settings.campaign.server, cache=cache))


def _lines(one: Examined) -> Iterator[str]:
    yield one.name
    yield from (f"  {line}" for line in one.error.splitlines())
    for finding in one.findings:
        yield f"  {finding.state:<8}  {finding.name}: {finding.value}"
        yield f"            {finding.meaning}"
        if finding.change:
            yield f"            to change it: {finding.change}"


def _record(one: Examined) -> dict[str, object]:
    return {
        "name": one.name,
        "error": one.error or None,
        "findings": [asdict(finding) for finding in one.findings],
    }
