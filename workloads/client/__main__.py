# SPDX-License-Identifier: MIT
"""The second client: sends what sysbench sends, through PyMySQL, and reports like it.

python3 client oltp MIX   --events N --seed N [--pace EVENTS_PER_SECOND]
python3 client wisconsin  --statements FILE --loops N

Lines "pymysql: NAME VALUE", times in seconds; then, of oltp, the latencies as histogram.py has them. With a
pace event N is meant to start at N / pace, and a late start counts: `intended` begins when the event should
have begun, `service` when it did.

After --warm-up events every --window events are a window of the instrument, as many as fit; of wisconsin each
execution of a statement is one, but the first of several. With --purge the server purges after the work, in a
window of its own; for wisconsin it always does.

--transport says what the connections are meant to go through; then the server is asked, and a line says what
it answers, as of oltp/connection.lua.
"""

from __future__ import annotations

import argparse
import re
import time
from contextlib import nullcontext
from pathlib import Path

import pymysql
from histogram import Histogram
from marks import Kind, Marks
from mixes import events
from purge import purging_afterwards
from pymysql.connections import Connection
from pymysql.cursors import Cursor

MIXES = Path(__file__).resolve().parent.parent / "oltp" / "mixes.toml"
STATEMENT = re.compile(r'\{kind = "(\w+)", rows = \d+, text = \[\[(.*)\]\]\}')


class Client:
    """A connection that counts what its statements did, as sysbench does."""

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor
        self.reads = self.writes = self.other = 0

    def send(self, statement: str) -> int:
        """Send a statement and take all its rows; how many they are, or how many it changed."""
        self._cursor.execute(statement)
        if self._cursor.description is not None:
            self.reads += 1
            return len(self._cursor.fetchall())
        changed = int(self._cursor.rowcount)
        if changed > 0:
            self.writes += 1
        else:
            self.other += 1
        return changed

    def report(self, events_done: int, seconds: float) -> None:
        """The lines that oltp/report.lua prints."""
        numbers = {"time_total": seconds, "events": events_done, "reads": self.reads, "writes": self.writes}
        # PyMySQL raises on the first error and never reconnects by itself.
        for name, value in {**numbers, "other": self.other, "errors": 0, "reconnects": 0}.items():
            print(f"pymysql: {name} {value:.9f}")


class Windows:
    """Marks a window every `size` events after `warm_up` events, as many as fit; none for a size of 0."""

    def __init__(self, warm_up: int, size: int, events: int) -> None:
        self._warm_up, self._size, self._events = warm_up, size, events
        self._marks = Marks()

    def at(self, started: int) -> None:
        """After so many events: begin the window of those that come next, and end the one before."""
        past = started - self._warm_up
        if not self._size or past < 0 or past % self._size:
            return
        if past == 0:
            self._marks.write_maps()
        if started + self._size <= self._events:
            self._marks.mark(Kind.MEASURED, past // self._size)
        else:
            self._marks.mark(Kind.FINISH)


def oltp(client: Client, options: argparse.Namespace) -> None:
    """Run the events of a mix, one after the other or at a pace."""
    histograms = [Histogram("service"), *([Histogram("intended")] if options.pace else [])]
    stream = events(MIXES.read_text(encoding="utf-8"), options.mix, options.seed, options.events)
    windows = Windows(options.warm_up, options.window, options.events)
    start = time.monotonic_ns()
    for number, statements in enumerate(stream):
        windows.at(number)
        intended = start + int(number * 1e9 / options.pace) if options.pace else start
        if options.pace:
            time.sleep(max(0, intended - time.monotonic_ns()) / 1e9)
        begun = time.monotonic_ns()
        for statement in statements:
            client.send(statement)
        ended = time.monotonic_ns()
        for histogram, since in zip(histograms, (begun, intended), strict=False):
            histogram.record(ended - since)
    windows.at(options.events)
    client.report(options.events, (time.monotonic_ns() - start) / 1e9)
    for line in (line for histogram in histograms for line in histogram.lines()):
        print(f"pymysql: {line}")


def wisconsin(client: Client, options: argparse.Namespace) -> None:
    """Each query `loops` times back to back, each modification once; the lines of wisconsin.lua."""
    start = time.monotonic_ns()
    found = STATEMENT.findall(options.statements.read_text(encoding="utf-8"))
    marks = Marks()
    marks.write_maps()
    for number, (kind, text) in enumerate(found, start=1):
        if kind == "modify":
            marks.mark(Kind.STATEMENT, number)
            client.send(text)
            marks.mark(Kind.FINISH)
            print(f"wisconsin: {number} modify -")
            continue
        rows = set()
        for execution in range(options.loops):
            if execution or options.loops == 1:
                marks.mark(Kind.STATEMENT, number)
            rows.add(client.send(text))
        marks.mark(Kind.FINISH)
        assert len(rows) == 1, f"a query returned different numbers of rows: {text}"
        print(f"wisconsin: {number} query {rows.pop()}")
    client.report(1, (time.monotonic_ns() - start) / 1e9)


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="client")
    for name in ("--defaults-file", "--user", "--database"):
        parser.add_argument(name, required=True)
    for name in ("--socket", "--host", "--transport", "--tls-files"):
        parser.add_argument(name)
    parser.add_argument("--port", type=int, default=0)
    workloads = parser.add_subparsers(required=True)
    first = workloads.add_parser("oltp")
    first.add_argument("mix")
    first.add_argument("--events", type=int, required=True)
    first.add_argument("--seed", type=int, required=True)
    first.add_argument("--pace", type=float, default=0.0)
    first.add_argument("--warm-up", type=int, default=0)
    first.add_argument("--window", type=int, default=0)
    first.add_argument("--purge", action="store_true")
    first.set_defaults(run=oltp)
    second = workloads.add_parser("wisconsin")
    second.add_argument("--statements", type=Path, required=True)
    second.add_argument("--loops", type=int, required=True)
    second.set_defaults(run=wisconsin, purge=True)
    return parser.parse_args()


def connect(options: argparse.Namespace) -> Connection:
    """A connection of the user that the options name."""
    return pymysql.connect(
        read_default_file=options.defaults_file,
        unix_socket=options.socket,
        host=options.host,
        port=options.port,
        ssl={"ca": f"{options.tls_files}/cacert.pem"} if options.tls_files else None,
        ssl_disabled=not options.tls_files,
        user=options.user,
        database=options.database,
        charset="utf8mb4",
        autocommit=True,
    )


def tell_connection(cursor: Cursor) -> None:
    """Ask the server how it is reached; the line that oltp/connection.lua prints."""
    cursor.execute("SELECT CURRENT_USER()")
    ((account,),) = cursor.fetchall()
    cursor.execute("SHOW SESSION STATUS WHERE Variable_name IN ('Ssl_cipher', 'Ssl_version')")
    tls = {name.lower(): value or "-" for name, value in cursor.fetchall()}
    host = account.rpartition("@")[2]
    print(f"pymysql: connection {host} {tls.get('ssl_version', '-')} {tls.get('ssl_cipher', '-')}")


def main() -> None:
    """Connect, run, report."""
    options = parsed()
    with (
        connect(options) as connection,
        connect(options) as beside,
        connection.cursor() as cursor,
        purging_afterwards(beside, Marks()) if options.purge else nullcontext(),
    ):
        if options.transport:
            tell_connection(cursor)
        options.run(Client(cursor), options)


if __name__ == "__main__":
    main()
