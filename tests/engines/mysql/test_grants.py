"""Grants on MySQL and MariaDB by the server's own SHOW GRANTS: planned, taken back, left alone where nobody names them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pymysql
import pytest

from dbops.catalog.catalog import Catalog
from dbops.catalog.changes import ChangeSet, RenameColumn, RenameObject, diff
from dbops.catalog.declared import as_declared
from dbops.catalog.ref import Ref
from dbops.engines.base.connect import Connection, Target
from dbops.engines.base.render import Act, RenderContext
from dbops.engines.base.url import parse_url
from dbops.engines.mysql.engine import MysqlEngine
from dbops.errors import PlanError, Problems
from dbops.sql.splitter import split
from dbops.usecases.apply import Consent, apply
from dbops.usecases.history import undo as take_back
from dbops.usecases.importing import import_database
from dbops.usecases.plan import plan as plan_of
from dbops.usecases.runtime import open_workspace
from tests.databases import MysqlDatabase, accounts_of

ENGINE = MysqlEngine()
READER, WRITER = "`dbops_reader`@`localhost`", "`dbops_writer`@`%`"


@pytest.fixture
def shop(my_database: MysqlDatabase) -> Iterator[MysqlDatabase]:
    """A database, and two accounts of the server that have nothing."""
    with (
        accounts_of(my_database.server),
        closing(my_database.server.connect(my_database.name)) as conn,
        conn.cursor() as cursor,
    ):
        for account in (READER, WRITER):
            cursor.execute(f"CREATE USER IF NOT EXISTS {account}")
        yield my_database
        for account in (READER, WRITER):
            with suppress(pymysql.Error):
                cursor.execute(f"DROP USER {account}")


def show(database: MysqlDatabase, account: str) -> list[str]:
    """Return what the server says of an account, without its USAGE, the database's name being `db`."""
    rows = [row[0] for row in database.rows(f"SHOW GRANTS FOR {account}")]
    names = (database.name, database.name.replace("_", "\\_"))
    for name in names:
        rows = [row.replace(f"`{name}`.", "`db`.") for row in rows]
    return sorted(_in_order(row.replace("'", "`")) for row in rows if "`db`." in row)


def _in_order(row: str) -> str:
    return re.sub(r"\(([^()]*)\)", lambda match: f"({', '.join(sorted(match[1].split(', ')))})", row)


def plan(database: MysqlDatabase, conn: Connection, source: str) -> tuple[list[Act], Catalog]:
    target = Target("test", parse_url(database.url))
    with ENGINE.scratch(target) as scratch:
        ENGINE.load(scratch, split(source, ENGINE.dialect, "case.sql"))
        wanted = ENGINE.inspect(scratch, declared=True)
    return render(conn, wanted), wanted


def render(conn: Connection, wanted: Catalog) -> list[Act]:
    live = ENGINE.inspect(conn)
    changes = diff(as_declared(live, wanted, by_grantee=True), wanted, column_order=True)
    acts = ENGINE.render(ChangeSet(live, wanted, changes), RenderContext(conn.server, ENGINE.sizes(conn), archive="t"))
    covered = {ref for act in acts for ref in (act.ref, *act.covers)}
    assert {change.ref for change in changes} <= covered
    return acts


def run(conn: Connection, acts: list[Act]) -> None:
    for act in acts:
        for statement in act.do:
            conn.execute(statement.sql, statement.parameters)


def undo(conn: Connection, acts: list[Act]) -> None:
    for act in reversed(acts):
        for statement in act.undo or ():
            conn.execute(statement.sql, statement.parameters)


