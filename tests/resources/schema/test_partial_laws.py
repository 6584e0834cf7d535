"""The law of partial loads: a source known up to some statements becomes the same catalog as one loaded as a whole."""

from __future__ import annotations

from contextlib import closing

from hypothesis import assume, event, given, note
from hypothesis import strategies as st

from dbops.catalog.catalog import Catalog
from dbops.catalog.changes import diff
from dbops.catalog.scope import Scope
from dbops.engines.base.connect import Target
from dbops.engines.base.engine import Engine
from dbops.engines.base.url import parse_url
from dbops.engines.mysql.engine import MysqlEngine
from dbops.engines.postgresql.engine import PostgresEngine
from dbops.engines.sqlite.engine import SqliteEngine
from dbops.errors import Problems
from dbops.resources.schema.loading import from_known, whole
from dbops.resources.schema.partial import Source
from dbops.resources.schema.portions import joined, portions
from dbops.sql.splitter import split
from tests.databases import fresh_mysql, fresh_postgres
from tests.engines.mysql import schemas as mysql_schemas
from tests.engines.postgresql import schemas as postgres_schemas
from tests.engines.sqlite import schemas as sqlite_schemas
from tests.servers import MysqlServer, PostgresServer

POSTGRESQL, MYSQL, SQLITE = PostgresEngine(), MysqlEngine(), SqliteEngine()


@given(pair=sqlite_schemas.pairs())
def test_a_changed_sqlite_source_in_part_is_the_same_as_the_whole(pair: tuple[str, str]) -> None:
    _check(SQLITE, Target("test", parse_url("sqlite:////nowhere.db")), *pair)


@given(pair=sqlite_schemas.pairs(), size=st.integers(1, 5))
def test_a_sqlite_source_in_portions_is_the_same_as_in_one_piece(pair: tuple[str, str], size: int) -> None:
    source = Source(split(pair[0], SQLITE.dialect, "schema.sql"), SQLITE.features)
    target = Target("test", parse_url("sqlite:////nowhere.db"))
    parts = portions(source, size)
    event("not understood" if parts is None else "in one piece" if len(parts) < 2 else "in portions")
    if parts is not None:
        found = [_whole(Source(part, SQLITE.features), SQLITE, target) for part in parts]
        assert joined([part for part in found if part is not None]) in (_whole(source, SQLITE, target), None)


@given(pair=postgres_schemas.pairs())
def test_a_changed_postgresql_source_in_part_is_the_same_as_the_whole(
    postgres_server: PostgresServer, pair: tuple[postgres_schemas.Pieces, postgres_schemas.Pieces]
) -> None:
    scripts = []
    for pieces in pair:
        with fresh_postgres(postgres_server) as database, closing(postgres_server.connect(database.name)) as native:
            scripts.append(postgres_schemas.build(pieces, native))
    _check(POSTGRESQL, Target("test", parse_url(postgres_server.admin_url)), *scripts)


@given(pair=mysql_schemas.pairs())
def test_a_changed_mariadb_source_in_part_is_the_same_as_the_whole(
    mysql_server: MysqlServer, pair: tuple[mysql_schemas.Pieces, mysql_schemas.Pieces]
) -> None:
    scripts = []
    for pieces in pair:
        with fresh_mysql(mysql_server) as database, closing(mysql_server.connect(database.name)) as native:
            taken = mysql_schemas.built(pieces, native.cursor())
            scripts.append("\n".join(MYSQL.dialect.terminated(statement) for statement in taken))
    _check(MYSQL, Target("test", parse_url(mysql_server.admin_url)), *scripts)


def _check(engine: Engine, target: Target, before: str, after: str) -> None:
    note(f"{before}\n--- becomes ---\n{after}")
    old, new = (Source(split(script, engine.dialect, "schema.sql"), engine.features) for script in (before, after))
    known = _whole(old, engine, target)
    wanted = _whole(new, engine, target)
    assume(known is not None and wanted is not None)
    assert known is not None and wanted is not None
    found = from_known(new, old.outline(), known, engine, target, Scope())
    event("as a whole" if found is None else "unchanged" if found == known else "in part")
    if found is not None:
        assert diff(found, wanted, column_order=True) == ()
        assert found == wanted


def _whole(source: Source, engine: Engine, target: Target) -> Catalog | None:
    try:
        return whole(source, engine, lambda: engine.scratch(target), Scope())
    except Problems:
        return None
