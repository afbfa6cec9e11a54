# SPDX-License-Identifier: MIT
"""What a workload asks of a host: its steps, and the setting that they run in."""

from __future__ import annotations

from dataclasses import dataclass

from kmlbench.model import Prefix


@dataclass(frozen=True, slots=True, kw_only=True)
class Rounds:
    """What of a measured step is measured: `commands`, each `count` times, in turn.

    `work` says how much the step's own command does, which warms up, and then each of these. If
    `keep_going`, a run that fails is told and not an error.
    """

    commands: tuple[tuple[str, ...], ...]
    work: tuple[int, ...]
    count: int
    keep_going: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One command of a workload on a host.

    A measured step runs under workloads/measure, or with `rounds` under workloads/rounds, which report the
    resources of the client and the server; the others (creating and filling tables) do not. A traced step
    counts calls instead, and starts as a measured one does.
    """

    name: str
    argv: tuple[str, ...]
    timeout_s: float
    measured: bool = False
    traced: bool = False
    rounds: Rounds | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """What an adapter may know when it names its steps: where things are on the host, and how much to do.

    `loops` is the number of passes of a workload that has passes; without it, its own count times the scale.
    `rate_per_s` is the pace of a workload that has events; without it they run back to back.
    `server_pid` is 0 where there is no server. `directory` and `port` are for a workload that brings a server
    or files of its own. Those of the campaign's server are given where a client may choose its transport:
    its certificate, with the key, is in the directory.
    """

    prefix: Prefix
    socket: str
    user: str
    password_file: str
    seed: int
    scale: float = 1.0
    loops: int | None = None
    rate_per_s: float | None = None
    server_pid: int = 0
    directory: str = ""
    port: int = 0
