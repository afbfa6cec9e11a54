# SPDX-License-Identifier: MIT
"""The command line of workloads/client, the second client: PyMySQL from either prefix."""

from __future__ import annotations

from kmlbench.model import Setting
from kmlbench.workloads.sysbench import DATABASE, SCRIPTS

DRIVER = "pymysql"


def argv(setting: Setting, *workload: str) -> tuple[str, ...]:
    """The client's command line; the password is in a file.

    -E: no variable of the environment counts. -B: compiled anew each time, so that no trial finds what
    another one left.
    """
    return (
        *(setting.prefix.path("bin/python3"), "-E", "-B", f"{SCRIPTS}/client"),
        f"--defaults-file={setting.password_file}",
        f"--socket={setting.socket}",
        f"--user={setting.user}",
        f"--database={DATABASE}",
        *workload,
    )
