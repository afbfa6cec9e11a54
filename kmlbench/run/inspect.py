# SPDX-License-Identifier: MIT
"""The facts of one boot, collected from inside the host."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from kmlbench.errors import HostError, ProofError
from kmlbench.model import CommandResult, Host, Prefix, Server
from kmlbench.results.command_line import shared_words
from kmlbench.results.confinement import confinement
from kmlbench.results.facts import configuration_facts, proc_field, processor_facts
from kmlbench.workloads.registry import NONE, Own, need_server, programs

COMMAND_TIMEOUT_S = 120.0

NOTES = "/sys/kernel/notes"

VULNERABILITIES = "/sys/devices/system/cpu/vulnerabilities"

SOURCES = ("/proc/cmdline", "/proc/cpuinfo", "/proc/meminfo", VULNERABILITIES)

CONFINING = ("/sys/kernel/security/apparmor/profiles", "/sys/fs/selinux/enforce")

SERVER_PROGRAMS = {Server.MYSQL: "sbin/mysqld", Server.MARIADB: "sbin/mariadbd"}

PROBE = "lib/kmlbench/cpl"

# Programs that tell their version.
VERSIONED = (*SERVER_PROGRAMS.values(), "bin/sysbench")


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """A host's answers. `facts` are what kmlbench.results.facts compares; the rest is stored as it is."""

    facts: Mapping[str, str]
    config: str
    cpuinfo: str


def inspect(host: Host, server: Server) -> Inspection:
    """Inspect `host`, but for its programs. Raises HostError if it does not answer."""
    sources = _sources(host)
    cpuinfo = sources["/proc/cpuinfo"]
    release = _output(host, "uname", "-r").strip()
    # The notes contain the build ID, which differs for each binary.
    build, _, _ = _output(host, "sha256sum", NOTES).partition(" ")
    config = _configuration(host, release)
    facts = {
        "kernel_release": release,
        "kernel_build": build,
        "command_line": shared_words(sources["/proc/cmdline"]),
        "memory_kib": proc_field(sources["/proc/meminfo"], "MemTotal").split()[0],
        **processor_facts(cpuinfo),
        **_mitigations(sources),
        **configuration_facts(config),
        "server_confinement": confinement(_confining(host), server),
    }
    return Inspection(facts=facts, config=config, cpuinfo=cpuinfo)


def _confining(host: Host) -> str:
    """What the kernel's security modules say; most hosts lack one of the files, or both."""
    return host.run(("cat", *CONFINING), timeout_s=COMMAND_TIMEOUT_S).stdout


def _output(host: Host, *argv: str) -> str:
    return _success(host, host.run(argv, timeout_s=COMMAND_TIMEOUT_S)).stdout


def _success(host: Host, result: CommandResult) -> CommandResult:
    if result.returncode:
        raise HostError(
            f"{host.name}: `{' '.join(result.argv)}` ended with {result.returncode} while reading "
            f"the host's facts: {result.stderr.strip()}"
        )
    return result


def _sources(host: Host) -> Mapping[str, str]:
    """The text of the kernel's own files, in one round trip."""
    texts: dict[str, list[str]] = defaultdict(list)
    for line in _output(host, "grep", "-r", "", *SOURCES).splitlines():
        path, _, text = line.partition(":")
        texts[path].append(text)
    missing = [path for path in SOURCES if path != VULNERABILITIES and path not in texts]
    if missing:
        raise HostError(f"{host.name}: {', '.join(missing)} did not answer")
    return {path: "\n".join(lines) for path, lines in texts.items()}


def _mitigations(sources: Mapping[str, str]) -> Mapping[str, str]:
    start = f"{VULNERABILITIES}/"
    return {
        f"vulnerability_{path.removeprefix(start)}": text
        for path, text in sources.items()
        if path.startswith(start)
    }


def _configuration(host: Host, release: str) -> str:
    result = host.run(("zcat", "/proc/config.gz"), timeout_s=COMMAND_TIMEOUT_S)
    return result.stdout if result.returncode == 0 else _output(host, "cat", f"/boot/config-{release}")


def program_facts(
    host: Host, server: Server, workloads: Collection[str], own: Own = NONE
) -> Mapping[str, str]:
    """The bytes of what is measured, which must be the same below both prefixes, and versions.

    Raises HostError if the host does not answer, ProofError if its two copies differ.
    """
    served = any(need_server(workloads, own).values())
    measured = (*([SERVER_PROGRAMS[server]] if served else []), *programs(workloads, own), PROBE)
    paths = [prefix.path(program) for program in measured for prefix in Prefix]
    lines = _output(host, "sha256sum", *paths).splitlines()
    sums = {path.strip(): checksum for checksum, _, path in (line.partition(" ") for line in lines)}
    for program in measured:
        _require_same(host, program, {sums[prefix.path(program)] for prefix in Prefix})
    facts = {f"{program.rsplit('/', 1)[1]}_sha256": sums[Prefix.USR.path(program)] for program in measured}
    for program in (program for program in measured if program in VERSIONED):
        version = _output(host, Prefix.USR.path(program), "--version").strip()
        facts[f"{program.rsplit('/', 1)[1]}_version"] = version.removeprefix(Prefix.USR.path(program)).strip()
    return facts


def _require_same(host: Host, program: str, sums: set[str]) -> None:
    if len(sums) > 1:
        raise ProofError(
            f"{host.name}: {program} is not the same file below {Prefix.USR} and {Prefix.TRUSTED}",
            remedy=f"copy {Prefix.USR.path(program)} to {Prefix.TRUSTED.path(program)} and run again",
        )
