"""Logical backups: dumped while others write, restored whole and in parts, never half."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from dbops.archive.manifest import Manifest
from dbops.engines.base.url import parse_url
from dbops.engines.postgresql.backup import dumping, loading, parallel, trying
from dbops.engines.postgresql.scratch import PREFIX
from dbops.errors import BackupError
from dbops.resources.backups.proving import link as link_of
from tests.databases import PostgresDatabase, fresh_postgres
from tests.engines.postgresql.backup.nasty import NASTY, OWNER, content
from tests.failures.trial import wait_until
from tests.servers import NotToBeHad, PostgresServer
from tests.servers.releases import programs
from tests.usecases.policies import Shop

FULL = '[{type: full, cron: "0 3 * * 0"}]'


@pytest.fixture(scope="module")
def role(postgres_server: PostgresServer) -> Iterator[str]:
    postgres_server.psql("postgres", f"DROP ROLE IF EXISTS {OWNER}; CREATE ROLE {OWNER}")
    yield OWNER
    postgres_server.psql("postgres", f"DROP ROLE {OWNER}")


@pytest.fixture(scope="module")
def nasty(postgres_server: PostgresServer, role: str) -> Iterator[PostgresDatabase]:
    with fresh_postgres(postgres_server) as database:
        database.load(NASTY)
        database.load(
            f'ALTER DATABASE "{database.name}" SET search_path = "Shop & Co", public;'
            f"ALTER DATABASE \"{database.name}\" SET work_mem = '5MB';"
            f'GRANT CONNECT ON DATABASE "{database.name}" TO {role};'
            f"COMMENT ON DATABASE \"{database.name}\" IS 'it''s nasty';"
        )
        yield database


@pytest.fixture(scope="module")
def shop(nasty: PostgresDatabase, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    return Shop(tmp_path_factory.mktemp("shop"), nasty.url, schedule=FULL)


@pytest.fixture(scope="module")
def made(shop: Shop) -> Manifest:
    return shop.run()


@pytest.fixture
def new(postgres_server: PostgresServer) -> Iterator[str]:
    """The name of a database that does not exist."""
    name = f"restored_{os.urandom(4).hex()}"
    yield name
    postgres_server.drop_database(name)


def databases(server: PostgresServer) -> set[str]:
    return {
        name for (name,) in server.rows("postgres", "SELECT datname FROM pg_database WHERE datname !~ '^(test|dbops_scratch)_'")
    }


@pytest.fixture(autouse=True)
def mark(monkeypatch: pytest.MonkeyPatch) -> str:
    """What the names of passing databases of this test hold: other tests make theirs on the same server."""
    mark, numbers = os.urandom(4).hex(), count()
    monkeypatch.setattr("dbops.engines.postgresql.scratch.secrets.token_hex", lambda size: f"{mark}{next(numbers):02x}")
    return mark


def leftovers(server: PostgresServer, mark: str) -> list[str]:
    return [name for (name,) in server.rows("postgres", f"SELECT datname FROM pg_database WHERE datname ~ '_{mark}'")]


def test_whole_database_comes_back_equal(
    shop: Shop, made: Manifest, nasty: PostgresDatabase, new: str, postgres_server: PostgresServer
) -> None:
    result = shop.restore(postgres_server.url(new))
    assert postgres_server.dump(new) == nasty.dump()
    assert content(postgres_server, new) == content(postgres_server, nasty.name)
    grants = "(SELECT array_agg(a::text ORDER BY a::text) FROM unnest(datacl) AS a)"
    told = f"SELECT shobj_description(oid, 'pg_database'), {grants} FROM pg_database WHERE datname = '{{}}'"
    assert postgres_server.rows(new, told.format(new)) == nasty.rows(told.format(nasty.name))
    assert postgres_server.rows(new, "SELECT current_setting('search_path'), current_setting('work_mem')") == [
        ('"Shop & Co", public', "5MB")
    ]
    assert result.restored.reached == made.end
    assert made.tools["pg_dump"] and [one["code"] for one in made.exits] == [0, 0]


def test_what_comes_into_an_empty_database_meanwhile_is_left_there(
    shop: Shop, made: Manifest, new: str, postgres_server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    postgres_server.psql("postgres", f"CREATE DATABASE {new}")
    load = loading.load

    def loaded(*arguments: Any) -> Any:
        postgres_server.psql(new, "CREATE TABLE own (a int)")
        return load(*arguments)

    monkeypatch.setattr(loading, "load", loaded)
    with pytest.raises(BackupError, match="by now; it was left as it is"):
        shop.restore(postgres_server.url(new))
    assert postgres_server.rows(new, "SELECT count(*) FROM own") == [(0,)]


SEVERAL = '[{type: full, cron: "0 3 * * 0", options: {jobs: 3}}]'


def test_several_sessions_dump_and_load_the_same(
    nasty: PostgresDatabase, new: str, postgres_server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    shop = Shop(tmp_path / "several", nasty.url, schedule=SEVERAL)
    made = shop.run()
    assert {"database.tar", "toc.dat"} <= {stream.name for stream in made.streams}
    shop.restore(postgres_server.url(new))
    assert content(postgres_server, new) == content(postgres_server, nasty.name)
    assert shop.verify(3, made.id).problems == shop.verify(2, made.id).problems == ()
    postgres_server.drop_database(new)
    shop.restore(postgres_server.url(new), tables=("Shop & Co.Orders ; --",), options={"jobs": "1"})
    tables = postgres_server.rows(new, "SELECT count(*) FROM pg_class WHERE relname = 'Orders ; --'")
    assert tables == [(1,)]
    assert {path.name for path in tmp_path.iterdir()} == {"several"}


def test_a_dump_by_one_session_is_loaded_by_several(
    shop: Shop,
    made: Manifest,
    nasty: PostgresDatabase,
    new: str,
    postgres_server: PostgresServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shop.restore(postgres_server.url(new), options={"jobs": "2"})
    assert content(postgres_server, new) == content(postgres_server, nasty.name)
    for options in ({"jobs": "0"}, {"jobs": "many"}, {"job": "2"}):
        with pytest.raises(BackupError, match=r"options.jobs is|--option job means nothing"):
            shop.restore(postgres_server.url(f"{new}_never"), options=options)


GUARDED = """
CREATE TABLE t AS SELECT 1 AS a;
CREATE MATERIALIZED VIEW m AS SELECT a FROM t;
CREATE FUNCTION forbid() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no changes here'; END $$;
CREATE EVENT TRIGGER guard ON ddl_command_start EXECUTE FUNCTION forbid();
COMMENT ON EVENT TRIGGER guard IS 'nobody changes anything';
"""


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_an_event_trigger_that_forbids_all_comes_back_behind_all_else(
    pg_database: PostgresDatabase, new: str, jobs: str, postgres_server: PostgresServer, tmp_path: Path
) -> None:
    pg_database.load(GUARDED)
    shop = Shop(tmp_path, pg_database.url, schedule=SEVERAL.replace("3}", f"{jobs}}}"))
    shop.run()
    assert shop.verify(3).problems == ()
    shop.restore(postgres_server.url(new))
    assert postgres_server.dump(new) == pg_database.dump()
    assert postgres_server.rows(new, "SELECT a FROM m") == [(1,)]


def test_a_trigger_on_logins_does_not_turn_its_restore_away(newest_server: PostgresServer, tmp_path: Path) -> None:
    with fresh_postgres(newest_server) as database:
        database.load(
            f"CREATE FUNCTION f() RETURNS event_trigger LANGUAGE plpgsql AS"
            f" $$ BEGIN IF current_database() <> '{database.name}' THEN RAISE EXCEPTION 'no entry'; END IF; END $$;"
            "CREATE EVENT TRIGGER door ON login EXECUTE FUNCTION f();"
        )
        shop = Shop(tmp_path, database.url, schedule=FULL)
        shop.run()
        name = f"{database.name}_again"
        try:
            shop.restore(newest_server.url(name))
            found = newest_server.rows("postgres", f"SELECT count(*) FROM pg_database WHERE datname = '{name}'")
            assert found == [(1,)]
        finally:
            newest_server.drop_database(name)


def test_what_a_database_sets_for_a_role_that_has_nothing_in_it_comes_back(
    pg_database: PostgresDatabase, new: str, postgres_server: PostgresServer, tmp_path: Path, mark: str
) -> None:
    role = f"idle_{mark}"
    pg_database.load(f"CREATE ROLE {role}; ALTER ROLE {role} IN DATABASE \"{pg_database.name}\" SET work_mem = '3MB'")
    shop = Shop(tmp_path, pg_database.url, schedule=FULL)
    shop.run()
    shop.restore(postgres_server.url(new))
    settings = f"SELECT setconfig FROM pg_db_role_setting JOIN pg_database d ON d.oid = setdatabase WHERE datname = '{new}'"
    assert postgres_server.rows("postgres", settings) == [(["work_mem=3MB"],)]
    postgres_server.drop_database(new)
    pg_database.load(f'ALTER ROLE {role} IN DATABASE "{pg_database.name}" RESET ALL; DROP ROLE {role}')
    warnings = shop.restore(postgres_server.url(new)).restored.warnings
    assert any(role in text for text in warnings)


def test_a_database_sorted_by_what_a_server_does_not_know_is_refused(
    pg_database: PostgresDatabase, new: str, postgres_server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Shop(tmp_path, pg_database.url, schedule=FULL)
    shop.run()
    monkeypatch.setitem(loading._SINCE, "c", ("the C library", 1000))
    with pytest.raises(BackupError, match="from PostgreSQL 1000 on"):
        shop.restore(postgres_server.url(new))


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_programs_of_a_newer_version_load_into_an_older_server(
    pg_database: PostgresDatabase,
    new: str,
    jobs: str,
    postgres_server: PostgresServer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    try:
        clients = programs(18).clients
    except NotToBeHad as reason:
        pytest.skip(str(reason))
    for module in (dumping, loading, trying):
        monkeypatch.setattr(module, "find", lambda name, _major, **_: clients / name)
    pg_database.load(GUARDED)
    shop = Shop(tmp_path, pg_database.url, schedule=SEVERAL.replace("3}", f"{jobs}}}"))
    assert shop.run().details["dump_major"] == 18
    assert shop.verify(3).problems == ()
    shop.restore(postgres_server.url(new))
    assert postgres_server.dump(new) == pg_database.dump()
    postgres_server.drop_database(new)
    shop.restore(postgres_server.url(new), tables=("t",))
    assert postgres_server.rows(new, "SELECT a FROM t") == [(1,)]
    link = shop.backups()[0]
    with pytest.raises(BackupError, match="exit code 1"), shop.keeper() as keeper:
        target = replace(keeper.target, url=parse_url(postgres_server.url(new)))
        loading.load_whole(link_of(keeper.engine.backups, keeper.repository, link), clients / "pg_restore", target)


def test_a_dump_by_several_sessions_takes_the_room_of_the_tables_at_work(
    pg_database: PostgresDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for number in range(8):
        pg_database.load(f"CREATE TABLE t{number} AS SELECT repeat(i::text, 500) AS t FROM generate_series(1, 2000) AS i")
    most = 0

    def at_most(self: object, path: Path, **_: object) -> None:
        nonlocal most
        most = max(most, sum(file.stat().st_size for file in tmp_path.rglob("*.dat")))

    take = parallel._take

    def taken(path: Path, archive: object, *, is_kept: bool = False) -> None:
        at_most(None, path)
        take(path, archive, is_kept=is_kept)  # type: ignore[arg-type]

    monkeypatch.setattr(parallel, "_take", taken)
    monkeypatch.setattr(parallel, "_WAIT_S", 0.002)
    shop = Shop(tmp_path / "env", pg_database.url, schedule=SEVERAL.replace("3}", "2}"))
    [size] = [stream.plain_size for stream in shop.run().streams if stream.name == "database.tar"]
    assert most < size


def test_an_option_that_means_nothing_is_refused(pg_database: PostgresDatabase, tmp_path: Path) -> None:
    shop = Shop(tmp_path / "env", pg_database.url, schedule=SEVERAL.replace("jobs", "job"))
    with pytest.raises(BackupError, match=r"options\.job of the schedule means nothing to pg_dump"):
        shop.run()


def test_a_table_that_is_locked_ends_the_dump_when_its_time_is_up(pg_database: PostgresDatabase, tmp_path: Path) -> None:
    pg_database.load("CREATE TABLE items (id int); CREATE TABLE others (id int)")
    schedule = '[{type: full, cron: "0 3 * * 0", options: {lock_wait: 300ms}}]'
    shop = Shop(tmp_path / "shop", pg_database.url, schedule=schedule)
    with pg_database.server.connect(pg_database.name) as other, other.transaction():
        other.execute("LOCK TABLE items IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(BackupError, match="statement timeout") as refused:
            shop.run()  # whose own session waits for the same lock, to count rows
        assert "options.lock_wait" in str(refused.value.fix)
        sessions = f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{pg_database.name}'"
        wait_until(lambda: pg_database.server.rows("postgres", sessions) == [(1,)])
    assert not shop.backups()
    assert shop.run().streams, "the next one is made"


def test_trial_compares_catalog_and_rows(shop: Shop, made: Manifest, postgres_server: PostgresServer, mark: str) -> None:
    evidence = shop.verify(3)
    assert evidence.ok, evidence.problems
    assert evidence.details["schema"] is True and evidence.details["tables_counted"] >= 5
    assert shop.verify(2).ok
    assert leftovers(postgres_server, mark) == []


def test_one_table_comes_with_all_that_belongs_to_it(
    shop: Shop, made: Manifest, nasty: PostgresDatabase, new: str, postgres_server: PostgresServer
) -> None:
    result = shop.restore(postgres_server.url(new), tables=("Shop & Co.Orders ; --",))
    assert "Shop & Co.kinds" not in " ".join(result.restored.warnings)
    rows = postgres_server.rows(new, 'SELECT count(*) FROM "Shop & Co"."Orders ; --"')
    assert rows == [(27,)]
    whole = postgres_server.dump(new)
    for part in (
        "CREATE POLICY own",
        "CREATE RULE no_delete",
        "UNIQUE (tag)",
        "PRIMARY KEY (no)",
        "ROW LEVEL SECURITY",
        "no <> 13",
    ):
        assert part in whole
    assert "kinds" not in whole and any("foreign keys" in text for text in result.restored.warnings)


def test_table_brings_types_functions_and_indexes(
    shop: Shop, made: Manifest, nasty: PostgresDatabase, new: str, postgres_server: PostgresServer
) -> None:
    shop.restore(postgres_server.url(new), tables=("kinds",))
    ours, theirs = content(postgres_server, new), content(postgres_server, nasty.name)
    names = ["kinds", "kinds_id_seq"]
    assert sorted(ours) == [*names, "large objects"]  # whose names the database's own search_path shortens
    assert [ours[name] for name in names] == [theirs[name] for name in names]
    whole = postgres_server.dump(new)
    for part in (
        "CREATE TYPE",
        "CREATE DOMAIN",
        "next_number",
        "CREATE TRIGGER stamped",
        "by_text",
        "CREATE STATISTICS",
        "any text",
    ):
        assert part in whole
    assert f'GRANT SELECT(id) ON TABLE "Shop & Co".kinds TO {OWNER}' in whole


def test_partitioned_table_brings_its_partitions_and_one_partition_comes_alone(
    shop: Shop, made: Manifest, new: str, postgres_server: PostgresServer
) -> None:
    shop.restore(postgres_server.url(new), tables=("days",))
    assert postgres_server.rows(new, 'SELECT count(*) FROM "Shop & Co".days') == [(61,)]
    postgres_server.drop_database(new)
    shop.restore(postgres_server.url(new), tables=("days_rest",))
    assert postgres_server.rows(new, 'SELECT count(*) FROM "Shop & Co".days_rest') == [(30,)]
    assert postgres_server.rows(new, "SELECT to_regclass('\"Shop & Co\".days')") == [(None,)]


def test_one_schema_comes_back(
    shop: Shop, made: Manifest, nasty: PostgresDatabase, new: str, postgres_server: PostgresServer
) -> None:
    shop.restore(postgres_server.url(new), schemas=("public",))
    ours, theirs = content(postgres_server, new), content(postgres_server, nasty.name)
    assert ours["plain"] == theirs["plain"] and ours["plain_id_seq"] == theirs["plain_id_seq"]
    assert len(ours) == 3
    postgres_server.drop_database(new)
    shop.restore(postgres_server.url(new), schemas=("Shop & Co",))
    ours = content(postgres_server, new)
    assert {name: ours[name] for name in ours if name != "large objects"} == {
        name: theirs[name] for name in theirs if name not in ("plain", "plain_id_seq", "large objects")
    }


def test_unknown_table_is_refused_before_anything_is_made(
    shop: Shop, made: Manifest, new: str, postgres_server: PostgresServer, mark: str
) -> None:
    with pytest.raises(BackupError, match="there is no table oders in the backup"):
        shop.restore(postgres_server.url(new), tables=("oders",))
    assert new not in databases(postgres_server) and leftovers(postgres_server, mark) == []


def test_occupied_database_is_left_alone_and_replaced_only_when_told(
    shop: Shop, made: Manifest, nasty: PostgresDatabase, postgres_server: PostgresServer, mark: str
) -> None:
    with fresh_postgres(postgres_server) as other:
        other.load("CREATE TABLE precious (id int); INSERT INTO precious VALUES (1)")
        with pytest.raises(BackupError, match="holds 1 relations and functions; it was left as it is"):
            shop.restore(other.url)
        before = shop.backups()
        with pytest.raises(BackupError, match="would replace all of the database"):
            shop.restore(other.url, replaces=True, tables=("public.plain",))
        assert shop.backups() == before
        assert other.rows("SELECT * FROM precious") == [(1,)]
        session = postgres_server.connect(other.name)
        result = shop.restore(other.url, replaces=True, word=made.id)
        session.close()
        assert content(postgres_server, other.name) == content(postgres_server, nasty.name)
        assert result.safety is not None
        shop.restore(other.url, replaces=True, word=result.safety.id)
        assert other.rows("SELECT * FROM precious") == [(1,)]
    assert leftovers(postgres_server, mark) == []


CUT_OFF = """
CREATE FUNCTION public.cut_off() RETURNS event_trigger LANGUAGE plpgsql
    AS 'BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); END';
