# SPDX-License-Identifier: MIT
"""Both clients and both servers in guests: the same statements, and the golden figures of Wisconsin."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest
from support.databases import client_argv, emptied, samples, sql
from support.guest_programs import check

from kmlbench.build.artifacts import ImageArtifact
from kmlbench.hosts.qemu import GuestSpec, boot
from kmlbench.hosts.ssh import SshHost
from kmlbench.model import Prefix, Server
from kmlbench.run import trial as trials
from kmlbench.servers import dataset
from kmlbench.servers import server as mysql
from kmlbench.servers.server import ServerHandle
from kmlbench.workloads import wisconsin_data
from kmlbench.workloads.oltp import mixes
from kmlbench.workloads.registry import ADAPTERS

pytestmark = pytest.mark.guest
EVENTS = 20
PACED_EVENTS = 40
# The database in which the loaded tables are kept.
COPY = "loaded"
SEED = 20051
# Their statements are those of read_write.
HALVES = ("read_only", "write_only")
WISCONSIN = tuple(name for name in ADAPTERS if name.startswith("wisconsin"))
# Each client and each form of the benchmark, once.
EACH = ("wisconsin", "wisconsin32_pymysql")
THROUGH_TLS = ("wisconsin_tls", "wisconsin32_pymysql_tls")
# What both clients ask about their connections.
CONNECTION = ("SELECT CURRENT_USER", "SHOW SESSION STATUS")
# What says nothing of a mix: the client's own set-up, the test's switch, and what holds back the purge.
SETTING_UP = ("SET NAMES", "SET GLOBAL", "select @@", "TRUNCATE", *CONNECTION)
PURGE = ("kmlbench_purge", "SHOW GLOBAL VARIABLES", "UNLOCK TABLES")


@pytest.fixture(scope="module")
def mariadb_guest(
    stock_spec: GuestSpec, mariadb_image: ImageArtifact, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SshHost]:
    spec = replace(stock_spec, image=mariadb_image)
    with boot(spec, directory=tmp_path_factory.mktemp("mariadb")) as host:
        yield host


@pytest.fixture(scope="module")
def stock_mysql(stock_guest: SshHost) -> Iterator[ServerHandle]:
    with mysql.running_server(stock_guest, Prefix.TRUSTED, Server.MYSQL, by_network=True) as handle:
        yield handle


@pytest.fixture(scope="module")
def prepared() -> list[int | None]:
    """The rows of the table that is there: sysbench's own scripts make the same one, but for bulk_insert."""
    return []


def logged(guest: SshHost, handle: ServerHandle, *commands: Sequence[str]) -> list[str]:
    """The statements that the server executed for commands, as its general log has them."""
    mysql_ = Server.MYSQL
    start = "SET GLOBAL log_output = 'TABLE'; TRUNCATE mysql.general_log; SET GLOBAL general_log = 1"
    sql(guest, handle, mysql_, start)
    for command in commands:
        check(guest, *command)
    executed = (
        "SET GLOBAL general_log = 0; "
        "SELECT HEX(argument) FROM mysql.general_log WHERE command_type IN ('Query', 'Execute')"
    )
    lines = sql(guest, handle, mysql_, executed, "--skip-column-names").split()
    statements = [bytes.fromhex(line).decode().strip() for line in lines]
    return [
        statement
        for statement in statements
        if not statement.startswith(SETTING_UP) and not any(words in statement for words in PURGE)
    ]


@pytest.mark.parametrize(
    "mix", [pytest.param(mix, marks=pytest.mark.soak) if mix in HALVES else mix for mix in mixes()]
)
def test_both_clients_send_the_same_statements(
    stock_guest: SshHost, stock_mysql: ServerHandle, prepared: list[int | None], mix: str
) -> None:
    """Statement by statement, for one seed. What a statement says does not depend on the table's rows."""
    sizes = mixes()[mix]
    setting = stock_mysql.setting(seed=SEED, scale=EVENTS / sizes.events)
    prepare, by_sysbench = ADAPTERS[f"oltp_{mix}"].steps(setting)
    same_prepare, by_pymysql = ADAPTERS[f"oltp_{mix}_pymysql"].steps(setting)
    assert same_prepare.argv == prepare.argv
    if prepared != [sizes.table_size]:
        emptied(stock_guest, stock_mysql)
        check(stock_guest, *prepare.argv)
        prepared[:] = [sizes.table_size]
    count = EVENTS * sizes.statements if sizes.statements else 1
    # A mix whose rows have numbers of their own starts with an empty table.
    empty = client_argv(stock_mysql, Server.MYSQL, f"TRUNCATE {stock_mysql.database}.sbtest1")
    between = () if sizes.table_size else (empty,)
    statements = logged(stock_guest, stock_mysql, by_sysbench.argv, *between, by_pymysql.argv)
    assert len(statements) == 2 * count
    assert statements[count:] == statements[:count]


