# SPDX-License-Identifier: MIT
"""Has the server purge after the work and not beside it, as oltp/purge.lua does (docs/decisions/0059)."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager

from marks import Kind, Marks
from pymysql.connections import Connection

MOMENT_S = 0.01
RESTS = 5
BUSY = 0.2
LIMIT_S = 120.0


@contextmanager
def purging_afterwards(connection: Connection, marks: Marks) -> Iterator[None]:
    """What `connection`, which does nothing else, could read stays until the end; then it is purged.

    The server is waited for until it has hardly used its CPU for RESTS moments, if $KMLBENCH_SERVER_PID says
    who it is. Raises TimeoutError when it still purges after LIMIT_S.
    """
    with connection.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS kmlbench_purge (n INTEGER)")
        cursor.execute("INSERT INTO kmlbench_purge VALUES (0)")
        cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
        yield
        marks.mark(Kind.PURGE)
        cursor.execute("ROLLBACK")
        # A server that could not purge is woken by a change.
        cursor.execute("UPDATE kmlbench_purge SET n = n + 1")
        if server := os.environ.get("KMLBENCH_SERVER_PID"):
            _await_rest(int(server))
        marks.mark(Kind.FINISH)


def _await_rest(server: int) -> None:
    # What a process has run in all its threads; the clock's id is Linux's, see workloads/measure.
    clock = ~server << 3 | 2
    resting, start = 0, time.monotonic()
    while resting < RESTS:
        used, begun = time.clock_gettime(clock), time.monotonic()
        time.sleep(MOMENT_S)
        took = time.monotonic() - begun
        resting = resting + 1 if time.clock_gettime(clock) - used < BUSY * took else 0
        if begun - start > LIMIT_S:
            raise TimeoutError(f"the server still purged after {LIMIT_S:g} s")