TABLES = """
CREATE TABLE t (a int, b int, c int); CREATE TABLE u (a int); CREATE VIEW v AS SELECT a FROM t;
CREATE FUNCTION f() RETURNS int DETERMINISTIC RETURN 1; CREATE PROCEDURE p() SELECT 1;
"""
FIRST = f"""{TABLES}
GRANT SELECT, INSERT, UPDATE (a), GRANT OPTION ON t TO {READER};
GRANT SELECT (b), REFERENCES (c) ON t TO {READER};
GRANT SELECT ON `DATABASE`.* TO {WRITER};
"""
SECOND = f"""{TABLES}
GRANT SELECT (b, c) ON TABLE t TO {READER}, 'dbops_writer'@'%';
GRANT UPDATE (a, b) ON t TO dbops_reader@LOCALHOST;
GRANT ALL ON u TO {WRITER} WITH GRANT OPTION;
GRANT SELECT, SHOW VIEW ON v TO dbops_writer;
GRANT EXECUTE ON FUNCTION f TO {READER};
GRANT ALL PRIVILEGES ON PROCEDURE p TO {WRITER};
GRANT INSERT, CREATE TEMPORARY TABLES, EVENT ON * TO {WRITER};
GRANT DELETE ON t TO {WRITER}; REVOKE DELETE ON t FROM {WRITER};
GRANT SELECT ON other_database.t TO {WRITER}; GRANT USAGE ON *.* TO {WRITER};
"""


def test_grants_of_every_level_are_reached_and_taken_back(shop: MysqlDatabase) -> None:
    shop.load(FIRST.replace("DATABASE", shop.name))
    before = {account: show(shop, account) for account in (READER, WRITER)}
    with closing(ENGINE.connect(Target("test", parse_url(shop.url)))) as conn:
        acts, wanted = plan(shop, conn, SECOND)
        assert "AUTHZ_CHANGE" in {hazard.code for act in acts for hazard in act.hazards}
        run(conn, acts)
        assert render(conn, wanted) == []
        assert show(shop, READER) == [
            "GRANT EXECUTE ON FUNCTION `db`.`f` TO `dbops_reader`@`localhost`",
            "GRANT SELECT (`b`, `c`), UPDATE (`a`, `b`) ON `db`.`t` TO `dbops_reader`@`localhost`",
        ]
        assert "GRANT INSERT, CREATE TEMPORARY TABLES, EVENT ON `db`.* TO `dbops_writer`@`%`" in show(shop, WRITER)
        assert next(row for row in show(shop, WRITER) if "`u`" in row).endswith("WITH GRANT OPTION")
        undo(conn, acts)
    assert {account: show(shop, account) for account in (READER, WRITER)} == before


def test_all_privileges_are_what_the_server_grants_by_that_name(shop: MysqlDatabase) -> None:
    everything = f"{TABLES} GRANT ALL ON t TO {READER}; GRANT ALL ON * TO {READER}; GRANT ALL ON FUNCTION f TO {READER};"
    shop.load(everything)
    with closing(ENGINE.connect(Target("test", parse_url(shop.url)))) as conn:
        assert plan(shop, conn, everything)[0] == []


def test_silence_leaves_objects_and_accounts_alone(shop: MysqlDatabase) -> None:
    shop.load(f"{TABLES} GRANT SELECT ON t TO {READER}; GRANT INSERT ON t TO {WRITER}; GRANT ALL ON * TO {WRITER};")
    with closing(ENGINE.connect(Target("test", parse_url(shop.url)))) as conn:
        assert plan(shop, conn, TABLES)[0] == []
        acts, _ = plan(shop, conn, f"{TABLES} GRANT DELETE ON t TO {READER}")
        assert [statement.sql for act in acts for statement in act.do] == [
            f"REVOKE SELECT ON `t` FROM {READER}",
            f"GRANT DELETE ON `t` TO {READER}",
        ]
        acts, _ = plan(shop, conn, f"{TABLES} REVOKE ALL PRIVILEGES ON t FROM {READER}")
        assert [statement.sql for act in acts for statement in act.do] == [f"REVOKE SELECT ON `t` FROM {READER}"]
        assert plan(shop, conn, f"{TABLES} GRANT USAGE ON u TO {READER}")[0] == []


