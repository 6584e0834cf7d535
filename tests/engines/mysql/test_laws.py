"""Laws over random schemas: what is rendered reads back the same, and a plan leads from any schema to any other and back."""

from __future__ import annotations

from contextlib import closing, suppress

import pymysql
from hypothesis import event, given, note
from hypothesis import strategies as st

from dbops.catalog import codec
from dbops.catalog.catalog import Catalog
from dbops.catalog.changes import diff
from dbops.catalog.model import Table
from dbops.engines.base.connect import Connection, Target
from dbops.engines.base.url import parse_url
from dbops.errors import QueryError
from tests.databases import MysqlDatabase, fresh_mysql
from tests.engines.mysql.loop import (
    ENGINE,
    canonical,
    changes_between,
    copy,
    render,
    run,
    sorted_lines,
    source,
    take_back,
    untold_losses,
)
from tests.engines.mysql.schemas import Pieces, built, pairs
from tests.servers import MysqlServer

#: What rows alone can forbid ("MariaDB Error Codes" of the Knowledge Base, "Server Error Message Reference" of MySQL): NULLs,
#: duplicates, values that a type, a check, a foreign key or a partition does not take.
REFUSALS = frozenset(
    {1048, 1062, 1138, 1263, 1264, 1265, 1292, 1366, 1406, 1416, 1451, 1452, 1526, 1690, 4025, 1216, 1217, 1411, 167}
    | {1364, 3140, 3643, 3819, 3903}  # the same on MySQL: no default, no JSON, another SRID, a check, no array
)


@given(pair=pairs())
def test_a_rendered_schema_reads_back_the_same(mysql_server: MysqlServer, pair: tuple[Pieces, Pieces]) -> None:
    with fresh_mysql(mysql_server) as native, fresh_mysql(mysql_server) as rendered:
        _build(native, pair[0])
        with closing(ENGINE.connect(_target(native))) as conn:
            catalog = ENGINE.inspect(conn, declared=True)
        assert catalog.unmanaged == ()
        assert diff(catalog, catalog) == ()
        assert codec.from_json(codec.to_json(catalog)) == catalog
        with closing(ENGINE.connect(_target(rendered))) as conn:
            acts = copy(catalog, conn)
            assert changes_between(ENGINE.inspect(conn), catalog) == ()
        assert sorted_lines(rendered.dump()) == sorted_lines(native.dump())
        assert changes_between(canonical(source(acts), _target(rendered)), catalog) == ()


@given(pair=pairs(), rows=st.integers(0, 3))
def test_a_plan_leads_from_any_schema_to_any_other_and_back(
    mysql_server: MysqlServer, pair: tuple[Pieces, Pieces], rows: int
) -> None:
    with fresh_mysql(mysql_server) as live, fresh_mysql(mysql_server) as declared:
        _build(live, pair[0])
        _build(declared, pair[1])
        with closing(ENGINE.connect(_target(declared))) as conn:
            wanted = ENGINE.inspect(conn)  # every definer is named: one that is not would stay who it was
        with closing(ENGINE.connect(_target(live))) as conn:
            _fill(live, ENGINE.inspect(conn), rows)
            _converge(live, declared, conn, wanted)


def _converge(live: MysqlDatabase, declared: MysqlDatabase, conn: Connection, wanted: Catalog) -> None:
    before, first = ENGINE.inspect(conn), live.dump()
    acts = render(conn, before, wanted)
    note(source(acts))
    assert untold_losses(acts) == []
    if _has_nulls_that_become_times(live, before, wanted):
        event("refused")
        return
    kept, everything = _kept(live, before, wanted), _kept(live, before, before)
    try:
        run(conn, acts)
    except QueryError as error:
        event("refused")
        assert error.context.get("errno") in REFUSALS, error.explain()
        return
    assert changes_between(ENGINE.inspect(conn), wanted) == ()
    assert render(conn, ENGINE.inspect(conn), wanted) == []
    assert sorted_lines(live.dump()) == sorted_lines(declared.dump())
    assert _kept(live, wanted, before) == kept
    take_back(conn, acts)
    assert changes_between(ENGINE.inspect(conn), before) == ()
    assert sorted_lines(live.dump()) == sorted_lines(first)
    assert _kept(live, before, wanted) == kept
    if not any(hazard.code == "IRREVERSIBLE" for act in acts for hazard in act.hazards):
        assert _kept(live, before, before) == everything


def _has_nulls_that_become_times(database: MysqlDatabase, before: Catalog, wanted: Catalog) -> bool:
    """The server refuses no NULL of a timestamp that may be none, and writes what time it is: a plan asks rows beforehand."""
    return any(
        database.rows(f"SELECT 1 FROM {_quoted(table.name)} WHERE {_quoted(column.name)} IS NULL LIMIT 1")
        for table in before.all(Table)
        if isinstance(other := wanted.objects.get(table.ref), Table)
        for column in table.columns
        if column.nullable and (o := other.column(column.name)) and o.type.startswith("timestamp") and not o.nullable
    )


def _target(database: MysqlDatabase) -> Target:
    return Target("test", parse_url(database.url))


def _build(database: MysqlDatabase, pieces: Pieces) -> None:
    with closing(database.server.connect(database.name)) as native, native.cursor() as cursor:
        note(source_of(built(pieces, cursor)))


def source_of(statements: list[str]) -> str:
    """Return statements as a script."""
    return "\n".join(ENGINE.dialect.terminated(statement) for statement in statements)


def _fill(database: MysqlDatabase, live: Catalog, rows: int) -> None:
    """Insert what the tables take: ids, and in every other row numbers and texts."""
    with closing(database.server.connect(database.name)) as native, native.cursor() as cursor:
        for table in live.all(Table) * 2:
            columns = {column.name for column in table.columns}
            for row in range(1, rows + 1):
                values = {"id": row, "n": row, "t": f"t{row}", "mood": "sad"} if row % 2 else {"id": row}
                given = {name: value for name, value in values.items() if name in columns}
                marks = ", ".join(["%s"] * len(given))
                with suppress(pymysql.Error):  # a rule of the random table, or a trigger, forbids this row
                    cursor.execute(
                        f"INSERT INTO {_quoted(table.name)} ({', '.join(given)}) VALUES ({marks})", list(given.values())
                    )


def _kept(database: MysqlDatabase, these: Catalog, others: Catalog) -> dict[str, list[str]]:
    """The values of all columns that both schemas have with one type, and compute from such ones, by table, sorted."""
    found = {}
    for table in these.all(Table):
        other = others.objects.get(table.ref)
        if isinstance(other, Table):
            alike = [
                c
                for c in table.columns
                if (o := other.column(c.name)) and (o.type, o.collation, o.generated) == (c.type, c.collation, c.generated)
            ]
            differing = [_quoted(c.name) for c in table.columns if c not in alike]
            same = [c.name for c in alike if not any(name in c.generated.expression for name in differing if c.generated)]
            columns = ", ".join(map(_quoted, sorted(same))) or "1"
            found[table.name] = sorted(map(repr, database.rows(f"SELECT {columns} FROM {_quoted(table.name)}")))
    return found


def _quoted(name: str) -> str:
    return ENGINE.dialect.quote_identifier(name)
