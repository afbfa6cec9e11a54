# SPDX-License-Identifier: MIT
"""The command line of workloads/client, the second client: PyMySQL from either prefix."""

from __future__ import annotations

from kmlbench.workloads.steps import Setting
from kmlbench.workloads.sysbench import DATABASE, SCRIPTS

DRIVER = "pymysql"


def argv(setting: Setting, *workload: str) -> tuple[str, ...]:
    """The client's command line; the password is in a file.

    -E ignores the environment's variables. -B writes no bytecode, so that each trial compiles anew.
    """
    return (
        *(setting.prefix.path("bin/python3"), "-E", "-B", f"{SCRIPTS}/client"),
        f"--defaults-file={setting.password_file}",
        f"--socket={setting.socket}",
        f"--user={setting.user}",
        f"--database={DATABASE}",
        *workload,
    )
