# SPDX-License-Identifier: MIT
"""Has the server purge after the work and not beside it, as oltp/purge.lua does (docs/decisions/0059)."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from marks import Kind, Marks
from pymysql.connections import Connection
from pymysql.cursors import Cursor

MOMENT_S = 0.01
RESTS = 5
BUSY = 0.2
LIMIT_S = 120.0
TRUNCATION = "innodb_purge_rseg_truncate_frequency"


@contextmanager
def purging_afterwards(connection: Connection, marks: Marks) -> Iterator[None]:
    """The server's purge is stopped until the end, by `connection`, which does nothing else; then it purges.

    The server is waited for until it has hardly used its CPU for RESTS moments, if $KMLBENCH_SERVER_PID says
    who it is. Raises TimeoutError when it still purges after LIMIT_S.
    """
    with connection.cursor() as cursor:
        truncates = cursor.execute(f"SHOW GLOBAL VARIABLES LIKE '{TRUNCATION}'") > 0
        _truncate_after("1", cursor, truncates)
        cursor.execute("CREATE TABLE IF NOT EXISTS kmlbench_purge (n INTEGER)")
        cursor.execute("INSERT INTO kmlbench_purge VALUES (0)")
        _await_rest()
        _truncate_after("DEFAULT", cursor, truncates)
        cursor.execute("FLUSH TABLES kmlbench_purge FOR EXPORT")
        yield
        marks.mark(Kind.PURGE)
        cursor.execute("UNLOCK TABLES")
        _truncate_after("1", cursor, truncates)
        # A server that could not purge is woken by a change.
        cursor.execute("UPDATE kmlbench_purge SET n = n + 1")
        _await_rest()
        marks.mark(Kind.FINISH)
        _truncate_after("DEFAULT", cursor, truncates)


def _truncate_after(batches: str, cursor: Cursor, truncates: bool) -> None:
    """See truncate_after of oltp/purge.lua."""
    cursor.execute(f"SET GLOBAL {TRUNCATION} = {batches}" if truncates else "DO 0")


def _await_rest() -> None:
    server = os.environ.get("KMLBENCH_SERVER_PID")
    if not server:
        return
    # What a process has run in all its threads; the clock's id is Linux's, see workloads/measure.
    clock = ~int(server) << 3 | 2
    resting, start = 0, time.monotonic()
    while resting < RESTS:
        used, begun = time.clock_gettime(clock), time.monotonic()
        time.sleep(MOMENT_S)
        took = time.monotonic() - begun
        resting = resting + 1 if time.clock_gettime(clock) - used < BUSY * took else 0
        if begun - start > LIMIT_S:
            raise TimeoutError(f"the server still purged after {LIMIT_S:g} s")
