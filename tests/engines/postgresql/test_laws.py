"""Laws over random schemas: what is rendered reads back the same, and a plan leads from any schema to any other and back."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import replace

import psycopg
import pytest
from hypothesis import assume, event, given, note
from hypothesis import strategies as st

from dbops.catalog import codec
from dbops.catalog.catalog import Catalog
from dbops.catalog.changes import column_ref, diff
from dbops.catalog.declared import as_declared
from dbops.catalog.model import CatalogObject, Column, ForeignTable, MaterializedView, Table, View
from dbops.catalog.ref import Ref
from dbops.engines.base.connect import Connection
from dbops.engines.base.render import Act
from dbops.engines.postgresql.render.names import named, quote
from dbops.errors import QueryError
from dbops.sql.splitter import split
from tests.databases import PostgresDatabase
from tests.engines.postgresql.emptied import emptied_postgres
from tests.engines.postgresql.loop import Planned, copy, plan, run, take_back, told, untold_losses
from tests.engines.postgresql.schemas import Pieces, build, pairs
from tests.engines.postgresql.sessions import ENGINE, session
from tests.servers import PostgresServer

#: What rows alone can forbid: integrity constraint violations and values that a type cannot hold (manual, appendix A).
REFUSALS = ("23", "22")


@pytest.mark.majors(daily=True)
@given(pair=pairs())
def test_a_rendered_schema_reads_back_the_same(postgres_server: PostgresServer, pair: tuple[Pieces, Pieces]) -> None:
    with ExitStack() as stack:
        native, rendered, loaded = (stack.enter_context(emptied_postgres(postgres_server)) for _ in range(3))
        _build(native, pair[0])
        with session(native) as conn:
            catalog = ENGINE.inspect(conn, declared=True)
        assert catalog.unmanaged == ()
        assert diff(catalog, catalog) == ()
        assert codec.from_json(codec.to_json(catalog)) == catalog
        with session(rendered) as conn:
            statements = [statement.sql for act in _copied(catalog, conn) for statement in act.do]
            assert diff(ENGINE.inspect(conn, declared=True), catalog) == ()
        assert told(rendered) == told(native)
        with session(loaded) as conn:
            source = "\n".join(ENGINE.dialect.terminated(sql) for sql in statements)
            ENGINE.load(conn, split(source, ENGINE.dialect, "rendered.sql"))
            assert diff(ENGINE.inspect(conn, declared=True), catalog) == ()


@pytest.mark.campaign
@pytest.mark.majors
@given(pair=pairs(), rows=st.integers(0, 3))
def test_a_plan_leads_from_any_schema_to_any_other_and_back(
    postgres_server: PostgresServer, pair: tuple[Pieces, Pieces], rows: int
) -> None:
    with emptied_postgres(postgres_server) as live, emptied_postgres(postgres_server) as declared:
        _build(live, pair[0])
        _build(declared, pair[1])
        _fill(live, rows)
        is_fresh = _refresh(live)
        with session(declared) as conn:
            wanted = ENGINE.inspect(conn, declared=True)
        with session(live) as conn:
            held = _held(conn, ENGINE.inspect(conn), wanted)
            planned = _converge(live, declared, conn, wanted)
            if planned is not None and is_fresh and _comes_back(conn, planned, wanted):
                assert _held(conn, planned.live, wanted) == held


def _copied(catalog: Catalog, conn: Connection) -> Sequence[Act]:
    """Pass over schemas that no order builds: a materialized view that reads a partition whose wrapper cannot read."""
    try:
        return copy(catalog, conn)
    except QueryError as error:
        assume("has no handler" not in str(error))
        raise


def _converge(live: PostgresDatabase, declared: PostgresDatabase, conn: Connection, wanted: Catalog) -> Planned | None:
    """Return what led there, None where the rows refuse it."""
    planned = plan(conn, wanted, archive="t")
    note(";\n".join(planned.sql))
    assert untold_losses(planned.acts) == []
    before, kept = planned.live, _kept(conn, planned.live, wanted)
    try:
        run(conn, planned.acts)
    except QueryError as error:
        event("refused")
        assert _is_of_rows(error) or _is_of_owners(error, before, conn.server.user), error.explain()
        if all(act.is_transactional for act in planned.acts):
            assert diff(ENGINE.inspect(conn), before) == ()
            assert _kept(conn, before, wanted) == kept
        return None
    now = ENGINE.inspect(conn)
    assert diff(as_declared(now, wanted), wanted) == ()
    assert _kept(conn, wanted, before) == kept
    if _is_wholly_declared(now, wanted, conn.server.user):
        assert told(live) == told(declared)
    return planned


def _is_of_rows(error: QueryError) -> bool:
    """Tell whether the rows refuse it, or the foreign partition that they would go to: its wrapper cannot store any."""
    return str(error.context.get("sqlstate")).startswith(REFUSALS) or "has no handler" in str(error)


def _is_of_owners(error: QueryError, live: Catalog, user: str) -> bool:
    """Tell whether what fills a materialized view reads through one whose owner, of whom the source says nothing, may not."""
    views = (*live.all(View), *live.all(MaterializedView))
    return error.context.get("sqlstate") == "42501" and any(view.owner not in (None, user) for view in views)


def _comes_back(conn: Connection, planned: Planned, wanted: Catalog) -> bool:
    """Return False where rows would have to be fetched from a foreign partition, whose wrapper has none."""
    before, kept = planned.live, _kept(conn, wanted, planned.live)
    try:
        take_back(conn, planned.acts)
    except QueryError as error:
        assert "has no handler" in str(error), error.explain()
        return False
    assert diff(as_declared(ENGINE.inspect(conn), before), before) == ()
    assert _kept(conn, before, wanted) == kept
    return True


def _build(database: PostgresDatabase, pieces: Pieces) -> None:
    with closing(database.server.connect(database.name)) as native:
        note(build(pieces, native))


def _fill(database: PostgresDatabase, rows: int) -> None:
    """Insert what the tables take: ids, and in every other row numbers and texts."""
    with closing(database.server.connect(database.name)) as native:
        tables = native.execute(
            "SELECT attrelid::regclass::text, array_agg(attname::text ORDER BY attnum) FROM pg_attribute"
            " JOIN pg_class c ON c.oid = attrelid WHERE relnamespace::regnamespace::text IN ('public', 'app')"
            " AND relkind IN ('r', 'p') AND NOT relispartition AND attnum > 0 AND attgenerated = '' GROUP BY attrelid"
        ).fetchall()
        for table, columns in tables * 2:
            for row in range(1, rows + 1):
                values = {"id": row, "n": row, "t": f"t{row}", "mood": "sad", "z": row} if row % 2 else {"id": row}
                given = {name: value for name, value in values.items() if name in columns}
                marks = ", ".join(["%s"] * len(given))
                names = ", ".join(given)
                insert = f"INSERT INTO {table} ({names}) OVERRIDING SYSTEM VALUE VALUES ({marks})"
                with suppress(psycopg.Error):  # a rule of the random table forbids this row
                    native.execute(insert.encode(), list(map(str, given.values())))


def _refresh(database: PostgresDatabase) -> bool:
    """Fill the materialized views; return False where a unique index refuses their rows, which no way back makes good."""
    with closing(database.server.connect(database.name)) as native:
        try:
            for (name,) in native.execute("SELECT oid::regclass::text FROM pg_class WHERE relkind = 'm' ORDER BY oid").fetchall():
                native.execute(f"REFRESH MATERIALIZED VIEW {name}".encode())
        except psycopg.Error:
            event("stale")
            return False
    return True


def _kept(conn: Connection, these: Catalog, others: Catalog) -> dict[str, list[str]]:
    """The values of all columns that both schemas have with one type, by table, sorted."""
    found = {}
    for table in these.all(Table):
        other = others.objects.get(table.ref)
        if (
            not isinstance(other, Table)
            or table.persistence != other.persistence
            or _reaches_abroad(these, table)
            or _reaches_abroad(others, other)
            or _tree(these, table) != _tree(others, other)
        ):
            continue
        same = [
            c.name
            for c in table.columns
            if (o := other.column(c.name)) and (o.type, o.generated) == (c.type, c.generated)
            if not c.generated or _functions(these, table.ref, c) == _functions(others, table.ref, o)
        ]
        columns = ", ".join(f"{quote(name)}::text" for name in sorted(same)) or "1"
        rows = conn.query(f"SELECT {columns} FROM {'' if table.partition_by else 'ONLY '}{named(table.ref)}")
        found[str(table.ref)] = sorted(map(repr, rows))
    return found


def _held(conn: Connection, these: Catalog, others: Catalog) -> dict[str, list[str]]:
    """The values that a way back restores, dropped tables and columns included: all but computed ones, and those converted."""
    found = {}
    for table in these.all(Table):
        if table.partition_by or _reaches_abroad(these, table):
            continue
        other = others.objects.get(table.ref)
        new = (
            {column.name: (column.type, column.collation, column.generated) for column in other.columns}
            if isinstance(other, Table)
            else {}
        )
        names = [c.name for c in table.columns if not c.generated and new.get(c.name) in (None, (c.type, c.collation, None))]
        columns = ", ".join(f"{quote(name)}::text" for name in sorted(names)) or "1"
        found[str(table.ref)] = sorted(map(repr, conn.query(f"SELECT {columns} FROM ONLY {named(table.ref)}")))
    return found


def _functions(catalog: Catalog, table: Ref, column: Column) -> list[CatalogObject]:
    """What computes the values of a generated column, besides its expression."""
    needs = catalog.dependencies.get(column_ref(table, column.name), frozenset())
    return [catalog.objects[need] for need in sorted(needs) if need.kind == "routine" and need in catalog.objects]


def _tree(catalog: Catalog, table: Table) -> set[tuple[object, ...]]:
    """A table, the divided one that it is a part of, and all their parts, with keys and bounds: they say where which row lies."""
    while table.partition_of and isinstance(above := catalog.objects.get(table.partition_of.parent), Table):
        table = above
    parts = [item for item in catalog if isinstance(item, Table | ForeignTable) and item.partition_of]
    found: set[tuple[object, ...]] = set()
    waiting: list[Table | ForeignTable] = [table]
    while waiting:
        item = waiting.pop()
        found.add((item.ref, item.partition_by if isinstance(item, Table) else None, item.partition_of))
        waiting += [part for part in parts if part.partition_of and part.partition_of.parent == item.ref]
    return found


def _reaches_abroad(catalog: Catalog, table: Table) -> bool:
    """A foreign server that is none cannot be asked for the rows of a foreign partition."""
    heirs = [item for item in catalog if isinstance(item, ForeignTable) and item.partition_of]
    return bool(table.partition_by) and any(item.partition_of and item.partition_of.parent == table.ref for item in heirs)


def _is_wholly_declared(live: Catalog, wanted: Catalog, account: str) -> bool:
    """Whether nothing was left as it is: owners and grants that the second schema does not name, where columns came from."""
    compared = as_declared(live, wanted)
    return all(
        (kept := compared.objects.get(ref)) is not None
        and replace(item, owner=None) == replace(kept, owner=None)
        and item.owner in (None, account)
        for ref, item in live.objects.items()
    )