CREATE EVENT TRIGGER cut_off ON ddl_command_end WHEN TAG IN ('CREATE TABLE') EXECUTE FUNCTION public.cut_off();
"""


def test_failed_restore_changes_nothing(
    shop: Shop, made: Manifest, new: str, postgres_server: PostgresServer, mark: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    load, cut = loading.load, []

    def cut_off(*arguments: Any) -> Any:
        [passing] = (name for name in leftovers(postgres_server, mark) if name.startswith(PREFIX))
        postgres_server.psql(passing, CUT_OFF)
        cut.append(passing)
        return load(*arguments)

    monkeypatch.setattr(loading, "load", cut_off)
    with fresh_postgres(postgres_server) as other:
        other.load("CREATE TABLE precious (id int); INSERT INTO precious VALUES (1)")
        for url in (postgres_server.url(new), other.url):
            with pytest.raises(BackupError, match="pg_restore"):
                shop.restore(url, replaces=True, word=made.id)
        assert other.rows("SELECT * FROM precious") == [(1,)]
    assert len(cut) == 2 and new not in databases(postgres_server) and leftovers(postgres_server, mark) == []


def test_missing_roles_are_named_and_made_when_told(
    nasty: PostgresDatabase, postgres_server: PostgresServer, tmp_path: Path, new: str
) -> None:
    gone = f"gone_{os.urandom(4).hex()}"
    with fresh_postgres(postgres_server) as other:
        other.load(f"CREATE ROLE {gone} LOGIN NOINHERIT; CREATE TABLE t (id int); ALTER TABLE t OWNER TO {gone}")
        shop = Shop(tmp_path / "shop", other.url, schedule=FULL)
        shop.run()
        other.load(f"DROP OWNED BY {gone}; DROP ROLE {gone}")
    with pytest.raises(BackupError, match=f"missing on that server: {gone}; nothing was touched"):
        shop.restore(postgres_server.url(new))
    shop.restore(postgres_server.url(new), options={"roles": "skip"})
    assert postgres_server.rows(new, "SELECT tableowner FROM pg_tables WHERE tablename = 't'") == [("postgres",)]
    postgres_server.drop_database(new)
    try:
        shop.restore(postgres_server.url(new), options={"roles": "create"})
        assert postgres_server.rows(new, "SELECT tableowner FROM pg_tables WHERE tablename = 't'") == [(gone,)]
        told = f"SELECT rolcanlogin, rolinherit, rolpassword FROM pg_authid WHERE rolname = '{gone}'"
        assert postgres_server.rows(new, told) == [(True, False, None)]
    finally:
        postgres_server.drop_database(new)
        postgres_server.psql("postgres", f"DROP ROLE IF EXISTS {gone}")


def test_killed_dump_is_a_failed_backup(pg_database: PostgresDatabase, tmp_path: Path) -> None:
    pg_database.load("CREATE TABLE t AS SELECT i, repeat('x', 1000) AS t FROM generate_series(1, 20000) AS i")
    shop = Shop(tmp_path / "shop", pg_database.url, schedule=FULL)
    with pg_database.server.connect(pg_database.name) as blocker:
        blocker.execute("BEGIN")
        blocker.execute("LOCK TABLE t")
        thread = threading.Thread(target=_kill_pg_dump, args=(pg_database.name,))
        thread.start()
        with pytest.raises(BackupError, match="pg_dump was ended by SIGKILL"):
            shop.run()
        thread.join()
    assert shop.backups() == ()
    assert not list((shop.folder / "backups").rglob("*.pack"))


def _kill_pg_dump(database: str) -> None:
    wait_until(lambda: any(_killed(folder, database) for folder in Path("/proc").glob("[0-9]*")), 300)


def _killed(folder: Path, database: str) -> bool:
    try:
        line = (folder / "cmdline").read_bytes()
    except OSError:
        return False
    if b"pg_dump\0" not in line or database.encode() not in line:
        return False
    os.kill(int(folder.name), signal.SIGKILL)
    return True


def test_password_is_in_no_command_line_and_writers_go_on(
    postgres_server: PostgresServer, pg_database: PostgresDatabase, tmp_path: Path, new: str
) -> None:
    pg_database.load("CREATE TABLE a (id serial PRIMARY KEY); CREATE TABLE b (id int)")
    seen: list[bytes] = []
    has_begun, stop = threading.Event(), threading.Event()

    def write() -> None:
        with postgres_server.connect(pg_database.name) as conn:
            while not stop.is_set():
                conn.execute("WITH new AS (INSERT INTO a DEFAULT VALUES RETURNING id) INSERT INTO b SELECT id FROM new")
                has_begun.set()
                for folder in Path("/proc").glob("[0-9]*"):
                    try:
                        seen.append((folder / "cmdline").read_bytes())
                    except OSError:
                        continue

    writer = threading.Thread(target=write)
    writer.start()
    assert has_begun.wait(300)
    try:
        shop = Shop(tmp_path / "shop", postgres_server.tcp_url(pg_database.name), schedule=FULL)
        shop.run()
    finally:
        stop.set()
        writer.join()
    assert not any(postgres_server.password.encode() in line for line in seen)
    shop.restore(postgres_server.tcp_url(new))
    assert postgres_server.rows(new, "SELECT count(*) FROM a FULL JOIN b USING (id) WHERE a.id IS NULL OR b.id IS NULL") == [(0,)]
    assert postgres_server.rows(new, "SELECT count(*) > 0 FROM a") == [(True,)]


def test_an_ordinary_account_makes_proves_and_restores_its_own(postgres_server: PostgresServer, tmp_path: Path, new: str) -> None:
    account = f"app_{os.urandom(4).hex()}"
    postgres_server.psql(
        "postgres", f"CREATE ROLE {account} LOGIN CREATEDB PASSWORD 'p@ss'; CREATE DATABASE {account} OWNER {account}"
    )
    try:
        url = postgres_server.tcp_url(account, account, "p@ss")
        postgres_server.psql(
            account, f"SET ROLE {account}; CREATE SCHEMA app; CREATE TABLE app.t AS SELECT generate_series(1, 10) AS n"
        )
        shop = Shop(tmp_path / "shop", url, schedule=FULL)
        made = shop.run()
        assert (made.warnings, len(made.exits)) == ((), 2)
        evidence = shop.verify(3)
        assert evidence.ok, evidence.problems
        assert shop.restore(postgres_server.tcp_url(new, account, "p@ss")).restored.warnings == ()
        assert postgres_server.dump(new) == postgres_server.dump(account)
        assert postgres_server.rows(new, "SELECT tableowner FROM pg_tables WHERE tablename = 't'") == [(account,)]
    finally:
        for name in (new, account):
            postgres_server.drop_database(name)
        postgres_server.psql("postgres", f"DROP ROLE {account}")


def test_an_account_with_few_connections_dumps_with_its_roles(postgres_server: PostgresServer, tmp_path: Path) -> None:
    """One for the policy, one that holds the moment, and one for a program at a time."""
    account = f"few_{os.urandom(4).hex()}"
    postgres_server.psql(
        "postgres", f"CREATE ROLE {account} LOGIN PASSWORD 'p@ss' CONNECTION LIMIT 3; CREATE DATABASE {account} OWNER {account}"
    )
    try:
        shop = Shop(tmp_path / "shop", postgres_server.tcp_url(account, account, "p@ss"), schedule=FULL)
        made = shop.run()
        assert (made.warnings, len(made.exits)) == ((), 2)
    finally:
        postgres_server.drop_database(account)
        postgres_server.psql("postgres", f"DROP ROLE {account}")


def test_the_command_line_restores_with_options_for_the_engine(
    shop: Shop, made: Manifest, new: str, postgres_server: PostgresServer
) -> None:
    command = [sys.executable, "-m", "dbops", "backup", "restore", "latest", str(shop.folder), "--to", postgres_server.url(new)]
    done = subprocess.run([*command, "--table", "plain", "--option", "roles=skip"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "owners and privileges were left out" in done.stdout
    done = subprocess.run([*command, "--option", "roles"], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "expected NAME=VALUE" in done.stderr
