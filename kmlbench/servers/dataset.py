# SPDX-License-Identifier: MIT
"""Loads a workload's tables with SQLAlchemy, through PyMySQL over a stream that the host dials."""

from __future__ import annotations

import io
from itertools import islice
from socket import socket
from typing import cast

import pymysql
from sqlalchemy import (
    CHAR,
    Column,
    Connection,
    Engine,
    Index,
    Integer,
    MetaData,
    Table,
    UniqueConstraint,
    create_engine,
    insert,
    select,
)
from sqlalchemy.exc import SQLAlchemyError

from kmlbench.errors import HostError, TrialError
from kmlbench.model import ByteStream, Host
from kmlbench.servers.server import ServerHandle
from kmlbench.workloads import wisconsin_data

BATCH_ROWS = 2000

TIMEOUT_S = 120.0


def load_tables(name: str, host: Host, handle: ServerHandle) -> None:
    """Create and fill the tables of the data set `name` in the server of `handle`.

    Raises TrialError(stage="load") if the server refuses, is gone, or the stream breaks.
    """
    if name != wisconsin_data.DATASET:
        raise TrialError(f"there is no data set {name!r}, only {wisconsin_data.DATASET!r}", stage="load")
    engine = create_engine("mysql+pymysql://", creator=lambda: _connect(host, handle))
    try:
        fill_tables(engine)
    except (SQLAlchemyError, pymysql.MySQLError, OSError, HostError) as error:
        raise TrialError(f"loading {name}: {error}", stage="load") from error
    finally:
        engine.dispose()


def fill_tables(engine: Engine) -> None:
    """Create and fill the Wisconsin tables in any database that SQLAlchemy supports."""
    metadata = table_schema()
    filled: dict[wisconsin_data.Generator, Table] = {}
    with engine.begin() as connection:
        for name, table in metadata.tables.items():
            table.drop(connection, checkfirst=True)
            table.create(connection)
            spec = wisconsin_data.TABLES[name]
            if spec in filled:
                _copy(connection, filled[spec], table)
            else:
                _insert(connection, table, spec)
                filled[spec] = table


def table_schema() -> MetaData:
    """The four tables, in the order in which they are created and filled."""
    metadata = MetaData()
    for name in wisconsin_data.TABLES:
        Table(
            name,
            metadata,
            *(
                Column(column, Integer, nullable=column not in wisconsin_data.NOT_NULL)
                for column in wisconsin_data.INTEGERS
            ),
            *(Column(column, CHAR(16)) for column in wisconsin_data.STRINGS),
            UniqueConstraint("unique1"),
            UniqueConstraint("unique2"),
            Index(f"{name}_hundred", "hundred"),
        )
    return metadata


def _insert(connection: Connection, table: Table, spec: wisconsin_data.Generator) -> None:
    rows = wisconsin_data.rows(spec)
    while batch := list(islice(rows, BATCH_ROWS)):
        named = [dict(zip(wisconsin_data.COLUMNS, row, strict=True)) for row in batch]
        connection.execute(insert(table), named)


def _copy(connection: Connection, source: Table, table: Table) -> None:
    """The rows of `source` in the order in which they came into it, which decides how full its pages are."""
    rows = select(source).order_by(source.c.unique2)
    if table.name == "Bprime":
        # Not all and some deleted again: that would leave work for the server's purge.
        rows = rows.where(source.c.unique2 < wisconsin_data.BPRIME_ROWS)
    connection.execute(insert(table).from_select(wisconsin_data.COLUMNS, rows))


def _connect(host: Host, handle: ServerHandle) -> pymysql.Connection:
    connection = pymysql.connect(
        user=handle.user,
        password=handle.password,
        database=handle.database,
        charset="utf8mb4",
        read_timeout=TIMEOUT_S,
        write_timeout=TIMEOUT_S,
        ssl_disabled=True,
        defer_connect=True,
    )
    # PyMySQL takes anything with these four methods, though its annotations say socket.
    connection.connect(cast(socket, StreamSocket(host.dial(handle.port))))
    return connection


class StreamSocket:
    """The socket methods that PyMySQL uses, on top of a stream."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream

    def makefile(self, mode: str) -> io.BufferedReader:
        if mode != "rb":
            raise ValueError(f"this stream is read as bytes, not as {mode!r}")
        return io.BufferedReader(_Reader(self._stream))

    def settimeout(self, timeout: float | None) -> None:
        self._stream.settimeout(timeout)

    def sendall(self, data: bytes) -> None:
        self._stream.sendall(data)

    def close(self) -> None:
        self._stream.close()


class _Reader(io.RawIOBase):
    def __init__(self, stream: ByteStream) -> None:
        super().__init__()
        self._stream = stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]  # typeshed's Buffer
        data = self._stream.recv(len(buffer))
        buffer[: len(data)] = data
        return len(data)
