# SPDX-License-Identifier: MIT
"""What workloads/rounds prints and reports, for hosts that are played."""

from __future__ import annotations

import json
from collections.abc import Sequence

from support.fake_host import Exchange
from support.paths import DATA

from kmlbench.model import CommandResult, Variant
from kmlbench.run import trial as trials
from kmlbench.servers import service
from kmlbench.workloads.program import ProgramWorkload
from kmlbench.workloads.steps import Setting

DIGEST = "07f8bc07b4ba5002"


def printed(runs: Sequence[tuple[int, str]], *, how: str = "exit 0") -> str:
    """The output of runs, each with its amount of work and what it printed."""
    parts = []
    for ordinal, (work, text) in enumerate(runs):
        size = len(text.encode(errors="surrogateescape"))
        parts.append(f"run {ordinal} {work} {how} {size} {size} {DIGEST}\n{text}\n")
    return "".join(parts)


def result(argv: Sequence[str], runs: Sequence[tuple[int, str]], *, how: str = "exit 0") -> CommandResult:
    """The measured step of such runs."""
    silent = printed([(work, "") for work, _ in runs], how=how)
    return CommandResult(
        argv=tuple(argv), returncode=0, stdout=printed(runs, how=how), stderr=silent, elapsed_s=1.0
    )


def report(variant: Variant, *, release: str, served: bool = False) -> bytes:
    """The report of a step that ran as its cell says."""
    document = json.loads(
        (DATA / "workloads" / ("measure.json" if served else "measure-alone.json")).read_text()
    )
    mode = variant.kernel_mode if release.endswith("kml") else None
    for process in ("client", "server") if served else ("client",):
        document[process]["kernel_mode"] = mode
    return json.dumps(document).encode()


def laid_out(workload: ProgramWorkload, setting: Setting) -> list[Exchange]:
    """What comes before the server: the directory, the files, the commands."""
    provision = workload.provision(service.placed(setting))
    return [
        Exchange(argv=("rm", "-rf", service.DIRECTORY)),
        Exchange(argv=("mkdir", "-p", service.DIRECTORY)),
        *(
            Exchange(argv=("sh", "-c", "*", "sh", f"{service.DIRECTORY}/{name}", "root"))
            for name in provision.files
        ),
        *(Exchange(argv=step.argv) for step in provision.prepare),
    ]


REMOVE = Exchange(argv=("sh", "-c", "*", "sh", service.DIRECTORY))


def measured(workload: ProgramWorkload, variant: Variant, *, release: str, text: str) -> list[Exchange]:
    """A trial of a workload without a server whose runs all print `text`, with {work} filled in."""
    setting = service.placed(
        Setting(prefix=variant.prefix, socket="", user="", password_file="", seed=2, scale=1.0)
    )
    (step,) = (step for step in workload.steps(setting) if step.rounds)
    assert step.rounds is not None
    warm_up, *amounts = step.rounds.work
    works = [warm_up, *amounts * step.rounds.count]
    ran = result((), [(work, text.replace("{work}", str(work))) for work in works])
    probe = {
        "cpl": variant.cpl,
        "pid": 7,
        "kernel_mode": variant.kernel_mode if release.endswith("kml") else None,
        "release": release,
    }
    return [
        *laid_out(workload, setting),
        Exchange(
            argv=trials.measuring(step, setting),
            stdout=ran.stdout,
            stderr=ran.stderr,
            leaves={trials.REPORT: report(variant, release=release)},
        ),
        *(
            Exchange(argv=check.argv, stdout=text)
            for check in workload.steps(setting)
            if check.name == "check"
        ),
        REMOVE,
        Exchange(argv=(variant.prefix.path("lib/kmlbench/cpl"),), stdout=json.dumps(probe)),
    ]
