# SPDX-License-Identifier: MIT
"""How a client of MySQL connects: its options, and what its server said of the connections it then had."""

from __future__ import annotations

import re

from kmlbench.errors import TrialError
from kmlbench.model import CommandResult, Process, Sample
from kmlbench.workloads.base import Better, Metric
from kmlbench.workloads.levels import Level, Transport
from kmlbench.workloads.steps import Setting

LOOPBACK = "127.0.0.1"

WORDS = {
    Transport.SOCKET: "the socket",
    Transport.TCP: "TCP without TLS",
    Transport.TLS: "TLS",
}


def metric_name(transport: Transport) -> str:
    """The metric of the connections that went through a transport."""
    return f"connections_{transport}"


METRICS = tuple(
    Metric(name=metric_name(transport), unit="1", better=Better.NEITHER) for transport in Transport
)

# A line of a client for each of its connections: the host of the account that the server took it for, which
# is localhost for its socket only, and the version and the cipher of TLS.
_LINE = re.compile(r"^(?:sysbench|pymysql): connection (\S+) (\S+) (\S+)$", re.MULTILINE | re.ASCII)

_NONE = "-"


def options(setting: Setting, transport: Transport) -> tuple[str, ...]:
    """What asks a client of ours to ask the server; nothing where the socket is the only way.

    The certificate's directory becomes the client's working directory: sysbench looks for it there.
    """
    if not setting.port:
        return ()
    where = (f"--tls-files={setting.directory}",) if transport is Transport.TLS else ()
    return (f"--transport={transport}", *where)


def connection_samples(result: CommandResult, level: Level, driver: str) -> tuple[Sample, ...]:
    """How many connections were of the level's transport, where the client was asked.

    Raises TrialError(stage="check") when the server saw others.
    """
    if f"--transport={level.transport}" not in result.argv:
        return ()
    seen = _LINE.findall(result.stdout)
    if len(seen) != level.threads:
        raise TrialError(f"the client asked about {len(seen)} of {level.threads} connections", stage="check")
    for host, version, cipher in seen:
        if _transport(host, version, cipher) is not level.transport:
            raise TrialError(
                f"a connection that was to go through {WORDS[level.transport]} is, as the server says, one "
                f"from {host} with TLS {version} and cipher {cipher}",
                stage="check",
            )
    name = metric_name(level.transport)
    return (Sample(metric=name, unit="1", value=len(seen), process=Process.CLIENT, driver=driver),)


def _transport(host: str, version: str, cipher: str) -> Transport | None:
    """What a connection goes through; None for what is none of the levels."""
    match host, version == _NONE, cipher == _NONE:
        case "localhost", True, True:
            return Transport.SOCKET
        case "127.0.0.1", True, True:
            return Transport.TCP
        case "127.0.0.1", False, False:
            return Transport.TLS
    return None
