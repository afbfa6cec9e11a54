# SPDX-License-Identifier: MIT
"""The command lines of the database servers: every option is here, and no configuration file is read.

Both prefixes get the same options, --basedir=/usr included, so that plugins and messages are the same files.
The durability is each server's default: MySQL writes a binary log and syncs it and the redo log at every
commit (a system call each, even in memory), MariaDB has no binary log. The data lies in memory, so sizes are
small: a buffer pool that holds every workload's data, and MySQL's log buffer is 8 MB, since its 64 MB are
one eighth of the page faults of a start. MySQL's performance schema is on, as it is by default. The
optimizer's statistics are computed before a measurement, not whenever the server schedules it. So are dirty
pages written back; an idle MySQL does so by itself, and takes a single busy client for idleness: that is off.
A server that root starts locks its memory, and so has all of its buffer pool before a measurement: otherwise
the first use of another 2 MB of it, 2.7 million instructions, falls into a window or does not.
"""

from __future__ import annotations

from dataclasses import dataclass

from kmlbench.model import Server
from kmlbench.workloads.levels import MOST_THREADS


@dataclass(frozen=True, slots=True, kw_only=True)
class Programs:
    """The daemon and the client of a server, relative to a prefix."""

    daemon: str
    client: str


PROGRAMS = {
    Server.MYSQL: Programs(daemon="sbin/mysqld", client="bin/mysql"),
    Server.MARIADB: Programs(daemon="sbin/mariadbd", client="bin/mariadb"),
}

_COMMON = (
    "--basedir=/usr",
    "--bind-address=127.0.0.1",
    "--character-set-server=utf8mb4",
    "--default-storage-engine=InnoDB",
    "--innodb-buffer-pool-size=256M",
    "--innodb-flush-log-at-trx-commit=1",
    "--innodb-stats-auto-recalc=OFF",
    f"--max-connections={MOST_THREADS + 1}",
    "--memlock",
    "--secure-file-priv=",
    "--skip-name-resolve",
)

_OWN = {
    Server.MYSQL: (
        "--innodb-idle-flush-pct=0",
        "--innodb-log-buffer-size=8M",
        "--innodb-redo-log-capacity=64M",
        "--log-bin=binlog",
        "--sync-binlog=1",
        "--mysqlx=OFF",
        "--performance-schema=ON",
    ),
    Server.MARIADB: ("--innodb-log-file-size=64M", "--skip-log-bin", "--performance-schema=OFF"),
}


def arguments(server: Server, directory: str, owner: str, port: int) -> tuple[str, ...]:
    """The options of `server` for the data directory below `directory`, run as the user `owner`."""
    return (
        "--no-defaults",
        f"--user={owner}",
        f"--datadir={directory}/data",
        f"--socket={directory}/socket",
        f"--pid-file={directory}/pid",
        f"--init-file={directory}/init.sql",
        f"--port={port}",
        *_COMMON,
        *_OWN[server],
    )
