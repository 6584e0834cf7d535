"""What of a changed source is loaded again."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from dbops.catalog.catalog import Catalog
from dbops.catalog.model import Defined, Routine, Table
from dbops.catalog.scope import Scope
from dbops.engines.base.connect import Target
from dbops.engines.base.url import parse_url
from dbops.engines.postgresql.features import FEATURES as POSTGRESQL_FEATURES
from dbops.engines.sqlite.engine import SqliteEngine
from dbops.resources.schema.cache import CatalogCache
from dbops.resources.schema.canonical import canonical
from dbops.resources.schema.partial import Source, choose
from dbops.sql.aims import Role, aim_of
from dbops.sql.dialect import POSTGRESQL, SQLITE
from dbops.sql.splitter import SourceStatement, split

TABLES = [
    "CREATE TABLE parent (id integer PRIMARY KEY, name text)",
    "CREATE TABLE child (id integer PRIMARY KEY, parent_id integer REFERENCES parent (id))",
    "CREATE TABLE other (id integer PRIMARY KEY)",
    "CREATE INDEX other_id ON other (id)",
    "CREATE VIEW names AS SELECT name FROM parent",
]


@dataclass
class Watched(SqliteEngine):
    """The engine, with the statements that it was told to load."""

    loaded: list[list[str]] = field(default_factory=list)

    def load(self, conn: Any, statements: Sequence[SourceStatement]) -> None:
        self.loaded.append([statement.text for statement in statements])
        super().load(conn, statements)


def _loaded_after(edit: list[str], tmp_path: Path) -> list[list[str]]:
    """Know TABLES, then ask for `edit`; return what each scratch loaded."""
    engine, cache = Watched(), CatalogCache(tmp_path)
    target = Target("test", parse_url(f"sqlite:///{tmp_path}/test.db"))
    with engine.scratch(target) as conn:
        server = conn.server
    for statements in (TABLES, edit):
        engine.loaded.clear()
        source = split("".join(f"{statement};\n" for statement in statements), SQLITE, "schema.sql")
        found = canonical(source, engine, target, server, (), Scope(), cache)
    with engine.scratch(target) as conn:
        SqliteEngine().load(conn, source)
        assert found.catalog == engine.inspect(conn).in_order()
    return engine.loaded


def test_a_source_known_before_its_database_existed_is_not_loaded_again(tmp_path: Path) -> None:
    engine, cache = Watched(), CatalogCache(tmp_path)
    target = Target("test", parse_url(f"sqlite:///{tmp_path}/test.db"))
    source = split("".join(f"{statement};\n" for statement in TABLES), SQLITE, "schema.sql")
    first = canonical(source, engine, target, None, (), Scope(), cache)
    engine.create_database(target)
    with closing(engine.connect(target)) as conn:
        again = canonical(source, engine, target, conn.server, (), Scope(), CatalogCache(tmp_path))
    assert len(engine.loaded) == 1 and again.catalog == first.catalog
    assert first.blank is not None and not first.blank.objects


def test_a_new_column_loads_its_table_and_the_views_on_it(tmp_path: Path) -> None:
    wider = "CREATE TABLE parent (id integer PRIMARY KEY, name text, age integer)"
    assert _loaded_after([wider, *TABLES[1:]], tmp_path) == [[wider], [wider, TABLES[4]]]


def test_a_new_table_loads_alone(tmp_path: Path) -> None:
    assert _loaded_after([*TABLES, "CREATE TABLE more (id integer)"], tmp_path) == [["CREATE TABLE more (id integer)"]]


def test_an_index_loads_with_its_table(tmp_path: Path) -> None:
    changed = "CREATE UNIQUE INDEX other_id ON other (id)"
    assert _loaded_after([*TABLES[:3], changed, TABLES[4]], tmp_path) == [[TABLES[2], changed]]


def test_another_layout_of_a_statement_asks_for_it_alone(tmp_path: Path) -> None:
    laid_out = "CREATE TABLE parent (\n  id integer PRIMARY KEY,\n  name text\n)"
    assert _loaded_after([laid_out, *TABLES[1:]], tmp_path) == [[laid_out]]


def test_a_table_that_goes_asks_those_that_name_it(tmp_path: Path) -> None:
    assert _loaded_after([TABLES[0], TABLES[1], TABLES[4]], tmp_path) == [[]]


def test_statements_in_another_order_are_loaded_as_a_whole(tmp_path: Path) -> None:
    moved = [TABLES[2], *TABLES[:2], *TABLES[3:]]
    assert _loaded_after(moved, tmp_path) == [moved]


@pytest.mark.parametrize(
    ("sql", "names"),
    [
        ("CREATE TABLE app.\"My Table\" (id int)", ["my table"]),
        ("CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS i ON ONLY app.t (id)", ["t"]),
        ("CREATE INDEX ON t (id)", ["t"]),
        ("CREATE OR REPLACE FUNCTION app.f(a int) RETURNS int LANGUAGE sql AS 'SELECT 1'", ["f"]),
        ("CREATE CONSTRAINT TRIGGER x AFTER INSERT ON app.t FOR EACH ROW EXECUTE FUNCTION f()", ["t"]),
        ("CREATE TABLE p1 PARTITION OF p FOR VALUES IN (1)", ["p1", "p"]),
        ("CREATE TABLE c (x int) INHERITS (a, app.b)", ["c", "a", "b"]),
        ("ALTER TABLE ONLY app.t ADD CONSTRAINT fk FOREIGN KEY (a) REFERENCES u(id)", ["t"]),
        ("ALTER TABLE p ATTACH PARTITION p1 FOR VALUES IN (1)", ["p", "p1"]),
        ("ALTER SEQUENCE s OWNED BY app.t.id", ["s", "t"]),
        ("COMMENT ON COLUMN app.t.id IS 'x'", ["t"]),
        ("COMMENT ON TRIGGER x ON t IS 'x'", ["t"]),
        ("GRANT SELECT ON TABLE a, app.b TO reader", ["a", "b"]),
        ("CREATE STATISTICS s ON a, b FROM t", ["s", "t"]),
        ("DROP TABLE IF EXISTS t", ["t"]),
    ],
)  # fmt: skip
def test_a_statement_says_which_objects_it_is_about(sql: str, names: list[str]) -> None:
    [statement] = split(f"{sql};", POSTGRESQL, "a.sql")
    assert list(aim_of(statement, has_schemas=True).names) == names


@pytest.mark.parametrize(
    ("sql", "role"),
    [
        ("DO $$ BEGIN END $$", Role.UNKNOWN),
        ("SELECT make_tables()", Role.UNKNOWN),
        ("ALTER TABLE a RENAME TO b", Role.UNKNOWN),
        ("ALTER TABLE a SET SCHEMA b", Role.UNKNOWN),
        ("ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO reader", Role.UNKNOWN),
        ("GRANT SELECT ON ALL TABLES IN SCHEMA app TO reader", Role.UNKNOWN),
        ("CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION f()", Role.UNKNOWN),
        ("DROP TABLE a, b", Role.UNKNOWN),
        ("CREATE SCHEMA app CREATE TABLE t (id int)", Role.UNKNOWN),
        ("CREATE SCHEMA IF NOT EXISTS app AUTHORIZATION me", Role.AMBIENT),
        ("CREATE EXTENSION IF NOT EXISTS pgcrypto", Role.AMBIENT),
        ("CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = f)", Role.AMBIENT),
        ("SET search_path = app", Role.SETTING),
        ("SELECT pg_catalog.set_config('search_path', '', false)", Role.SETTING),
        ("INSERT INTO t VALUES (1)", Role.NOTHING),
        ("GRANT reader TO me", Role.NOTHING),
        ("GRANT SELECT ON * TO reader", Role.AMBIENT),
        ("GRANT SELECT ON `shop`.* TO reader", Role.AMBIENT),
    ],
)
def test_what_is_about_no_single_object_says_so(sql: str, role: Role) -> None:
    [statement] = split(f"{sql};", POSTGRESQL, "a.sql")
    assert aim_of(statement, has_schemas=True).role is role


def test_a_source_for_a_database_to_come_is_loaded_in_portions(tmp_path: Path) -> None:
    engine, size = Watched(), SqliteEngine().features.portion
    target = Target("test", parse_url(f"sqlite:///{tmp_path}/test.db"))
    sql = "".join(
        f"CREATE TABLE t{number} (id integer PRIMARY KEY REFERENCES t{number // 2} (id));\n" for number in range(size * 2)
    )
    found = canonical(split(sql, SQLITE, "schema.sql"), engine, target, None, (), Scope(), CatalogCache(None))
    assert len(found.catalog.all(Table)) == size * 2
    assert [len(statements) for statements in engine.loaded] == [size, size]
    assert found.blank is not None and not found.blank.objects


def test_a_function_that_a_cast_calls_is_known_only_with_the_whole_source() -> None:
    called = Routine(schema="public", name="pair(integer)", flavour="function", signature="", definition="")
    cast = Defined(what="cast", name="(integer AS pair)", definition="")
    known = Catalog({item.ref: item for item in (called, cast)}, {cast.ref: frozenset({called.ref})})
    sql = "CREATE FUNCTION pair(int) RETURNS pair LANGUAGE sql AS 'SELECT 1'; CREATE CAST (int AS pair) WITH FUNCTION pair(int)"
    assert choose({"pair"}, Source(split(sql, POSTGRESQL, "schema.sql"), POSTGRESQL_FEATURES), known) is None
