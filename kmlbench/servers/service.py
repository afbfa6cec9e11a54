# SPDX-License-Identifier: MIT
"""What a workload brings along: its directory on the host with its files, and its server, if it has one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace

from kmlbench.errors import HostError, KmlbenchError, TrialError
from kmlbench.model import Host
from kmlbench.servers import daemon
from kmlbench.workloads.base import Provision, Provisioned, Readiness, Service
from kmlbench.workloads.steps import Setting, Step

DIRECTORY = f"{daemon.RUNTIME}/workload"

PORT = 13307

# The shell waits inside the guest: for the exit of the server (1), or until $2 says that it is ready.
_AWAIT = r"""
while kill -0 "$1"; do
    case $2 in
    socket) grep -q -E " 00010000 0001 01 +[0-9]+ $3\$" /proc/net/unix && exit 0 ;;
    port) grep -q -i -E "^ *[0-9]+: [0-9A-F]+:$3 [0-9A-F]+:0000 0A " /proc/net/tcp /proc/net/tcp6 && exit 0 ;;
    output) grep -q -E -e "$3" "$4/log" && exit 0 ;;
    esac
    sleep 0.3
done
exit 1
"""


def placed(setting: Setting) -> Setting:
    """The setting of a workload that brings something along, before its server runs."""
    return replace(setting, directory=DIRECTORY, socket=f"{DIRECTORY}/socket", port=PORT)


@contextmanager
def provided(host: Host, adapter: Provisioned, setting: Setting) -> Iterator[Setting]:
    """The directory, the files and the ready server of a workload, as its setting; gone afterwards.

    Raises TrialError: stage "prepare" for a command before the server, "start server" with the end of the
    server's log, "stop server" when it had to be killed.
    """
    setting = placed(setting)
    provision = adapter.provision(setting)
    try:
        _lay_out(host, provision)
        pid = 0 if provision.service is None else _start(host, provision.service)
        yield replace(setting, server_pid=pid)
    except BaseException:
        with suppress(KmlbenchError):
            daemon.kill(host, DIRECTORY)
        raise
    else:
        if provision.service is not None:
            daemon.stop(host, DIRECTORY, pid)
    finally:
        with suppress(HostError):
            daemon.remove(host, DIRECTORY)


def _lay_out(host: Host, provision: Provision) -> None:
    daemon.require(host.run(["rm", "-rf", DIRECTORY], timeout_s=daemon.COMMAND_S))
    daemon.require(host.run(["mkdir", "-p", DIRECTORY], timeout_s=daemon.COMMAND_S))
    for name, text in provision.files.items():
        daemon.write(host, f"{DIRECTORY}/{name}", owner="root", text=text)
    for step in provision.prepare:
        _prepare(host, step)


def _prepare(host: Host, step: Step) -> None:
    result = host.run(step.argv, timeout_s=step.timeout_s)
    if result.returncode:
        output = (result.stderr or result.stdout).strip()[-1000:] or "no output"
        raise TrialError(
            f"`{' '.join(step.argv)}` ended with {result.returncode}: {output}",
            stage="prepare",
            remedy="the command is in the workload file, under prepare",
        )


def _start(host: Host, service: Service) -> int:
    pid = daemon.launch(host, DIRECTORY, service.argv)
    sign = {
        Readiness.SOCKET: f"{DIRECTORY}/socket",
        Readiness.PORT: f"{_port(service):04X}",
        Readiness.OUTPUT: service.pattern,
    }[service.ready]
    shell = ["sh", "-c", _AWAIT, "sh", str(pid), str(service.ready), sign, DIRECTORY]
    seconds = f"{service.start_s:g}"
    result = host.run(["timeout", seconds, *shell], timeout_s=service.start_s + daemon.COMMAND_S)
    if result.returncode:
        raise TrialError(
            f"{service.argv[0]} {_cause(result.returncode, service)}; end of what it printed:\n"
            f"{daemon.log_tail(host, DIRECTORY)}",
            stage="start server",
            remedy="it has to stay in the foreground; the workload file says how it is known to be ready",
        )
    return pid


def _cause(returncode: int, service: Service) -> str:
    if returncode != 124:
        return "exited while starting"
    awaited = {
        Readiness.SOCKET: "listens on no socket {socket}",
        Readiness.PORT: f"does not listen on port {_port(service)}",
        Readiness.OUTPUT: f"has printed nothing that {service.pattern!r} matches",
    }[service.ready]
    return f"{awaited} after {service.start_s:g} s"


def _port(service: Service) -> int:
    return int(service.pattern) if service.ready is Readiness.PORT and service.pattern else PORT
