"""What each engine counts is what its server says, whoever asks; what cannot be seen is said."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager

import pytest

from dbops.engines.base.connect import Connection, Target, Timeouts
from dbops.engines.base.engine import Engine
from dbops.engines.base.metrics import METRICS, Look, is_same_epoch
from dbops.engines.base.url import parse_url
from dbops.errors import DbopsError
from dbops.usecases.runtime import engine_for
from tests.databases import Database, MysqlDatabase, PostgresDatabase

pytestmark = pytest.mark.majors(daily=True)

SHOP = """
CREATE TABLE customers (id integer PRIMARY KEY, email varchar(200));
CREATE TABLE orders (id integer PRIMARY KEY, customer_id integer, total integer);
CREATE INDEX orders_customer ON orders (customer_id);
INSERT INTO customers (id) VALUES (1), (2), (3);
"""

#: What a server says nothing of where there is no such thing: replicas, slots, an archive, a table that was vacuumed, a counter.
OF_NOTHING = {
    "sessions_waiting",
    "replication_lag_bytes",
    "replication_lag_seconds",
    "replication_running",
    "replay_lag_seconds",
    "slot_retained_bytes",
    "slot_active",
    "archived_total",
    "archive_failures_total",
    "archive_failing",
    "table_vacuum_age_seconds",
    "sequence_used_ratio",
}


@contextmanager
def session(url: str) -> Iterator[tuple[Engine, Connection]]:
    target = Target("shop", parse_url(url), timeouts=Timeouts(lock_s=20))
    engine = engine_for(target.url)
    with closing(engine.connect(target, readonly=True)) as conn:
        yield engine, conn


def look_at(url: str, objects: int = 10) -> Look:
    with session(url) as (engine, conn):
        return engine.metrics.look(conn, objects=objects)


def of(look: Look, metric: str) -> dict[str, float]:
    return {" ".join(value.labels): value.number for value in look.values if value.metric == metric}


def test_every_metric_is_told_or_said_to_be_unseen(database: Database) -> None:
    database.load(SHOP)
    with session(database.url) as (engine, conn):
        look = engine.metrics.look(conn, objects=10)
        told = {value.metric for value in look.values}
        unseen = {item.metric for item in look.unseen}
        scans = {"table_full_scans_total", "table_index_scans_total", "index_scans_total"}  # MySQL tells of tables that were read
        assert told.isdisjoint(unseen)
        uncounted = {"statements_total", "statement_seconds_total"}  # of SQLite, unless programs count them
        of_nothing = {"mysql": scans, "sqlite": uncounted}.get(database.engine, set())
        assert engine.metrics.names - OF_NOTHING - of_nothing <= told | unseen
        assert told | unseen <= engine.metrics.names
    for value in look.values:
        assert len(value.labels) == len(METRICS[value.metric].labels)
        assert value.number >= 0, value
    assert all(item.fix for item in look.unseen)


def test_a_look_takes_as_many_queries_for_many_tables(database: Database) -> None:
    database.load(SHOP)
    few = look_at(database.url)
    database.load(
        "".join(f"CREATE TABLE t{n} (id integer PRIMARY KEY, a integer); CREATE INDEX i{n} ON t{n} (a);" for n in range(30))
    )
    many = look_at(database.url)
    assert many.queries == few.queries
    assert many.queries < 20
    assert len(of(many, "table_rows")) <= 10
    assert len(of(many, "index_size_bytes")) <= 20  # of SQLite's ten largest tables all indexes


def test_counters_that_began_anew_have_another_epoch(database: Database) -> None:
    database.load(SHOP)
    if database.engine == "sqlite":
        assert look_at(database.url).epochs == {}
        return
    first, second = look_at(database.url), look_at(database.url)
    assert first.epochs.keys() == second.epochs.keys()
    assert all(is_same_epoch(word, second.epochs[scope]) for scope, word in first.epochs.items())
    if database.engine == "postgresql":
        database.rows("SELECT pg_stat_reset()::text")
        for _ in range(50):  # before PostgreSQL 15 a process of its own hears of it
            if look_at(database.url).epochs["database"] != first.epochs["database"]:
                return
            threading.Event().wait(0.1)
        raise AssertionError("the epoch stayed")


def test_a_session_that_waits_for_another_is_seen(database: Database) -> None:
    if database.engine == "sqlite":
        return  # nobody can see who waits for a file
    database.load("CREATE TABLE t (id integer PRIMARY KEY, n integer); INSERT INTO t VALUES (1, 0);")
    change = "UPDATE t SET n = n + 1 WHERE id = 1"
    target = Target("shop", parse_url(database.url), timeouts=Timeouts(lock_s=20))
    engine = engine_for(target.url)
    with ExitStack() as stack:
        holder, waiter = (stack.enter_context(closing(engine.connect(target))) for _ in range(2))
        waiting = threading.Thread(target=_change, args=(waiter, change))
        with holder.transaction():
            holder.execute(change)
            waiting.start()
            look = _until_blocked(database.url)
            with session(database.url) as (_, conn):
                pair = [one for one in engine.activity.blocked(conn) if "n = n + ?" in one.text or not one.blocked_by]
        waiting.join(30)
    (waited,) = [one for one in pair if one.text == "UPDATE t SET n = n + ? WHERE id = ?" and one.waits_for]
    (held,) = [one for one in pair if one.id in waited.blocked_by]
    assert held.waits_for == "" and held.transaction_s is not None and held.transaction_s > 0
    wait = "Lock: transactionid" if database.engine == "postgresql" else "row lock"
    assert of(look, "sessions_waiting")[wait] >= 1
    assert of(look, "sessions_blocked")[""] >= 1  # other tests may have theirs
    assert of(look, "connections_idle_in_transaction")[""] >= 1
    assert of(look, "longest_transaction_seconds")[""] > 0
    assert of(look, "connections_used")[""] >= 3


def test_a_table_that_somebody_changes_does_not_keep_a_look_waiting(pg_database: PostgresDatabase) -> None:
    pg_database.load(SHOP)
    with pg_database.server.connect(pg_database.name) as holder, holder.transaction():
        holder.execute("LOCK TABLE orders IN ACCESS EXCLUSIVE MODE")
        look = look_at(pg_database.url)
    assert of(look, "table_size_bytes").keys() == {"public.customers"}
    assert of(look, "table_rows").keys() == {"public.customers", "public.orders"}
    (why,) = {item.why for item in look.unseen if item.metric in ("table_size_bytes", "index_size_bytes")}
    assert why == "somebody changes public.orders, or waits to"


def _change(conn: Connection, sql: str) -> None:
    conn.execute(sql)


def _until_blocked(url: str) -> Look:
    with session(url) as (engine, conn):
        for _ in range(200):
            look = engine.metrics.look(conn, objects=0)
            if of(look, "sessions_blocked")[""] and of(look, "connections_idle_in_transaction")[""]:
                return look
            threading.Event().wait(0.05)
    raise AssertionError("nobody was seen waiting")


def test_an_account_without_rights_is_told_what_it_lacks_on_postgresql(pg_database: PostgresDatabase) -> None:
    name = f"watch_{pg_database.name}"
    pg_database.load(f"CREATE TABLE t (id serial); CREATE ROLE {name} LOGIN PASSWORD 'pw';")
    pg_database.load('CREATE SCHEMA "with.dot"; CREATE SEQUENCE "with.dot"."and "" quote.";')
    try:
        url = pg_database.server.tcp_url(pg_database.name, name, "pw")
        missing = {item.metric: item for item in look_at(url).unseen}
        assert {"connections_active", "longest_transaction_seconds", "oldest_xmin_age", "sequence_used_ratio"} <= missing.keys()
        pg_database.load("\n".join({item.fix for item in missing.values() if item.fix.startswith("GRANT")}))
        look = look_at(url)
        assert {item.metric for item in look.unseen} <= {"statements_total", "statement_seconds_total", "checksum_failures_total"}
        assert of(look, "sequence_used_ratio") == {"public.t_id_seq": 0, 'with.dot.and " quote.': 0}
    finally:
        pg_database.load(f"DROP OWNED BY {name}; DROP ROLE {name};")


def test_an_account_without_rights_is_told_what_it_lacks_on_mysql(my_database: MysqlDatabase) -> None:
    name = f"watch_{my_database.name}"
    my_database.load(f"CREATE TABLE t (id int PRIMARY KEY AUTO_INCREMENT); CREATE USER {name}@'%' IDENTIFIED BY 'pw';")
    my_database.load(f"CREATE TABLE hidden (id int PRIMARY KEY); GRANT SELECT ON t TO {name}@'%';")
    try:
        url = my_database.server.tcp_url(my_database.name, name, "pw")
        partly = look_at(url)
        assert {"database_size_bytes", "free_bytes", "table_size_bytes"} <= {item.metric for item in partly.unseen}
        assert of(partly, "database_size_bytes") == {} and of(partly, "table_size_bytes").keys() == {"t"}
        my_database.load(f"GRANT SELECT ON {my_database.name}.* TO {name}@'%';")
        missing = {item.metric: item for item in look_at(url).unseen}
        assert {"longest_transaction_seconds", "purge_lag", "sessions_blocked", "index_size_bytes"} <= missing.keys()
        grants = {item.fix for item in missing.values() if item.fix.startswith("GRANT")}
        my_database.load("\n".join(sorted(grants)))
        assert not [item for item in look_at(url).unseen if item.fix.startswith("GRANT")]
    finally:
        my_database.load(f"DROP USER {name}@'%';")


def test_a_sequence_ends_where_its_column_does(database: Database) -> None:
    if database.engine == "postgresql":
        database.load("CREATE TABLE t (id smallserial); SELECT setval('t_id_seq', 29490);")
        name = "public.t_id_seq"
    elif database.engine == "mysql":
        database.load("CREATE TABLE t (id smallint unsigned PRIMARY KEY AUTO_INCREMENT); INSERT INTO t VALUES (58981);")
        name = "t.id"
    else:
        database.load("CREATE TABLE t (id integer PRIMARY KEY AUTOINCREMENT); INSERT INTO t VALUES (8301034833169298227);")
        name = "t"
    assert of(look_at(database.url), "sequence_used_ratio") == {name: pytest.approx(0.9, abs=0.001)}


def test_many_tables_of_mysql_are_not_looked_into_for_a_look(my_database: MysqlDatabase, monkeypatch: pytest.MonkeyPatch) -> None:
    my_database.load(SHOP + "ANALYZE TABLE customers, orders;")
    opened = look_at(my_database.url)
    monkeypatch.setattr("dbops.engines.mysql.metrics._OPENED_AT_MOST", 1)
    look = look_at(my_database.url)
    for name in ("table_size_bytes", "table_rows", "index_size_bytes"):
        assert of(look, name) == of(opened, name)
    assert of(look, "database_size_bytes")[""] == sum(of(look, "table_size_bytes").values())
    assert {"the server looks into each of 2 tables to tell"} == {
        one.why for one in look.unseen if one.metric in ("free_bytes", "sequence_used_ratio", "index_scans_total")
    }
    assert look.queries <= opened.queries


def test_a_file_of_sqlite_tells_of_its_log_and_its_free_pages(sqlite_database: Database) -> None:
    sqlite_database.load(
        "PRAGMA journal_mode = wal; CREATE TABLE t (a); INSERT INTO t VALUES (zeroblob(1000000)); DELETE FROM t;"
    )
    look = look_at(sqlite_database.url)
    assert of(look, "free_bytes")[""] > 900_000
    with session(sqlite_database.url) as (engine, conn):
        sqlite_database.load("CREATE TABLE u (a)")
        assert of(engine.metrics.look(conn, objects=1), "log_size_bytes")[""] > 0


def test_a_database_that_is_not_there_has_no_look(sqlite_database: Database) -> None:
    with pytest.raises(DbopsError):
        look_at("sqlite:////nowhere/at/all.db")