@pytest.mark.parametrize(
    ("level", "transport"),
    [("_pymysql_tcp", "tcp"), ("_tcp_4_threads", "tcp"), ("_tls", "tls")],
)
def test_a_pace_is_kept_and_intended_time_begins_with_it(
    stock_guest: SshHost, stock_mysql: ServerHandle, level: str, transport: str
) -> None:
    """Through each transport, as the server says."""
    emptied(stock_guest, stock_mysql)
    setting = replace(
        stock_mysql.setting(seed=SEED, scale=PACED_EVENTS / mixes()["point_select"].events), rate_per_s=20.0
    )
    result = {
        sample.metric: sample.value for sample in samples(stock_guest, f"oltp_point_select{level}", setting)
    }
    assert result[f"connections_{transport}"] == (4 if level.endswith("_4_threads") else 1)
    assert result["throughput"] == pytest.approx(20.0, rel=0.15)
    assert result["intended_latency_mean"] >= result["latency_mean"]
    assert result["intended_latency_p95"] >= result["latency_p95"] * 0.999


def test_each_thread_inserts_into_a_table_of_its_own(stock_guest: SshHost, stock_mysql: ServerHandle) -> None:
    emptied(stock_guest, stock_mysql)
    setting = stock_mysql.setting(seed=SEED, scale=PACED_EVENTS / mixes()["bulk_insert"].events)
    result = samples(stock_guest, "oltp_bulk_insert_4_threads", setting)
    assert [sample.value for sample in result if sample.metric == "transactions"] == [PACED_EVENTS]
    tables = (f"(SELECT COUNT(*) FROM {stock_mysql.database}.sbtest{number})" for number in range(1, 5))
    rows = sql(stock_guest, stock_mysql, Server.MYSQL, f"SELECT {' + '.join(tables)}", "--skip-column-names")
    assert int(rows) == PACED_EVENTS


def loaded(guest: SshHost, handle: ServerHandle, server: Server, table: str) -> list[str]:
    """The rows of a table as the server has them, columns by tabs."""
    query = f"SELECT * FROM {table} ORDER BY unique2"
    return sql(guest, handle, server, query, "--skip-column-names", handle.database).splitlines()


def judge(guest: SshHost, handle: ServerHandle, server: Server, workloads: Sequence[str]) -> None:
    """The adapters judge every statement's rows, and the end, by the golden figures."""
    emptied(guest, handle, server)
    dataset.load_tables("wisconsin", guest, handle)
    require_rows(guest, handle, server)
    copy_tables(guest, handle, server, handle.database, COPY)
    for workload in workloads:
        copy_tables(guest, handle, server, COPY, handle.database)
        # A pass after the first finds what that left.
        loops = 2 if server is Server.MYSQL and workload in EACH else 1
        asked = replace(handle.setting(seed=SEED, scale=1.0), loops=loops)
        result = {sample.metric: sample.value for sample in samples(guest, workload, asked)}
        assert result["passes"] == loops, workload


def require_flushed(guest: SshHost, handle: ServerHandle, server: Server) -> None:
    """Of a server that has nothing else to do, which MySQL takes for a reason to flush nothing."""
    emptied(guest, handle, server)
    row = "SELECT REPEAT('x', 200) FROM information_schema.columns LIMIT 2000"
    filled = f"CREATE TABLE filler AS {row}; INSERT INTO filler SELECT * FROM filler; DO SLEEP(3)"
    sql(guest, handle, server, filled, handle.database)
    dirty = [sql(guest, handle, server, trials.FLUSH).split()[-1] for _ in range(4)]
    assert int(dirty[-1]) <= trials.FEW_PAGES, dirty


def copy_tables(guest: SshHost, handle: ServerHandle, server: Server, source: str, target: str) -> None:
    """Make `target` a copy of a database with Wisconsin's tables: quicker than loading them again."""
    statements = [f"DROP DATABASE IF EXISTS {target}", f"CREATE DATABASE {target}"]
    for table in wisconsin_data.TABLES:
        statements.append(f"CREATE TABLE {target}.{table} LIKE {source}.{table}")
        statements.append(f"INSERT INTO {target}.{table} SELECT * FROM {source}.{table}")
    sql(guest, handle, server, "; ".join(statements))


def require_rows(guest: SshHost, handle: ServerHandle, server: Server) -> None:
    for table, spec in wisconsin_data.TABLES.items():
        rows = ["\t".join(map(str, row)) for row in wisconsin_data.rows(spec)]
        kept = wisconsin_data.BPRIME_ROWS if table == "Bprime" else len(rows)
        assert loaded(guest, handle, server, table) == rows[:kept], table


def test_wisconsins_golden_figures_with_mysql(stock_guest: SshHost, stock_mysql: ServerHandle) -> None:
    judge(stock_guest, stock_mysql, Server.MYSQL, WISCONSIN)


@pytest.mark.parametrize("workloads", [THROUGH_TLS, pytest.param(WISCONSIN, marks=pytest.mark.soak)], ids=len)
def test_wisconsins_golden_figures_with_mariadb(mariadb_guest: SshHost, workloads: Sequence[str]) -> None:
    with mysql.running_server(mariadb_guest, Prefix.TRUSTED, Server.MARIADB, by_network=True) as handle:
        judge(mariadb_guest, handle, Server.MARIADB, workloads)
        require_flushed(mariadb_guest, handle, Server.MARIADB)


def test_dirty_pages_are_flushed_before_a_measurement(
    stock_guest: SshHost, stock_mysql: ServerHandle
) -> None:
    require_flushed(stock_guest, stock_mysql, Server.MYSQL)
