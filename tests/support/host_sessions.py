# SPDX-License-Identifier: MIT
"""What hosts are asked in the course of a campaign, as scripts for FakeHost."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

from support.fake_host import Exchange
from support.paths import DATA

from kmlbench.model import Variant
from kmlbench.run import inspect, trial

GETPID_OUTPUT = (DATA / "workloads" / "getpid.json").read_text()
SOURCES = """\
/proc/cmdline:BOOT_IMAGE=/vmlinuz-6.12.117-kml console=ttyS0 root=/dev/vda
/proc/cpuinfo:processor	: 0
/proc/cpuinfo:model name	: QEMU TCG CPU version 2.5+
/proc/cpuinfo:flags		: sse fpu
/proc/cpuinfo:
/proc/cpuinfo:processor	: 1
/proc/cpuinfo:model name	: QEMU TCG CPU version 2.5+
/proc/meminfo:MemTotal:        2036364 kB
/sys/devices/system/cpu/vulnerabilities/spectre_v2:Mitigation: Retpolines; RSB filling
/sys/devices/system/cpu/vulnerabilities/meltdown:Not affected
"""
GETPID = ("lib/kmlbench/getpid",)
# A measurement of getpid, whatever its words.
ANY_GETPID = ("*",) * 9
SERVER_AND_CLIENTS = ("sbin/mysqld", "bin/sysbench", *GETPID)


def programs(measured: Sequence[str], *, wrong: str = "") -> list[Exchange]:
    """The checksums of these programs and the probe, and the versions of those that tell theirs."""
    paths = [
        f"{prefix}/{program}" for program in (*measured, inspect.PROBE) for prefix in ("/usr", "/trusted")
    ]
    sums = [f"{'0' if path == wrong else path.rsplit('/', 1)[1] + '-sum'}  {path}\n" for path in paths]
    versions = {
        "sbin/mysqld": "/usr/sbin/mysqld  Ver 9.7.4 for Linux\n",
        "bin/sysbench": "sysbench 1.0.20\n",
    }
    return [
        Exchange(argv=("sha256sum", *paths), stdout="".join(sums)),
        *(
            Exchange(argv=(f"/usr/{program}", "--version"), stdout=versions[program])
            for program in measured
            if program in versions
        ),
    ]


def inspecting(*, measured: Sequence[str] = GETPID, release: str = "6.12.117-kml") -> list[Exchange]:
    """What is asked at the first boot of a host."""
    return [*asking_the_machine(release=release), *programs(measured)]


def asking_the_machine(
    *, config_status: int = 0, release: str = "6.12.117-kml", confining: str = ""
) -> list[Exchange]:
    """What is asked in every boot."""
    fallback = [Exchange(argv=("cat", f"/boot/config-{release}"), stdout=f"{own(release)}\n")]
    return [
        Exchange(argv=("grep", "-r", "", *inspect.SOURCES), stdout=SOURCES),
        Exchange(argv=("uname", "-r"), stdout=f"{release}\n"),
        Exchange(argv=("sha256sum", inspect.NOTES), stdout=f"notes-of-{release}  {inspect.NOTES}\n"),
        Exchange(
            argv=("zcat", "/proc/config.gz"),
            stdout=f"{own(release)}\n" if config_status == 0 else "",
            returncode=config_status,
        ),
        *(fallback if config_status else []),
        Exchange(argv=("cat", *inspect.CONFINING), stdout=confining, returncode=1),
    ]


def own(release: str) -> str:
    return "CONFIG_KERNEL_MODE_LINUX=y" if release.endswith("kml") else 'CONFIG_LOCALVERSION="-stock"'


def getpid_argv(variant: Variant, *, seed: str = "*") -> tuple[str, ...]:
    program = variant.prefix.path("lib/kmlbench/getpid")
    return (trial.MEASURE, "--report", trial.REPORT, "--seed", seed, "--", program, "100000", "7")


def getpid(variant: Variant, *, release: str, cpl: int | None = None) -> list[Exchange]:
    """A trial of getpid. `cpl` is what the probe says; the right one if it is not given."""
    level = cpl if cpl is not None else 0 if variant.kernel_mode else 3
    report = json.loads((DATA / "workloads" / "measure-alone.json").read_text())
    report["client"]["kernel_mode"] = variant.kernel_mode if release.endswith("kml") else None
    mode = json.dumps(level == 0 if release.endswith("kml") else None)
    probe = f'{{"cpl": {level}, "pid": 7, "kernel_mode": {mode}, "release": "{release}"}}\n'
    return [
        Exchange(
            argv=getpid_argv(variant),
            stdout=GETPID_OUTPUT.replace("20000", "100000", 1),
            leaves={trial.REPORT: json.dumps(report).encode()},
        ),
        Exchange(argv=(variant.prefix.path("lib/kmlbench/cpl"),), stdout=probe),
    ]


def slower(exchange: Exchange, factor: float) -> Exchange:
    if trial.REPORT not in exchange.leaves:
        return exchange
    report = json.loads(exchange.leaves[trial.REPORT])
    report["client"]["cpu_ns"] = round(report["client"]["cpu_ns"] * factor)
    return replace(exchange, leaves={trial.REPORT: json.dumps(report).encode()})
