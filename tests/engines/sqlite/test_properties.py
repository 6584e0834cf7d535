"""Laws over random schemas: what is rendered reads back the same, and a plan leads from any schema to any other."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import event, given
from hypothesis import strategies as st

from dbops.catalog import codec
from dbops.catalog.catalog import EMPTY
from dbops.catalog.changes import diff
from dbops.catalog.model import Table
from dbops.engines.sqlite.foreign_keys import violations
from dbops.engines.sqlite.tokens import quote
from dbops.errors import QueryError
from tests.engines.sqlite.loop import ENGINE, MEMORY, copy, plan, read, run, take_back, target
from tests.engines.sqlite.schemas import pairs

#: What the rows themselves may refuse; any other error is a fault of the plan.
_REFUSALS = ("constraint", "cannot store", "mismatch", "refer to nothing")


@given(pairs())
def test_a_rendered_schema_reads_back_the_same(pair: tuple[str, str]) -> None:
    for sql in pair:
        catalog = read(sql)
        assert catalog.unmanaged == ()
        assert codec.from_json(codec.to_json(catalog)) == catalog
        for spelled in (catalog, codec.from_json(_without_spelling(codec.to_json(catalog)))):
            with ENGINE.scratch(MEMORY) as conn:
                copy(spelled, conn)
                assert diff(ENGINE.inspect(conn), catalog) == ()
                assert ENGINE.captured(ENGINE.capture(conn)) == ENGINE.inspect(conn)


def _without_spelling(text: str) -> str:
    import json

    data = json.loads(text)
    for item in data["objects"]:
        item.pop("spelling", None)
    return json.dumps(data)


@given(pairs())
def test_a_plan_leads_from_any_schema_to_any_other_and_back(pair: tuple[str, str]) -> None:
    before, after = read(pair[0]), read(pair[1])
    assert diff(before, before) == ()
    with ENGINE.scratch(MEMORY) as conn:
        copy(before, conn)
        planned = plan(conn, after, archive="t")
        run(conn, planned.acts)
        assert diff(ENGINE.inspect(conn), after) == ()
        take_back(conn, planned.acts)
        assert diff(ENGINE.inspect(conn), before) == ()
        assert conn.query("SELECT name FROM sqlite_schema WHERE name LIKE 'dbops%'") == []


@given(pairs(), st.integers(0, 3))
def test_rows_stay_or_nothing_changes(pair: tuple[str, str], rows: int) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "test.db"
        with closing(sqlite3.connect(path)) as native:
            native.executescript(pair[0])
            _fill(native, rows)
        with closing(ENGINE.connect(target(path))) as conn:
            live, wanted = ENGINE.inspect(conn), read(pair[1])
            shared = _shared(live.all(Table), wanted.all(Table))
            dangling = violations(conn.query)  # a key that went comes back only when all rows keep it
            stored = {names: _rows(path, names[0], columns) for names, columns in shared.items()}
            planned = plan(conn, wanted, archive="t")
            try:
                run(conn, planned.acts)
            except QueryError as error:
                event("refused")
                assert any(reason in error.message for reason in _REFUSALS), error.message
                assert diff(ENGINE.inspect(conn), live) == ()
                assert {names: _rows(path, names[0], columns) for names, columns in shared.items()} == stored
                return
            assert diff(ENGINE.inspect(conn), wanted) == ()
            for names, columns in shared.items():
                assert _rows(path, names[1], columns) == stored[names], names
            try:
                take_back(conn, planned.acts)
            except QueryError as error:
                event("not taken back")
                assert dangling and "refer to nothing" in error.message, error.message
                assert diff(ENGINE.inspect(conn), wanted) == ()
                return
            assert {names: _rows(path, names[0], columns) for names, columns in shared.items()} == stored


def _fill(conn: sqlite3.Connection, rows: int) -> None:
    tables = conn.execute("SELECT name FROM pragma_table_list WHERE type = 'table' AND name NOT LIKE 'sqlite%'").fetchall()
    for (table,) in tables:
        columns = conn.execute("SELECT name FROM pragma_table_xinfo(?) WHERE hidden = 0", (table,)).fetchall()
        listed = ", ".join(quote(name) for (name,) in columns)
        for row in range(rows):
            values = [(row * 7 + place) % 5 + 1 if place % 2 == 0 else str(row + place) for place, _ in enumerate(columns)]
            try:
                conn.execute(f"INSERT INTO {quote(table)} ({listed}) VALUES ({', '.join('?' * len(values))})", values)
            except sqlite3.Error:  # a rule of the random table forbids this row, or its trigger does not compile
                continue
    conn.commit()


def _shared(before: list[Table], after: list[Table]) -> dict[tuple[str, str], list[str]]:
    """The tables of both schemas with the columns whose values must be the same."""
    wanted = {table.name.lower(): table for table in after}
    found = {}
    for table in before:
        other = wanted.get(table.name.lower())
        if other is not None:
            same = [
                c.name
                for c in table.columns
                if (o := other.column(c.name)) and o.type == c.type and (o.nullable or not c.nullable)
            ]
            plain = [name for name in same if not other.column(name).generated and not table.column(name).generated]  # type: ignore[union-attr]
            found[table.name, other.name] = plain
    return found


def _rows(path: Path, table: str, columns: list[str]) -> list[tuple[object, ...]]:
    listed = ", ".join(quote(name) for name in columns) or "1"
    with closing(sqlite3.connect(path)) as conn:
        return sorted(conn.execute(f"SELECT {listed} FROM {quote(table)}").fetchall(), key=repr)


def test_nothing_is_rendered_from_nothing() -> None:
    with ENGINE.scratch(MEMORY) as conn:
        assert plan(conn, EMPTY).acts == []
