"""What the rows of `cases/` cannot say: renames, leftovers, and that rendering needs nothing but its arguments."""

from __future__ import annotations

import pytest

from dbops.catalog.catalog import EMPTY, Catalog
from dbops.catalog.changes import CatalogChange, ChangeSet, RenameColumn, RenameObject, diff
from dbops.catalog.declared import as_declared
from dbops.catalog.model import Index, Table
from dbops.catalog.ref import Ref
from dbops.engines.base.connect import Connection, TableSize
from dbops.engines.base.render import RenderContext
from dbops.engines.postgresql.render.conversion import Fit, fit, is_rewrite
from dbops.engines.postgresql.render.names import literal, quote
from dbops.errors import PlanError
from dbops.sql.hazard import BLOCKING
from tests.databases import PostgresDatabase
from tests.engines.postgresql.loop import plan, run, take_back, told
from tests.engines.postgresql.sessions import ENGINE, loaded, session, target_of

OBJECTS = """
CREATE SCHEMA s;
CREATE TABLE t (a int, b int CONSTRAINT c CHECK (b > 0));
CREATE INDEX i ON t (a);
CREATE VIEW v AS SELECT a FROM t;
CREATE SEQUENCE q;
CREATE TYPE e AS ENUM ('x');
CREATE FUNCTION f(a int) RETURNS int LANGUAGE sql AS 'SELECT a';
CREATE FUNCTION g() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER tr BEFORE UPDATE ON t FOR EACH ROW EXECUTE FUNCTION g();
CREATE POLICY p ON t USING (true);
"""
RENAMES: dict[str, tuple[CatalogChange, str]] = {
    "table t": (RenameObject(Ref("table", "public", "t"), Ref("table", "public", "t2")), "ALTER TABLE public.t RENAME TO t2"),
    "table to another schema": (
        RenameObject(Ref("table", "public", "t"), Ref("table", "s", "t")),
        "ALTER TABLE public.t SET SCHEMA s",
    ),
    "column": (RenameColumn(Ref("table", "public", "t"), "a", "b2"), "ALTER TABLE public.t RENAME COLUMN a TO b2"),
    "view": (RenameObject(Ref("view", "public", "v"), Ref("view", "public", "v2")), "ALTER VIEW public.v RENAME TO v2"),
    "index": (
        RenameObject(Ref("index", "public", "i", "t"), Ref("index", "public", "i2", "t")),
        "ALTER INDEX public.i RENAME TO i2",
    ),
    "constraint": (
        RenameObject(Ref("check", "public", "c", "t"), Ref("check", "public", "c2", "t")),
        "ALTER TABLE public.t RENAME CONSTRAINT c TO c2",
    ),
    "trigger": (
        RenameObject(Ref("trigger", "public", "tr", "t"), Ref("trigger", "public", "tr2", "t")),
        "ALTER TRIGGER tr ON public.t RENAME TO tr2",
    ),
    "policy": (
        RenameObject(Ref("policy", "public", "p", "t"), Ref("policy", "public", "p2", "t")),
        "ALTER POLICY p ON public.t RENAME TO p2",
    ),
    "sequence": (
        RenameObject(Ref("sequence", "public", "q"), Ref("sequence", "public", "q2")),
        "ALTER SEQUENCE public.q RENAME TO q2",
    ),
    "type": (RenameObject(Ref("enum", "public", "e"), Ref("enum", "public", "e2")), "ALTER TYPE public.e RENAME TO e2"),
    "schema": (RenameObject(Ref("schema", "", "s"), Ref("schema", "", "s2")), "ALTER SCHEMA s RENAME TO s2"),
    "function": (
        RenameObject(Ref("routine", "public", "f(integer)"), Ref("routine", "public", "f2(integer)")),
        "ALTER FUNCTION public.f(integer) RENAME TO f2",
    ),
}


@pytest.mark.parametrize("name", RENAMES)
def test_things_get_other_names_and_their_old_ones_back(name: str, pg_database: PostgresDatabase) -> None:
    change, sql = RENAMES[name]
    pg_database.load(OBJECTS)
    before = told(pg_database)
    with session(pg_database) as conn:
        live = ENGINE.inspect(conn)
        [act] = ENGINE.render(ChangeSet(live, live, (change,)), RenderContext(conn.server))
        assert [statement.sql for statement in act.do] == [sql]
        untracked = {"UNTRACKED_DEPENDENCY"} if name == "function" else set()  # bodies that call it by its name
        assert {hazard.code for hazard in act.hazards} == {"RENAMES", *untracked}
        run(conn, [act])
        assert told(pg_database) != before
        take_back(conn, [act])
    assert told(pg_database) == before


