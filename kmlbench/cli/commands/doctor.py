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
from kmlbench.doctor.questions import Answers
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
    parser.epilog = "example: kmlbench doctor --hosts hosts.yaml"
    parser.set_defaults(run=_doctor)


def _doctor(arguments: argparse.Namespace, progress: Progress) -> int:
    examined = []
    for machine in _examine(campaign.load_config(arguments.hosts), progress):
        examined.append(machine)
        if not arguments.json:
            print("\n".join(printable(line) for line in _lines(machine)), flush=True)
    if arguments.json:
        print(json.dumps({"machines": [_record(machine) for machine in examined]}, indent=2))
    return next((machine.exit_code for machine in examined if machine.exit_code), 0)


def _examine(settings: Config, progress: Progress) -> Iterator[Examined]:
    progress.stage(f"examining {HERE}")
    answers = questions.ask_this_machine()
    yield _here(settings, answers)
    for host in settings.hosts:
        if host.size is None:
            progress.stage(f"examining {host.name}")
            yield _there(host)
        else:
            findings = host_checks.guest_findings(
                host.size.memory_mb, host.size.cpus, answers, overhead_mb=preflight.OVERHEAD_MIB
            )
            yield _examined(host.name, findings, MachineError.exit_code)


def _here(settings: Config, answers: Answers) -> Examined:
    guests = any(QEMU in host.programs for host in settings.hosts)
    findings = (*host_checks.machine_findings(answers, guests=guests), *_room(settings, guests=guests))
    if guests:
        findings = (_accelerated(settings), *findings)
    return _examined(HERE, findings, MachineError.exit_code)


def _room(settings: Config, *, guests: bool) -> Iterator[Finding]:
    """The free space for results and, if something has to be built, in the cache."""
    path, free_mib = preflight.free_space(Path("results"))
    meaning = "campaigns are kept there unless --results is given, and do not start with less than"
    yield host_checks.disk_room("results", path, free_mib, need_mib=preflight.RESULTS_MIB, meaning=meaning)
    if guests and not _is_built(settings):
        path, free_mib = preflight.free_space(default_cache().root)
        meaning = "kernels and images are built there, one of them with"
        need_mib = int(max(kernel.NEED_GIB, image.NEED_GIB) * 1024)
        yield host_checks.disk_room("cache", path, free_mib, need_mib=need_mib, meaning=meaning)


def _there(host: HostSpec) -> Examined:
    try:
        with host.connection(DEADLINE_S) as connected:
            answers = questions.ask_host(connected)
    except HostError as error:
        return Examined(name=host.name, findings=(), error=str(error), exit_code=HostError.exit_code)
    return _examined(host.name, host_checks.host_findings(answers, host.kernel), HostError.exit_code)


def _examined(name: str, findings: Sequence[Finding], code: int) -> Examined:
    prevented = any(finding.state is FindingState.PREVENTS for finding in findings)
    return Examined(name=name, findings=tuple(findings), error="", exit_code=code if prevented else 0)


def _accelerated(settings: Config) -> Finding:
    """KVM is tried with what is in the cache; nothing is built."""
    answer = kvm.refused()
    if answer is None:
        cache = default_cache()
        linux = next(host.linux for host in settings.hosts if host.linux is not None)
        try:
            built = (
                kernel.built(Kernel.STOCK, linux, cache=cache),
                image.built(settings.campaign.server, cache=cache),
            )
        except MachineError as error:
            return host_checks.guest_acceleration(None, f"this machine cannot build a guest: {error.args[0]}")
        if built[0] is None or built[1] is None:
            return host_checks.guest_acceleration(
                None,
                "there is no kernel or image yet to try it with"
                " (`kmlbench kernel build` and `kmlbench guest build` make them)",
            )
        answer = kvm.attempt(built[0], built[1])
    return host_checks.guest_acceleration(answer.acceleration is Acceleration.KVM, answer.reason)


def _is_built(settings: Config) -> bool:
    cache = default_cache()
    try:
        kernels = [
            kernel.built(host.kernel, host.linux, cache=cache)
            for host in settings.hosts
            if host.linux is not None
        ]
    except MachineError:
        return False
    return None not in (*kernels, image.built(settings.campaign.server, cache=cache))


def _lines(machine: Examined) -> Iterator[str]:
    yield machine.name
    yield from (f"  {line}" for line in machine.error.splitlines())
    for finding in machine.findings:
        yield f"  {finding.state:<8}  {finding.name}: {finding.value}"
        yield f"            {finding.meaning}"
        if finding.change:
            yield f"            to change it: {finding.change}"


def _record(machine: Examined) -> dict[str, object]:
    return {
        "name": machine.name,
        "error": machine.error or None,
        "findings": [asdict(finding) for finding in machine.findings],
    }
