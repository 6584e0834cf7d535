"""Sessions: what goes to the server, what comes back, and what is said when it refuses."""

from __future__ import annotations

import threading
import time
from contextlib import closing
from dataclasses import replace

import pytest

from dbops.engines.base.connect import Target
from dbops.engines.base.secret import SecretValue
from dbops.engines.base.url import parse_url
from dbops.engines.postgresql.connect import connect, with_placeholders
from dbops.errors import ConnectError, LockTimeoutError, MissingDatabaseError, QueryError, TransientError
from tests.databases import PostgresDatabase
from tests.engines.postgresql.sessions import session, target_of
from tests.servers import PostgresServer


@pytest.mark.parametrize(
    ("written", "sent"),
    [
        ("SELECT ?, '?', \"?\" -- ?\n, ?", "SELECT %s, '?', \"?\" -- ?\n, %s"),
        ("SELECT $$ ? $$, $a$ ? $$ ? $a$, ?", "SELECT $$ ? $$, $a$ ? $$ ? $a$, %s"),
        (r"SELECT E'it\'s ?', 'a''?', ?", r"SELECT E'it\'s ?', 'a''?', %s"),
        ("SELECT 7 % ?, '50%' /* ? %s */", "SELECT 7 %% %s, '50%%' /* ? %%s */"),
    ],
)
def test_only_marks_outside_quotes_and_comments_are_parameters(written: str, sent: str) -> None:
    assert with_placeholders(written) == sent


def test_sql_without_parameters_is_sent_as_it_is(pg_database: PostgresDatabase) -> None:
    with session(pg_database) as conn:
        assert conn.query("SELECT '100%s', '{\"a\": 1}'::jsonb ? 'a', 7 % 4") == [("100%s", True, 3)]


def test_a_wrong_password_is_told_at_once_and_never_shown(postgres_server: PostgresServer) -> None:
    url = parse_url(postgres_server.tcp_url("postgres")).with_password(SecretValue("letmein-7"))
    started = time.monotonic()
    with pytest.raises(ConnectError) as caught:
        connect(Target("shop", url, attempts=5, secrets=("letmein-7",)))
    assert time.monotonic() - started < 2
    assert "password authentication failed" in caught.value.message and "'shop'" in caught.value.message
    assert "letmein-7" not in caught.value.explain() + repr(caught.value.to_dict())


def test_a_missing_database_is_its_own_error(pg_database: PostgresDatabase) -> None:
    target = target_of(pg_database)
    with pytest.raises(MissingDatabaseError, match=r"database 'no such' on .* does not exist"):
        connect(replace(target, url=target.url.with_database("no such")))


def test_a_missing_database_is_known_whatever_the_password_is(postgres_server: PostgresServer) -> None:
    postgres_server.rows("postgres", "CREATE ROLE short_secret LOGIN PASSWORD 'x'")
    try:
        with pytest.raises(MissingDatabaseError):
            connect(Target("shop", parse_url(postgres_server.tcp_url("nowhere", "short_secret", "x"))))
    finally:
        postgres_server.rows("postgres", "DROP ROLE short_secret")


def test_a_server_that_is_not_there_is_tried_again_then_named() -> None:
    started = time.monotonic()
    with pytest.raises(ConnectError) as caught:
        connect(Target("shop", parse_url("postgresql://u@127.0.0.1:1/db"), attempts=2))
    assert time.monotonic() - started >= 0.1
    assert "database 'db' on 127.0.0.1, port 1" in caught.value.message and "refused" in caught.value.message
    assert caught.value.fix == "is the server running, and are host and port right?"


def test_parameters_of_the_url_reach_the_driver(pg_database: PostgresDatabase) -> None:
    target = target_of(pg_database)
    url = replace(target.url, query=(*target.url.query, ("application_name", "mine"), ("options", "-c work_mem=7MB")))
    with closing(connect(replace(target, url=url, settings=(("search_path", "nowhere"),)))) as conn:
        shown = "SELECT current_setting('application_name'), current_setting('work_mem'), current_setting('search_path')"
        assert conn.query(shown) == [("mine", "7MB", "nowhere")]


def test_two_sessions_of_one_database_know_it_as_the_same(pg_database: PostgresDatabase) -> None:
    target = target_of(pg_database)
    other = replace(target, url=target.url.with_database("postgres"))
    with closing(connect(target)) as one, closing(connect(target)) as two, closing(connect(other)) as three:
        assert one.server == two.server
        assert one.server.identity != three.server.identity
        assert one.server.flavour == "postgresql" and one.server.version >= (13,)


def test_errors_say_state_place_and_hint(pg_database: PostgresDatabase) -> None:
    with session(pg_database) as conn, pytest.raises(QueryError) as caught:
        conn.query("SELECT nothing_like_it FROM pg_class")
    assert caught.value.context["sqlstate"] == "42703" and caught.value.context["position"] == 8
    assert type(caught.value) is QueryError


def test_time_limits_are_kept(pg_database: PostgresDatabase) -> None:
    with session(pg_database, statement_s=0.1) as conn, pytest.raises(QueryError, match="statement timeout"):
        conn.query("SELECT pg_sleep(5)")


def test_a_lock_that_is_not_free_is_not_waited_for_longer_than_said(pg_database: PostgresDatabase) -> None:
    pg_database.load("CREATE TABLE t (id int);")
    with session(pg_database) as holder, session(pg_database, lock_s=0.1) as conn, holder.transaction():
        holder.execute("LOCK TABLE t")
        with pytest.raises(LockTimeoutError) as caught:
            conn.query("SELECT * FROM t")
    assert "timeouts.lock" in (caught.value.fix or "")


def test_a_deadlock_and_a_lost_session_may_be_tried_again(pg_database: PostgresDatabase) -> None:
    pg_database.load("CREATE TABLE a (id int); CREATE TABLE b (id int);")
    errors: list[QueryError] = []
    meeting = threading.Barrier(2)

    def cross(first: str, second: str) -> None:
        with session(pg_database, lock_s=0) as conn:
            try:
                with conn.transaction():
                    conn.execute(f"LOCK TABLE {first}")
                    meeting.wait(10)
                    conn.execute(f"LOCK TABLE {second}")
            except QueryError as error:
                errors.append(error)

    threads = [threading.Thread(target=cross, args=names) for names in (("a", "b"), ("b", "a"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [type(error) for error in errors] == [TransientError]
    with session(pg_database) as conn:
        with pytest.raises(TransientError):
            conn.query("SELECT pg_terminate_backend(pg_backend_pid())")
        with pytest.raises(TransientError):
            conn.query("SELECT 1")


def test_the_holder_of_the_lock_is_named(pg_database: PostgresDatabase) -> None:
    from dbops.engines.postgresql.lock import lock

    with (
        session(pg_database) as one,
        session(pg_database) as two,
        lock(one, "apply", 1),
        pytest.raises(LockTimeoutError, match=r"postgres \(dbops, process \d+"),
        lock(two, "apply", 0),
    ):
        pass


def test_a_database_is_made_from_the_maintenance_database(postgres_server: PostgresServer) -> None:
    from dbops.engines.postgresql.connect import create_database

    name = 'made "here"'
    target = Target("shop", parse_url(postgres_server.admin_url).with_database(name), attempts=1)
    create_database(target)
    create_database(target)
    try:
        with closing(connect(target)) as conn:
            assert conn.query("SELECT current_database()") == [(name,)]
    finally:
        postgres_server.drop_database(name)
