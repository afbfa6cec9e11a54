# SPDX-License-Identifier: MIT
"""The generator against the published hashes, the statements against the published row counts."""

from __future__ import annotations

import hashlib

import pytest
from sqlalchemy import Engine, create_engine

from kmlbench.errors import InputError
from kmlbench.servers import dataset
from kmlbench.workloads import wisconsin_data
from kmlbench.workloads.wisconsin_data import ONEK, TENK, Form, Generator, Statement, StatementKind

HASHES = [
    (ONEK, 64_300, "a11ee5e3fc36669c504a3142430b4cdb5c528384c5dcb2de7573eb6b3e74abc9"),
    (TENK, 730_800, "f1340d43eb780a087c1cd194ead05e8a7272a97b8ffb03d0afd6ab09eb5ba112"),
]


@pytest.mark.parametrize(("spec", "size", "sha256"), HASHES)
def test_the_generated_files_have_the_published_hashes(spec: Generator, size: int, sha256: str) -> None:
    text = "".join(wisconsin_data.csv_line(row) for row in wisconsin_data.rows(spec)).encode()
    assert len(text) == size
    assert hashlib.sha256(text).hexdigest() == sha256


@pytest.mark.parametrize(
    ("spec", "first", "last"), [(ONEK, [147, 931, 714, 711], 278), (TENK, [8800, 1891, 3420, 9850], 2968)]
)
def test_the_permutation_begins_and_ends_as_published(spec: Generator, first: list[int], last: int) -> None:
    unique1 = [row[0] for row in wisconsin_data.rows(spec)]
    assert unique1[:4] == first
    assert unique1[-1] == last
    assert sorted(map(int, unique1)) == list(range(spec.rows))


def test_the_tables_come_in_the_published_order_with_the_published_keys() -> None:
    metadata = dataset.table_schema()
    assert list(metadata.tables) == ["onek", "tenk1", "tenk2", "Bprime"]
    for table in metadata.tables.values():
        assert [column.name for column in table.columns] == list(wisconsin_data.COLUMNS)
        assert {column.name for column in table.columns if not column.nullable} == set(
            wisconsin_data.NOT_NULL
        )
        assert not list(table.primary_key.columns)
        assert [[column.name for column in index.columns] for index in table.indexes] == [["hundred"]]


@pytest.fixture
def engine() -> Engine:
    engine = create_engine("sqlite://")
    dataset.fill_tables(engine)
    return engine


ROWS_24 = [100, 1000, 1, 100, 1000, 1000, 1000, 10000, 1000, 1]
ROWS_32 = [
    *(100, 1000, 100, 1000, 100, 1000, 1, 100),
    *(1000,) * 9,
    *(10000, 1000),
    *(1, 100, 100, 1, 100, 100),
]


@pytest.mark.parametrize(
    ("form", "rows", "all_cells"),
    [(Form.STATEMENTS_24, ROWS_24, 191_217), (Form.QUERIES_32, ROWS_32, 418_818)],
)
def test_all_statements_return_and_change_what_was_published(
    engine: Engine, form: Form, rows: list[int], all_cells: int
) -> None:
    seen = []
    cells = 0
    with engine.begin() as connection:
        for statement in wisconsin_data.statements(form):
            result = connection.exec_driver_sql(statement.text)
            if statement.kind is StatementKind.QUERY:
                actual = result.fetchall()
                seen.append(len(actual))
                cells += sum(len(row) for row in actual)
            else:
                seen.append(result.rowcount)
            assert seen[-1] == statement.rows
        end = connection.exec_driver_sql(wisconsin_data.END_QUERY).one()
    assert seen == rows + [1] * 14
    assert cells == all_cells
    golden = wisconsin_data.GOLDEN_END
    assert tuple(end) == (golden.rows, golden.sum_unique1, golden.sum_unique2)
    engine.dispose()


