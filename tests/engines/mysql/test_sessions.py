"""Sessions, locks, scratch databases and tokens of a real server."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import pytest

from dbops.catalog.changes import ChangeSet, RenameColumn, RenameObject
from dbops.catalog.model import Table
from dbops.catalog.ref import Ref
from dbops.engines.base.connect import Connection, Target, Timeouts
from dbops.engines.base.render import RenderContext
from dbops.engines.base.url import parse_url
from dbops.engines.mysql.engine import MysqlEngine
from dbops.errors import ConnectError, LockTimeoutError, MissingDatabaseError, QueryError
from tests.databases import MysqlDatabase
from tests.engines.mysql.loop import canonical, changes_between, sorted_lines
from tests.servers import MysqlServer

ENGINE = MysqlEngine()


@pytest.fixture
def target(my_database: MysqlDatabase) -> Target:
    return Target("shop", parse_url(my_database.url))


@pytest.fixture
def conn(target: Target) -> Connection:
    return ENGINE.connect(target)


def test_marks_are_parameters_and_everything_else_is_sent_as_it_is(conn: Connection) -> None:
    assert conn.query("SELECT ?, '?%s', `a?`.x FROM (SELECT 1 AS x) AS `a?` -- ?", ("it's %s",)) == [("it's %s", "?%s", 1)]
    assert conn.query("SELECT '100%', '%s', '?'") == [("100%", "%s", "?")]


def test_text_of_every_length_comes_back(conn: Connection) -> None:
    assert conn.query("SELECT ?, 'é 😀'", ("smile 😀",)) == [("smile 😀", "é 😀")]


def test_a_statement_larger_than_the_server_takes_is_refused_in_time(conn: Connection) -> None:
    limit = conn.query("SELECT @@max_allowed_packet")[0][0]
    with pytest.raises(QueryError, match="max_allowed_packet"):
        conn.execute(f"SELECT '{'x' * limit}'")
    assert conn.query("SELECT 1") == [(1,)]


def test_several_results_do_not_confuse_the_next_statement(conn: Connection) -> None:
    conn.execute("CREATE PROCEDURE p() BEGIN SELECT 1; SELECT 2; END")
    assert conn.query("CALL p()") == [(1,)]
    assert conn.query("SELECT 3") == [(3,)]


def test_a_transaction_is_rolled_back_when_its_block_raises(conn: Connection) -> None:
    conn.execute("CREATE TABLE t (a int)")
    with pytest.raises(QueryError), conn.transaction():
        conn.execute("INSERT INTO t VALUES (1)")
        conn.execute("INSERT INTO nowhere VALUES (1)")
    assert conn.query("SELECT * FROM t") == []


def test_a_readonly_session_writes_nothing(target: Target) -> None:
    reader = ENGINE.connect(target, readonly=True)
    with pytest.raises(QueryError, match="READ ONLY"):
        reader.execute("CREATE TABLE t (a int)")


def test_a_statement_runs_into_its_time_limit(target: Target) -> None:
    conn = ENGINE.connect(replace(target, timeouts=Timeouts(statement_s=0.2)))
    conn.execute("CREATE TABLE t (a int)")
    conn.execute("INSERT INTO t VALUES (1), (2), (3), (4), (5), (6), (7), (8), (9), (10)")
    with pytest.raises(QueryError) as caught:
        conn.query(f"SELECT count(*) FROM {', '.join(f't AS t{place}' for place in range(9))} WHERE t0.a + t1.a = t2.a")
    assert caught.value.fix is not None and "timeouts.statement" in caught.value.fix


def test_a_lock_that_is_not_granted_in_time_is_told(target: Target, conn: Connection) -> None:
    conn.execute("CREATE TABLE t (a int)")
    other = ENGINE.connect(replace(target, timeouts=Timeouts(lock_s=1)))
    with conn.transaction(), pytest.raises(LockTimeoutError):
        conn.query("SELECT * FROM t")
        other.execute("ALTER TABLE t ADD COLUMN b int")


def test_wrong_addresses_say_what_is_wrong(my_database: MysqlDatabase, target: Target) -> None:
    server = my_database.server
    with pytest.raises(MissingDatabaseError, match="nowhere"):
        ENGINE.connect(Target("shop", parse_url(server.url("nowhere"))))
    secret = "wrong-word"
    bad = Target("shop", parse_url(server.tcp_url(my_database.name, password=secret)), secrets=(secret,))
    with pytest.raises(ConnectError) as caught:
        ENGINE.connect(bad)
    assert secret not in caught.value.explain() and "password" in caught.value.explain()
    with pytest.raises(ConnectError, match="cannot connect"):
        ENGINE.connect(Target("shop", parse_url("mysql://u@127.0.0.1:1/x"), attempts=1))


def test_one_database_has_one_identity(my_database: MysqlDatabase, conn: Connection) -> None:
    server = my_database.server
    over_tcp = ENGINE.connect(Target("shop", parse_url(server.tcp_url(my_database.name))))
    assert over_tcp.server.identity == conn.server.identity
    assert ENGINE.connect(Target("shop", parse_url(server.url("mysql")))).server.identity != conn.server.identity
    assert conn.server.flavour == server.make.name and conn.server.version >= (8, 0)


def test_a_missing_database_is_created_and_only_once(my_database: MysqlDatabase) -> None:
    name = f"{my_database.name}_new"
    target = Target("shop", parse_url(my_database.server.url(name)))
    try:
        ENGINE.create_database(target)
        ENGINE.create_database(target)
        assert ENGINE.connect(target).query("SHOW TABLES") == []
    finally:
        my_database.server.drop_database(name)


def test_a_change_of_a_table_gives_way_after_a_fraction_of_a_second(target: Target, conn: Connection) -> None:
    conn.execute("CREATE TABLE t (a int)")
    impatient = ENGINE.connect(replace(target, timeouts=Timeouts(lock_s=0.2)))
    with conn.transaction():
        conn.query("SELECT * FROM t")
        with pytest.raises(LockTimeoutError, match=r"for all of 0\.2 s"):
            impatient.execute("ALTER TABLE t ADD b int")
    impatient.execute("ALTER TABLE t ADD b int")
    assert conn.query("SELECT b FROM t") == []


def test_the_advisory_lock_keeps_others_out_and_names_its_holder(target: Target, conn: Connection) -> None:
    other = ENGINE.connect(target)
    with ENGINE.lock(conn, "apply", 1), pytest.raises(LockTimeoutError, match="connection"), ENGINE.lock(other, "apply", 0):
        pass
    with ENGINE.lock(other, "apply" * 20, 0):
        pass


# --- fingerprint, sizes, what is not managed ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE x (a int)",
        "ALTER TABLE t ADD COLUMN b int",
        "ALTER TABLE t COMMENT 'x'",
        "ALTER TABLE t ALTER COLUMN a SET DEFAULT 5",
        "CREATE INDEX i ON t (a)",
        "CREATE VIEW v AS SELECT 1 AS one",
        "CREATE TRIGGER x BEFORE INSERT ON t FOR EACH ROW SET NEW.a = 1",
        "CREATE PROCEDURE p() SELECT 1",
        "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO SELECT 1",
        "CREATE SEQUENCE s",
        "DROP TABLE t",
    ],
)
def test_every_ddl_moves_the_fingerprint(my_database: MysqlDatabase, conn: Connection, statement: str) -> None:
    if "SEQUENCE" in statement and not my_database.server.has("sequences"):
        pytest.skip("the server has no sequences")
    conn.execute("CREATE TABLE t (id int AUTO_INCREMENT PRIMARY KEY, a int)")
    before = ENGINE.fingerprint(conn)
    conn.execute("INSERT INTO t (a) VALUES (1), (2)")
    assert ENGINE.fingerprint(conn) == before
    conn.execute(statement)
    assert ENGINE.fingerprint(conn) != before


def test_sizes_come_from_statistics(conn: Connection) -> None:
    conn.execute("CREATE TABLE t (a int)")
    conn.execute(f"INSERT INTO t VALUES {', '.join(f'({number})' for number in range(1000))}")
    conn.query("ANALYZE TABLE t")
    assert ENGINE.sizes(conn)[Ref("table", "", "t")].rows > 500


def test_what_is_not_managed_is_named(my_database: MysqlDatabase, conn: Connection) -> None:
    if not my_database.server.has("packages"):
        pytest.skip("the server has no packages")
    conn.execute("SET sql_mode = ORACLE")
    conn.execute("CREATE PACKAGE p AS PROCEDURE q; END")
    assert [(item.kind, item.name) for item in ENGINE.inspect(conn).unmanaged] == [("package", "p")]


def test_our_own_tables_are_left_out(conn: Connection) -> None:
    conn.execute("CREATE TABLE dbops_journal (id int)")
    conn.execute("CREATE TABLE t (a int)")
    assert [table.name for table in ENGINE.inspect(conn).all(Table)] == ["t"]


# --- renames --------------------------------------------------------------------------------------------------------------


def test_renames_keep_rows_and_are_taken_back(conn: Connection) -> None:
    conn.execute("CREATE TABLE old (a int, KEY i (a), CONSTRAINT c CHECK (a > 0))")
    conn.execute("INSERT INTO old VALUES (1)")
    conn.execute("CREATE TRIGGER x BEFORE INSERT ON old FOR EACH ROW SET NEW.a = 5")
    conn.execute("CREATE PROCEDURE p() SELECT 1")
    conn.execute("CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO SELECT 1")
    live = ENGINE.inspect(conn)
    renames = (
        RenameObject(Ref("table", "", "old"), Ref("table", "", "new")),
        RenameObject(Ref("index", "", "i", "old"), Ref("index", "", "j", "old")),
        RenameObject(Ref("check", "", "c", "new"), Ref("check", "", "d", "new")),
        RenameObject(Ref("routine", "", "p"), Ref("routine", "", "q")),
        RenameObject(Ref("event", "", "e"), Ref("event", "", "f")),
        RenameColumn(Ref("table", "", "old"), "a", "b"),
    )
    acts = ENGINE.render(ChangeSet(live, live, renames), RenderContext(conn.server))
    _run(conn, [statement for act in acts for statement in act.do])
    names = {str(item.ref) for item in ENGINE.inspect(conn)}
    assert names == {"table/new", "table/new/index/j", "table/new/check/d", "table/new/trigger/x", "routine/q", "event/f"}
    assert conn.query("SELECT b FROM new") == [(1,)]
    assert {hazard.code for act in acts for hazard in act.hazards} == {"NOT_TRANSACTIONAL", "RENAMES"}
    _run(conn, [statement for act in reversed(acts) for statement in act.undo or ()])
    assert ENGINE.inspect(conn).objects == live.objects


def test_what_speaks_of_a_renamed_column_follows_it(conn: Connection, my_database: MysqlDatabase) -> None:
    key = ", KEY k ((a * 3), b)" if my_database.server.has("functional keys") else ""
    conn.execute(
        "CREATE TABLE t (id int PRIMARY KEY, a int, g int AS (a + 1) VIRTUAL, h int AS (g + b) STORED, b int,"
        f" c int DEFAULT (a + b), KEY of_g (g), CONSTRAINT d CHECK (a > b){key})"
    )
    conn.execute("INSERT INTO t (id, a, b, c) VALUES (1, 5, 3, 2)")
    live, first = ENGINE.inspect(conn), my_database.dump()
    renames = (RenameColumn(Ref("table", "", "t"), "a", "x y"), RenameColumn(Ref("table", "", "t"), "b", "a"))
    acts = ENGINE.render(ChangeSet(live, live, renames), RenderContext(conn.server))
    _run(conn, [statement for act in acts for statement in act.do])
    assert conn.query("SELECT `x y`, g, h, a, c FROM t") == [(5, 6, 9, 3, 2)]
    assert "`x y` > `a`" in my_database.dump()
    _run(conn, [statement for act in reversed(acts) for statement in act.undo or ()])
    assert ENGINE.inspect(conn).objects == live.objects
    assert sorted_lines(my_database.dump()) == sorted_lines(first)


@pytest.mark.parametrize(
    ("renames", "wanted"),
    [
        ([RenameObject(Ref("table", "", "old"), Ref("table", "", "new"))], ("new", "a", "v")),
        ([RenameColumn(Ref("table", "", "old"), "a", "b")], ("old", "b", "v")),
        (
            [
                RenameObject(Ref("view", "", "v"), Ref("view", "", "u")),
                RenameObject(Ref("table", "", "old"), Ref("table", "", "new")),
                RenameColumn(Ref("table", "", "new"), "a", "b"),
            ],
            ("new", "b", "u"),
        ),
    ],
)
@pytest.mark.parametrize("stays", [True, False])
def test_views_over_what_is_renamed_come_back(
    conn: Connection, target: Target, renames: list[RenameObject | RenameColumn], wanted: tuple[str, str, str], stays: bool
) -> None:
    conn.execute("CREATE TABLE old (a int, gone int)")
    conn.execute("INSERT INTO old VALUES (1, 2)")
    conn.execute("CREATE VIEW v AS SELECT a AS x, gone FROM old")
    conn.execute("CREATE VIEW a_user AS SELECT x FROM v")
    live = ENGINE.inspect(conn)
    table, column, view = wanted
    views = f"CREATE VIEW {view} AS SELECT {column} AS x FROM {table}; CREATE VIEW a_user AS SELECT x FROM {view};"
    declared = canonical(f"CREATE TABLE {table} ({column} int); {views if stays else ''}", target)
    acts = ENGINE.render(ChangeSet(live, live, tuple(renames)), RenderContext(conn.server))
    _run(conn, [statement for act in acts for statement in act.do])
    renamed = ENGINE.inspect(conn)
    context = RenderContext(conn.server, archive="t", renames=tuple(renames))
    acts += ENGINE.render(ChangeSet(renamed, declared, changes_between(renamed, declared)), context)
    _run(conn, [statement for act in acts[len(renames) :] for statement in act.do])
    assert changes_between(ENGINE.inspect(conn), declared) == ()
    if stays:
        assert conn.query("SELECT x FROM a_user") == [(1,)]
    _run(conn, [statement for act in reversed(acts) for statement in act.undo or ()])
    assert ENGINE.inspect(conn).objects == live.objects
    assert conn.query("SELECT x, gone FROM v JOIN a_user USING (x)") == [(1, 2)]


def _run(conn: Connection, statements: list[object]) -> None:
    for statement in statements:
        conn.execute(statement.sql)  # type: ignore[attr-defined]


# --- scratch --------------------------------------------------------------------------------------------------------------


def _scratches(server: MysqlServer) -> list[str]:
    return [str(row[0]) for row in server.rows("mysql", "SHOW DATABASES LIKE 'dbops\\\\_scratch\\\\_%'")]


def test_a_scratch_takes_after_its_target_and_is_gone_afterwards(my_database: MysqlDatabase, target: Target) -> None:
    my_database.rows(f"ALTER DATABASE `{my_database.name}` CHARACTER SET latin1 COLLATE latin1_german1_ci")
    with ENGINE.scratch(target) as conn:
        [(name, collation)] = conn.query("SELECT DATABASE(), @@collation_database")
        assert collation == "latin1_german1_ci"
    assert name not in _scratches(my_database.server)


def test_a_scratch_is_had_while_the_database_is_missing(my_database: MysqlDatabase) -> None:
    with ENGINE.scratch(Target("shop", parse_url(my_database.server.url("nowhere")))) as conn:
        assert conn.query("SELECT 1") == [(1,)]


def test_leftovers_of_the_dead_are_removed_and_those_in_use_are_not(my_database: MysqlDatabase, target: Target) -> None:
    server, old = my_database.server, int(time.time()) - 3600
    dead, used = f"dbops_scratch_{old}_dead", f"dbops_scratch_{old}_used"
    holder = ENGINE.connect(target)
    holder.query("SELECT GET_LOCK(?, 0)", (used,))  # before the database is there, for other tests clear away too
    for name in (dead, used):
        server.rows("mysql", f"CREATE DATABASE IF NOT EXISTS `{name}`")
    try:
        with ENGINE.scratch(target):
            found = _scratches(server)
        assert dead not in found and used in found
    finally:
        server.drop_database(used)
        holder.close()


@pytest.fixture
def poor_target(my_database: MysqlDatabase) -> Target:
    """An account that may do everything in its database and nothing outside."""
    server, name = my_database.server, my_database.name
    user = f"u{name[-8:]}"
    server.rows("mysql", f"CREATE USER `{user}`@localhost IDENTIFIED BY 'word'")
    server.rows("mysql", f"GRANT ALL ON `{name}`.* TO `{user}`@localhost")
    url = server.url(name).replace("root@", f"{user}:word@")
    return Target("shop", parse_url(url))


@pytest.fixture
def programs_of_the_server(my_database: MysqlDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the programs of the server that the tests run on found first."""
    place = Path(my_database.server.make.server).parent
    monkeypatch.setenv("PATH", f"{place}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.usefixtures("programs_of_the_server")
def test_an_account_without_rights_gets_a_private_server(poor_target: Target) -> None:
    conn = ENGINE.connect(poor_target)
    assert ENGINE.abilities(conn).can_create_database is False
    with ENGINE.scratch(poor_target) as scratch:
        assert scratch.server.identity.rsplit("/", 1)[0] != conn.server.identity.rsplit("/", 1)[0]
        [(folder,)] = scratch.query("SELECT @@datadir")
        scratch.execute("CREATE VIEW v AS SELECT 1 AS one")
        assert [item.owner for item in ENGINE.inspect(scratch, declared=True)] == [None]
    assert not Path(str(folder)).exists()


def test_a_scratch_elsewhere_is_used_when_it_is_named(my_database: MysqlDatabase, poor_target: Target) -> None:
    elsewhere = replace(poor_target, scratch=parse_url(my_database.server.admin_url))
    with ENGINE.scratch(elsewhere) as scratch:
        assert str(scratch.query("SELECT DATABASE()")[0][0]) in _scratches(my_database.server)


@pytest.mark.usefixtures("programs_of_the_server")
def test_a_private_server_does_not_outlive_us(my_database: MysqlDatabase) -> None:
    program = textwrap.dedent("""
        import os, signal, sys
        from dbops.engines.mysql.private_server import find_programs, private_server
        with private_server(find_programs(sys.argv[1]), None) as url:
            print(dict(url.query)["unix_socket"], flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
    """)
    # The server's own account removes the folder, which it may where anybody may put something.
    settings = {**os.environ, "TMPDIR": "/tmp"}
    command = [sys.executable, "-c", program, my_database.server.make.name]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=settings)
    assert done.returncode == -signal.SIGKILL, done.stderr
    folder = Path(done.stdout.strip()).parent
    give_up = time.monotonic() + 60  # what ends it waits 30 s itself
    while folder.exists() and time.monotonic() < give_up:
        time.sleep(0.1)
    assert folder.is_absolute() and not folder.exists()
