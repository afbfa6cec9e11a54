# SPDX-License-Identifier: MIT
"""The command line of workloads/client, the second client: PyMySQL from either prefix."""

from __future__ import annotations

from kmlbench.workloads import transports
from kmlbench.workloads.levels import Transport
from kmlbench.workloads.steps import Setting
from kmlbench.workloads.sysbench import DATABASE, SCRIPTS

DRIVER = "pymysql"


def argv(setting: Setting, transport: Transport, *workload: str) -> tuple[str, ...]:
    """The client's command line; the password is in a file.

    -E ignores the environment's variables. -B writes no bytecode, so that each trial compiles anew.
    """
    return (
        *(setting.prefix.path("bin/python3"), "-E", "-B", f"{SCRIPTS}/client"),
        f"--defaults-file={setting.password_file}",
        *_address(setting, transport),
        f"--user={setting.user}",
        f"--database={DATABASE}",
        *transports.options(setting, transport),
        *workload,
    )


def _address(setting: Setting, transport: Transport) -> tuple[str, ...]:
    if transport is Transport.SOCKET:
        return (f"--socket={setting.socket}",)
    return (f"--host={transports.LOOPBACK}", f"--port={setting.port}")