TWO_PARENTS = """
CREATE TABLE p (id int, v {0}); CREATE TABLE q (k int, v {0});
CREATE TABLE c (own text) INHERITS (p{1}); CREATE TABLE d () INHERITS (c);
"""


def test_a_column_of_two_parents_is_changed_in_two_plans(pg_database: PostgresDatabase) -> None:
    pg_database.load(TWO_PARENTS.format("int", ", q") + "INSERT INTO d (id, v) VALUES (1, 7);")
    target = target_of(pg_database)
    with session(pg_database) as conn:
        with pytest.raises(PlanError, match=r"public\.c inherits it from public\.p and from public\.q"):
            plan(conn, loaded(target, TWO_PARENTS.format("bigint", ", q")))
        for source in (TWO_PARENTS.format("bigint", "").replace("own", "k int, own"), TWO_PARENTS.format("bigint", ", q")):
            run(conn, plan(conn, loaded(target, source)).acts)
        assert pg_database.rows("SELECT v, pg_typeof(v)::text FROM d") == [(7, "bigint")]


DIVIDED = """
CREATE TYPE e AS ENUM ('a'{0}); CREATE TYPE c AS (x int, y int);
CREATE TABLE t (id int, a e) PARTITION BY LIST (a); CREATE TABLE u (c c, b int) PARTITION BY RANGE (b, c);
"""


def test_a_type_that_a_table_is_divided_by_is_not_built_again(pg_database: PostgresDatabase) -> None:
    pg_database.load(DIVIDED.format(", 'b'"))
    target = target_of(pg_database)
    with session(pg_database) as conn:
        with pytest.raises(PlanError, match=r"public\.e would have to be built again, but public\.t is divided by a") as caught:
            plan(conn, loaded(target, DIVIDED.format("")))
        assert caught.value.fix and "make a type of another name" in caught.value.fix
        with pytest.raises(PlanError, match=r"public\.c would have to be built again, but public\.u is divided by c") as caught:
            plan(conn, loaded(target, DIVIDED.format(", 'b'").replace("x int, y int", "y int, x int")))
        assert caught.value.fix == "leave its attributes in their places, new ones at the end"


OWN_AND_INHERITED = """
CREATE TABLE p (a int, b int GENERATED ALWAYS AS (a * {0}) STORED);
CREATE TABLE c (a int, b int GENERATED ALWAYS AS (a * {0}) STORED);{1}
"""


def test_a_computed_column_that_a_parent_has_too_is_changed_in_two_plans(pg_database: PostgresDatabase) -> None:
    if pg_database.server.version >= 17:
        pytest.skip("from 17 on ALTER TABLE changes what a column is computed of")
    heir = "ALTER TABLE c INHERIT p;"
    pg_database.load(OWN_AND_INHERITED.format(2, heir) + "INSERT INTO c VALUES (1);")
    target = target_of(pg_database)
    with session(pg_database) as conn:
        with pytest.raises(PlanError, match=r"column b of public\.c is computed of cannot change: public\.p hands"):
            plan(conn, loaded(target, OWN_AND_INHERITED.format(3, heir)))
        for source in (OWN_AND_INHERITED.format(3, ""), OWN_AND_INHERITED.format(3, heir)):
            run(conn, plan(conn, loaded(target, source)).acts)
        assert pg_database.rows("SELECT a, b FROM p") == [(1, 3)]


def test_an_invalid_index_is_built_again(pg_database: PostgresDatabase) -> None:
    pg_database.load("CREATE TABLE t (a int); INSERT INTO t VALUES (1), (1)")
    with pytest.raises(Exception, match="could not create unique index"):
        pg_database.load("CREATE UNIQUE INDEX CONCURRENTLY i ON t (a)")
    pg_database.load("DELETE FROM t; INSERT INTO t VALUES (1)")
    wanted = loaded(target_of(pg_database), "CREATE TABLE t (a int); CREATE UNIQUE INDEX i ON t (a)")
    with session(pg_database) as conn:
        planned = plan(conn, wanted)
        assert "INVALID_INDEX" in planned.hazards
        run(conn, planned.acts)
        assert [index.is_valid for index in ENGINE.inspect(conn).all(Index)] == [True]