def test_what_is_made_again_or_renamed_keeps_its_grants(shop: MysqlDatabase) -> None:
    shop.load(
        f"{TABLES} GRANT SELECT, UPDATE (b) ON t TO {READER}; GRANT SELECT ON v TO {READER};"
        f"GRANT EXECUTE ON FUNCTION f TO {READER}; GRANT EXECUTE ON PROCEDURE p TO {WRITER};"
    )
    before = {account: show(shop, account) for account in (READER, WRITER)}
    changed = """
    CREATE TABLE t (a bigint, b int, c int); CREATE TABLE u (a int); CREATE VIEW v AS SELECT a, b FROM t;
    CREATE FUNCTION f() RETURNS bigint DETERMINISTIC RETURN 2; CREATE FUNCTION p() RETURNS int DETERMINISTIC RETURN 1;
    """
    with closing(ENGINE.connect(Target("test", parse_url(shop.url)))) as conn:
        acts, _ = plan(shop, conn, changed)
        run(conn, acts)
        assert show(shop, READER) == before[READER]
        assert [row for row in show(shop, WRITER) if "FUNCTION `db`.`p`" in row]
        undo(conn, acts)
        assert {account: show(shop, account) for account in (READER, WRITER)} == before

        live = ENGINE.inspect(conn)
        new = Ref("table", "", "t2")
        renames = (
            RenameObject(Ref("table", "", "t"), new),
            RenameObject(Ref("routine", "", "f"), Ref("routine", "", "f2")),
            RenameColumn(new, "b", "b2"),
        )
        acts = ENGINE.render(ChangeSet(live, live, renames), RenderContext(conn.server))
        run(conn, acts)
        assert [row for row in show(shop, READER) if "`v`" not in row] == [
            "GRANT EXECUTE ON FUNCTION `db`.`f2` TO `dbops_reader`@`localhost`",
            "GRANT SELECT, UPDATE (`b2`) ON `db`.`t2` TO `dbops_reader`@`localhost`",
        ]
        undo(conn, acts)
    assert {account: show(shop, account) for account in (READER, WRITER)} == before


def test_columns_come_and_go_with_what_is_granted_on_them(shop: MysqlDatabase) -> None:
    shop.load(f"CREATE TABLE t (a int, b int); GRANT SELECT (a), UPDATE (b) ON t TO {READER}")
    before = show(shop, READER)
    with closing(ENGINE.connect(Target("test", parse_url(shop.url)))) as conn:
        acts, _ = plan(shop, conn, f"CREATE TABLE t (a int, c int); GRANT SELECT (a), UPDATE (c) ON t TO {READER}")
        run(conn, acts)
        assert show(shop, READER) == [f"GRANT SELECT (`a`), UPDATE (`c`) ON `db`.`t` TO {READER}"]
        undo(conn, acts)
    assert show(shop, READER) == before


def test_a_database_whose_name_is_a_pattern_keeps_the_spelling_of_its_grants(shop: MysqlDatabase) -> None:
    pattern = shop.name.replace("_", "\\_")
    shop.load(f"GRANT SELECT ON `{pattern}`.* TO {READER}")
    with closing(ENGINE.connect(Target("test", parse_url(shop.url)))) as conn:
        assert plan(shop, conn, f"GRANT SELECT ON `{shop.name}`.* TO {READER}")[0] == []
        acts, _ = plan(shop, conn, f"GRANT INSERT ON * TO {READER}")
        assert [statement.sql for act in acts for statement in act.do] == [
            f"REVOKE SELECT ON `{pattern}`.* FROM {READER}",
            f"GRANT INSERT ON `{pattern}`.* TO {READER}",
        ]
        run(conn, acts)
        assert show(shop, READER) == [f"GRANT INSERT ON `db`.* TO {READER}"]


def test_roles_of_mariadb_and_everybody_are_grantees(shop: MysqlDatabase) -> None:
    if not shop.server.has("roles without hosts"):
        pytest.skip("roles are accounts on this server")
    shop.rows("CREATE ROLE IF NOT EXISTS dbops_role")
    try:
        source = "CREATE TABLE t (a int); GRANT SELECT ON t TO dbops_role; GRANT INSERT ON t TO PUBLIC;"
        with closing(ENGINE.connect(Target("test", parse_url(shop.url)))) as conn:
            acts, wanted = plan(shop, conn, source)
            run(conn, acts)
            assert [statement.sql for statement in acts[-1].do] == [
                "GRANT SELECT ON `t` TO `dbops_role`",
                "GRANT INSERT ON `t` TO PUBLIC",
            ]
            assert render(conn, wanted) == []
            undo(conn, acts)
    finally:
        shop.rows("DROP ROLE dbops_role")