def test_the_fourteen_modifications_are_the_published_ones(engine: Engine) -> None:
    inserted = {10001: 74001, 19991: 60001, 20002: 70002, 50002: 40002}
    others = (
        0,
        2,
        0,
        10,
        50,
        688,
        1950,
        4950,
        9950,
        1,
        100,
        "ron may choi",
        "jae kwang choi",
        "u. c. berkeley",
    )
    moved = {1480: 10023, 187: 10088, 2000: 10003, 1974: 10020, 1140: 16001}
    loaded = {int(row[1]): int(row[0]) for row in wisconsin_data.rows(TENK)}
    expected = {
        unique2: unique1 for unique2, unique1 in loaded.items() if unique2 not in (877, 876, 1491, 900)
    }
    expected = {moved.get(unique2, unique2): unique1 for unique2, unique1 in expected.items()}
    expected |= {unique2: unique1 for unique1, unique2 in inserted.items()}
    with engine.begin() as connection:
        for statement in wisconsin_data.statements():
            connection.exec_driver_sql(statement.text)
        rows = connection.exec_driver_sql(f"SELECT {', '.join(wisconsin_data.COLUMNS)} FROM tenk1").fetchall()
    assert {row[1]: row[0] for row in rows} == expected
    assert [tuple(row[2:]) for row in rows if row[0] in inserted] == [others] * 4
    engine.dispose()


def test_bprime_keeps_a_thousand_rows_and_the_third_query_finds_5513(engine: Engine) -> None:
    with engine.connect() as connection:
        counts = [
            connection.exec_driver_sql(f"SELECT COUNT(*) FROM {name}").scalar()
            for name in wisconsin_data.TABLES
        ]
        third = connection.exec_driver_sql(wisconsin_data.statements()[2].text).one()
    assert counts == [1000, 10000, 10000, 1000]
    assert sum(spec.rows for spec in wisconsin_data.TABLES.values()) == 31_000
    assert third[0] == 5513
    engine.dispose()


def test_one_pass_returns_the_published_rows_and_text(engine: Engine) -> None:
    """15,202 rows, and about 772 KB in the text protocol: a byte before each cell, four before each row."""
    queries = [
        statement for statement in wisconsin_data.statements() if statement.kind is StatementKind.QUERY
    ]
    with engine.connect() as connection:
        rows = [row for each in queries for row in connection.exec_driver_sql(each.text)]
    assert len(rows) == 15_202
    assert sum(len(str(cell)) for row in rows for cell in row) + 191_217 + 4 * 15_202 == 772_021
    engine.dispose()


def test_the_groups_of_the_32_queries_add_up(engine: Engine) -> None:
    texts = [statement.text for statement in wisconsin_data.statements(Form.QUERIES_32)]
    with engine.connect() as connection:
        minima, sums = ([row[0] for row in connection.exec_driver_sql(texts[index])] for index in (20, 21))
    assert len(minima) == len(set(minima)) == 100
    assert min(minima) == 0
    assert sum(sums) == 9_999 * 10_000 // 2
    assert texts[19:22] == texts[22:25]
    engine.dispose()


def test_no_result_column_has_the_name_of_another() -> None:
    engine = create_engine("sqlite://")
    dataset.fill_tables(engine)
    with engine.connect() as connection:
        for statement in (statement for form in Form for statement in wisconsin_data.statements(form)):
            if statement.kind is StatementKind.QUERY:
                keys = list(connection.exec_driver_sql(statement.text).keys())
                assert len(set(keys)) == len(keys)
    engine.dispose()


ENTRY = '   {kind = "query", rows = 1, text = [[SELECT 1]]},\n'


def test_the_statement_file_is_read_line_by_line() -> None:
    item = Statement(kind=StatementKind.QUERY, rows=1, text="SELECT 1")
    assert wisconsin_data.parse_statements(f"-- text\nreturn {{\n{ENTRY}{ENTRY}}}\n") == (item, item)


@pytest.mark.parametrize(
    "body",
    [
        "",
        ENTRY.replace("rows = 1, ", ""),
        ENTRY.replace("query", "quarry"),
        ENTRY + "-- text\n",
        ENTRY.replace("1", "x"),
    ],
)
def test_a_statement_without_its_expectation_is_refused(body: str) -> None:
    with pytest.raises(InputError, match=r"statements\.lua"):
        wisconsin_data.parse_statements(f"-- text\nreturn {{\n{body}}}\n")