def test_a_leftover_of_a_broken_build_does_not_stand_in_the_way(pg_database: PostgresDatabase) -> None:
    pg_database.load("CREATE TABLE t (a int)")
    wanted = loaded(target_of(pg_database), "CREATE TABLE t (a int UNIQUE)")
    with session(pg_database) as conn:
        planned = plan(conn, wanted, rows=1_000_000)
        run_first(conn, planned.sql, 2)
        run(conn, planned.acts)
        assert diff(as_declared(ENGINE.inspect(conn), wanted), wanted) == ()


def run_first(conn: Connection, statements: list[str], number: int) -> None:
    for sql in statements[:number]:
        conn.execute(sql)


def test_small_tables_are_changed_in_one_transaction(pg_database: PostgresDatabase) -> None:
    pg_database.load("CREATE TABLE t (a int, b int)")
    wanted = loaded(
        target_of(pg_database), "CREATE TABLE t (a int PRIMARY KEY, b int NOT NULL CHECK (b > 0)); CREATE INDEX i ON t (b)"
    )
    with session(pg_database) as conn:
        assert all(act.is_transactional for act in plan(conn, wanted, rows=1_000).acts)
        assert not all(act.is_transactional for act in plan(conn, wanted, rows=1_001).acts)


def test_offline_changes_stay_in_one_transaction_however_big_the_table(pg_database: PostgresDatabase) -> None:
    pg_database.load("CREATE TABLE t (a int)")
    wanted = loaded(target_of(pg_database), "CREATE TABLE t (a int PRIMARY KEY)")
    with session(pg_database) as conn:
        live = ENGINE.inspect(conn)
        sizes = {table.ref: TableSize(10**6, 10**8) for table in live.all(Table)}
        context = RenderContext(conn.server, sizes, online=False)
        acts = ENGINE.render(ChangeSet(live, wanted, diff(live, wanted)), context)
    assert all(act.is_transactional for act in acts)
    assert {"BLOCKS_READS", "SCANS_TABLE"} <= {hazard.code for act in acts for hazard in act.hazards}
    assert any("about 1,000,000 rows, 95 MiB" in hazard.message for act in acts for hazard in act.hazards)


def test_a_new_database_threatens_nobody(pg_database: PostgresDatabase) -> None:
    wanted = loaded(target_of(pg_database), OBJECTS)
    with session(pg_database) as conn:
        acts = ENGINE.render(ChangeSet(EMPTY, wanted, diff(EMPTY, wanted)), RenderContext(conn.server))
    assert not {hazard.code for act in acts for hazard in act.hazards} & BLOCKING
    assert all(act.creates for act in acts)


def test_nothing_to_change_gives_nothing_to_do(pg_database: PostgresDatabase) -> None:
    with session(pg_database) as conn:
        assert ENGINE.render(ChangeSet(Catalog(), Catalog(), ()), RenderContext(conn.server)) == []


@pytest.mark.parametrize("name", ["plain", "with space", "Upper", "select", 'quo"te', "1st", "naïve", "user", "exists"])
def test_names_are_read_back_as_they_are(name: str, pg_database: PostgresDatabase) -> None:
    pg_database.load(f"CREATE TABLE {quote(name)} ({quote(name)} int)")
    query = "SELECT table_name::text, column_name::text FROM information_schema.columns WHERE table_schema = 'public'"
    assert pg_database.rows(query) == [(name, name)]


@pytest.mark.parametrize("text", ["", "it's", "back\\slash", "new\nline", "$$", "%s ?", "E'x'"])
def test_texts_are_read_back_as_they_are(text: str, pg_database: PostgresDatabase) -> None:
    with session(pg_database) as conn:
        assert conn.query(f"SELECT {literal(text)}") == [(text,)]


@pytest.mark.parametrize(
    ("old", "new", "rewrites", "fits"),
    [
        ("public.geometry(Point,4326)", "public.geometry(PointZ,4326)", True, Fit.SOME),
        ("public.geometry(Point,4326)", "public.geometry(Point,3857)", True, Fit.SOME),
        ("public.geometry(Point,4326)", "public.geometry", False, Fit.ALL),
        ("public.geometry", "public.geometry(Point,4326)", True, Fit.SOME),
        ("public.vector(3)", "public.vector(4)", True, Fit.SOME),
        ("public.vector(3)[]", "public.vector(3)[]", False, Fit.ALL),
    ],
)
def test_only_an_extension_knows_what_its_types_have_in_parentheses(old: str, new: str, rewrites: bool, fits: Fit) -> None:
    assert (is_rewrite(old, new, {}), fit(old, new, {})) == (rewrites, fits)
