# SPDX-License-Identifier: MIT
"""A campaign of the workload of docs/workload.md, for tests/project/test_workload_page.py: DIRECTORY PROGRAM.

Runs with a copy of the package in which the page was followed. The guests are played; what the workload
prints in them is what the compiled PROGRAM prints here.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support import host_sessions as sessions
from support.fake_host import Exchange
from support.played_machines import DMESG, RELEASES, Playing, hosts_file, stage

import kmlbench
from kmlbench.cli.commands.completion import completion
from kmlbench.cli.main import main as kmlbench_main
from kmlbench.cli.main import run_benchmark
from kmlbench.cli.programs import kmlbench_parser
from kmlbench.config.schema import hosts_schema
from kmlbench.model import Boot
from kmlbench.run import trial as trials
from kmlbench.workloads.registry import ADAPTERS, METRICS, programs

WORKLOAD = "pipes"


def session(boot: Boot) -> list[Exchange]:
    """A boot in which every trial is one of the workload."""
    release = RELEASES[boot.kernel]
    measured: list[Exchange] = []
    for trial in boot.trials:
        measure, probe = sessions.getpid(trial.variant, release=release)
        setting = trials.unserved_setting(trial, seed=2, scale=1)
        (step,) = ADAPTERS[WORKLOAD].steps(setting)
        argv = (trials.MEASURE, "--report", trials.REPORT, "--seed", "*", "--", *step.argv)
        text = subprocess.run((sys.argv[2], *step.argv[1:]), capture_output=True, text=True, check=True)
        measured += [Exchange(argv=argv, stdout=text.stdout, leaves=measure.leaves), probe]
    return [*sessions.inspecting(release=release, measured=programs([WORKLOAD])), *measured, DMESG]


def main() -> None:
    directory, patch = Path(sys.argv[1]), pytest.MonkeyPatch()
    stage(patch, Playing(script=session))
    hosts = hosts_file(directory, blocks=2)
    hosts.write_text(hosts.read_text().replace("[getpid]", f"[{WORKLOAD}]"))
    results = directory / "results"
    assert run_benchmark(["--hosts", str(hosts), "--results", str(results)]) == 0
    assert kmlbench_main(["verify", str(results / "latest")]) == 0
    frame = kmlbench.load(results / "latest")
    print(
        json.dumps(
            {
                "package": kmlbench.__file__,
                "metrics": sorted(set(frame["metric"])),
                "registered": sorted(METRICS),
                "completion": completion(kmlbench_parser(), "bash"),
                "workloads": hosts_schema()["properties"]["campaign"]["properties"]["workloads"],
                "report": json.loads((results / "latest" / "report.json").read_text())["sections"],
            }
        )
    )


if __name__ == "__main__":
    main()