@pytest.mark.parametrize(
    ("grant", "message"),
    [
        ("GRANT SELECT ON nothing TO dbops_writer", "there is no table 'nothing'"),
        ("GRANT SELECT (x) ON t TO dbops_writer", "has no column 'x'"),
        ("GRANT SELCT ON t TO dbops_writer", "'SELCT' is no privilege on a table"),
        ("GRANT DELETE (a) ON t TO dbops_writer", "'DELETE' is no privilege on columns of a table"),
        ("GRANT SELECT ON t TO dbops_nobody@nowhere", "the server has no account `dbops_nobody`@`nowhere`"),
    ],
)
def test_a_grant_that_cannot_be_given_is_an_error_at_its_place(shop: MysqlDatabase, grant: str, message: str) -> None:
    with ENGINE.scratch(Target("test", parse_url(shop.url))) as scratch, pytest.raises(Problems) as error:
        ENGINE.load(scratch, split(f"{TABLES}\n{grant};", ENGINE.dialect, "case.sql"))
    assert message in str(error.value.explain())
    assert "case.sql:5" in str(error.value.explain())


def test_a_scratch_leaves_nothing_in_the_lists_of_the_server(shop: MysqlDatabase) -> None:
    with ENGINE.scratch(Target("test", parse_url(shop.url))) as scratch:
        ENGINE.load(scratch, split(SECOND, ENGINE.dialect, "case.sql"))
    assert shop.rows("SELECT count(*) FROM mysql.tables_priv WHERE Db LIKE 'dbops\\_scratch%'") == [(0,)]
    assert show(shop, WRITER) == []


def test_grants_go_the_whole_way(shop: MysqlDatabase, tmp_path: Path) -> None:
    """Import, apply, find drift, change the source, take the change back."""
    shop.load(f"{TABLES} GRANT SELECT, UPDATE (a) ON t TO {READER}; GRANT EXECUTE ON FUNCTION f TO {READER};")
    shop.load(f"GRANT INSERT ON * TO {READER} WITH GRANT OPTION;")
    before = show(shop, READER)
    folder = tmp_path / "env"
    import_database(shop.url, folder, name="shop")
    assert f"GRANT SELECT, UPDATE (`a`) ON `t` TO {READER};" in (folder / "schema/tables/t.sql").read_text()
    assert (folder / "schema/database/grants.sql").read_text() == f"GRANT INSERT ON * TO {READER} WITH GRANT OPTION;\n"
    assert _changed(folder) == []

    shop.rows(f"REVOKE INSERT ON `{shop.name}`.* FROM {READER}")
    shop.rows(f"GRANT DELETE ON `{shop.name}`.t TO {READER}")
    assert _changed(folder) == ["schema/shop/database/grants", "schema/shop/table/t"]
    _apply(folder)
    assert show(shop, READER) == before

    table = folder / "schema/tables/t.sql"
    table.write_text(table.read_text().replace("GRANT SELECT, UPDATE (`a`)", "GRANT SELECT, UPDATE (`b`)"))
    applied = _apply(folder)
    assert show(shop, READER) != before
    with open_workspace(folder) as workspace:
        take_back(workspace, applied, CONSENT)
    assert show(shop, READER) == before


CONSENT = Consent(lambda _: True, allow=frozenset({"all"}))


def _apply(folder: Path) -> str:
    with open_workspace(folder) as workspace:
        return str(apply(workspace, CONSENT).apply_id)


def _changed(folder: Path) -> list[str]:
    with open_workspace(folder) as workspace:
        return sorted(entry.change.address for entry in plan_of(workspace).entries)


def test_grants_that_nobody_may_read_are_left_alone_unless_the_source_names_some(
    shop: MysqlDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop.load("CREATE TABLE t (a int)")
    shop.rows(f"GRANT ALL ON `{shop.name}`.* TO {WRITER}")
    shop.rows(f"GRANT ALL ON `dbops\\_scratch\\_%`.* TO {WRITER}")
    shop.rows(f"ALTER USER {WRITER} IDENTIFIED BY 'open sesame'")
    url = shop.server.tcp_url(shop.name, "dbops_writer", "open sesame")
    folder = tmp_path / "env"
    monkeypatch.setenv("SHOP_DATABASE_URL", url)
    import_database(url, folder, name="shop")
    assert _changed(folder) == []
    (folder / "schema/more.sql").write_text(f"GRANT SELECT ON t TO {READER};")
    with pytest.raises(PlanError, match=r"names grants, and the account may not read mysql\.db"):
        _changed(folder)
