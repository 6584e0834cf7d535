"""Dumps of what belongs to others: tried out and restored by accounts that may not give it to them, and where these have gone."""

from __future__ import annotations

import os
import resource
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from dbops.engines.base import passing
from dbops.engines.postgresql import private
from dbops.engines.postgresql.scratch import PREFIX
from dbops.errors import BackupError
from tests.databases import PostgresDatabase, fresh_postgres
from tests.servers import PostgresServer
from tests.servers.alone import alone
from tests.usecases.policies import Shop

FULL = '[{type: full, cron: "0 3 * * 0"}]'


class Renamed(PostgresServer):
    """A server whose superuser has another name."""

    user = "Ad min"

    def url(self, database: str) -> str:
        return f"postgresql://Ad%20min@/{database}?host={quote(str(self.home))}&port={self.port}"


@pytest.fixture
def role(postgres_server: PostgresServer) -> Iterator[Callable[[str], str]]:
    """Makes roles with attributes, which are gone after the test."""
    made: list[str] = []

    def make(attributes: str) -> str:
        made.append(f"role_{os.urandom(4).hex()}")
        postgres_server.psql("postgres", f"CREATE ROLE {made[-1]} {attributes}")
        return made[-1]

    yield make
    for name in made:
        postgres_server.psql("postgres", f"DROP ROLE IF EXISTS {name}")


@pytest.fixture
def source(postgres_server: PostgresServer, role: Callable[[str], str]) -> Iterator[PostgresDatabase]:
    """A database with a table of the superuser."""
    with fresh_postgres(postgres_server) as database:
        database.load("CREATE TABLE t (a int); INSERT INTO t VALUES (1);")
        yield database


@pytest.fixture
def new(postgres_server: PostgresServer) -> Iterator[str]:
    name = f"restored_{os.urandom(4).hex()}"
    yield name
    postgres_server.drop_database(name)


def by(name: str, database: PostgresDatabase) -> str:
    return database.server.url(database.name).replace("//postgres@", f"//{name}@")


@pytest.mark.parametrize("may", ["", "CREATEDB"])
def test_an_account_that_owns_nothing_proves_its_dumps(
    may: str, source: PostgresDatabase, role: Callable[[str], str], tmp_path: Path
) -> None:
    account = role(f"LOGIN {may} IN ROLE pg_read_all_data")
    shop = Shop(tmp_path, by(account, source), schedule=FULL)
    shop.run()
    proof = shop.verify(3)
    assert proof.problems == () and proof.details["schema"] and proof.details["tables_counted"] == 1


def test_a_role_that_has_gone_since_is_no_fault_of_the_backup(
    source: PostgresDatabase, role: Callable[[str], str], tmp_path: Path
) -> None:
    owner = role("")
    source.load(f"CREATE TABLE u (a int); ALTER TABLE u OWNER TO {owner}; GRANT SELECT ON t TO {owner};")
    shop = Shop(tmp_path, source.url, schedule=FULL)
    shop.run()
    source.load(f"DROP OWNED BY {owner}; DROP ROLE {owner}")
    assert shop.verify(3).problems == ()


def test_without_a_place_to_try_nothing_is_said_of_the_backup(
    source: PostgresDatabase, role: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(private, "_program_folders", lambda: ())
    for may, why in (("", "may not create databases"), ("CREATEDB", "may not give anything to postgres")):
        shop = Shop(tmp_path / f"env{may}", by(role(f"LOGIN {may} IN ROLE pg_read_all_data"), source), schedule=FULL)
        shop.run()
        with pytest.raises(BackupError, match="no place to try it out") as caught:
            shop.verify(3)
        assert caught.value.error_code == "NO_TRIAL"
        assert why in caught.value.message and "no PostgreSQL server binaries" in caught.value.message
        with shop.keeper() as keeper:
            assert keeper.standing().evidence == ()


def test_where_there_is_no_room_to_try_room_is_asked_for(
    source: PostgresDatabase, role: Callable[[str], str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No file grows beyond 1 MB, as where a disk is full."""
    monkeypatch.setattr(passing, "_LITTLE", 1 << 60)
    shop = Shop(tmp_path, by(role("LOGIN IN ROLE pg_read_all_data"), source), schedule=FULL)
    shop.run()
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, usual[1]))
    try:
        with pytest.raises(BackupError, match="no place to try it out") as caught:
            shop.verify(3)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)
    assert "make room" in str(caught.value.fix) and "install" not in str(caught.value.fix)


def test_owners_that_cannot_be_given_are_named_first(
    source: PostgresDatabase, role: Callable[[str], str], tmp_path: Path, new: str, postgres_server: PostgresServer
) -> None:
    maker = role("LOGIN CREATEDB IN ROLE pg_read_all_data")
    source.load(f"CREATE TABLE own (a int); ALTER TABLE own OWNER TO {maker};")
    shop = Shop(tmp_path, by(maker, source), schedule=FULL)
    shop.run()
    to = postgres_server.url(new).replace("//postgres@", f"//{maker}@")
    with pytest.raises(BackupError, match="may not make others the owners of what is restored: postgres") as caught:
        shop.restore(to)
    assert "roles=skip" in caught.value.explain()
    shop.restore(to, tables=("own",))
    assert postgres_server.rows(new, "SELECT tableowner, tablename FROM pg_tables WHERE schemaname = 'public'") == [
        (maker, "own")
    ]
    postgres_server.drop_database(new)
    shop.restore(to, options={"roles": "skip"})


def test_checks_find_tables_by_the_settings_of_the_database(source: PostgresDatabase, tmp_path: Path) -> None:
    source.load(
        f'CREATE SCHEMA app; CREATE TABLE app.orders (a int); ALTER DATABASE "{source.name}" SET search_path = app, public;'
        f"ALTER DATABASE \"{source.name}\" SET shop.tenant = 'x';"
    )
    checks = "  verify: {checks: [\"SELECT count(*) = 0 FROM orders\", \"SELECT current_setting('shop.tenant') = 'x'\"]}\n"
    shop = Shop(tmp_path, source.url, checks, schedule=FULL)
    shop.run()
    assert shop.verify(3).problems == ()


def test_the_owner_of_the_database_alone_is_not_in_the_way(
    source: PostgresDatabase, role: Callable[[str], str], tmp_path: Path, new: str, postgres_server: PostgresServer
) -> None:
    maker = role("LOGIN CREATEDB IN ROLE pg_read_all_data")
    source.load(f"ALTER TABLE t OWNER TO {maker}; COMMENT ON DATABASE \"{source.name}\" IS 'of the superuser';")
    shop = Shop(tmp_path, by(maker, source), schedule=FULL)
    shop.run()
    assert shop.verify(3).problems == ()
    shop.restore(postgres_server.url(new).replace("//postgres@", f"//{maker}@"))
    assert postgres_server.rows(new, "SELECT tableowner FROM pg_tables WHERE schemaname = 'public'") == [(maker,)]


def test_a_superuser_of_another_name_is_a_role_as_others(tmp_path: Path, new: str, postgres_server: PostgresServer) -> None:
    with alone(Renamed, {}) as renamed:
        renamed.psql("postgres", "CREATE TABLE t (a int)")
        shop = Shop(tmp_path, renamed.url("postgres"), schedule=FULL)
        shop.run()
        assert shop.verify(3).problems == ()
        with pytest.raises(BackupError, match="missing on that server: Ad min; nothing was touched"):
            shop.restore(postgres_server.url(new))
        try:
            result = shop.restore(postgres_server.url(new), options={"roles": "create"})
            assert result.restored.warnings == ("made the role Ad min, without a password",)
            assert postgres_server.rows(new, "SELECT tableowner FROM pg_tables WHERE tablename = 't'") == [("Ad min",)]
        finally:
            postgres_server.drop_database(new)
            postgres_server.psql("postgres", 'DROP ROLE IF EXISTS "Ad min"')


def test_subscriptions_leave_nothing_behind(
    source: PostgresDatabase, tmp_path: Path, new: str, postgres_server: PostgresServer
) -> None:
    with_one = "CREATE SUBSCRIPTION s CONNECTION 'host=/nowhere' PUBLICATION p WITH (connect = false, slot_name = 'theirs')"
    leave = (
        "DROP EVENT TRIGGER guard; ALTER SUBSCRIPTION s DISABLE; ALTER SUBSCRIPTION s SET (slot_name = NONE); DROP SUBSCRIPTION s"
    )
    left = f"SELECT count(*) FROM pg_subscription JOIN pg_database d ON d.oid = subdbid WHERE datname ~ '^{PREFIX}'"
    guard = "CREATE FUNCTION no() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''no''; END'"
    source.load(f"{with_one}; {guard}; CREATE EVENT TRIGGER guard ON ddl_command_start EXECUTE FUNCTION no()")
    try:
        shop = Shop(tmp_path, source.url, schedule=FULL)
        shop.run()
        assert shop.verify(3).problems == ()
        shop.restore(postgres_server.url(new))
        [warning] = shop.restore(postgres_server.url(new), replaces=True).restored.warnings
        assert "its slot theirs stays on the publisher" in warning
        assert postgres_server.rows("postgres", left) == [(0,)]
    finally:
        source.load(leave)
        if postgres_server.rows("postgres", f"SELECT 1 FROM pg_database WHERE datname = '{new}'"):
            postgres_server.psql(new, leave)


def test_a_database_keeps_its_tablespace_and_templates_give_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is left of a template that was replaced kept every later restore from that server."""
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "cache"))
    asked = (
        "SELECT datistemplate, t.spcname FROM pg_database AS d JOIN pg_tablespace AS t ON t.oid = dattablespace"
        " WHERE datname = %s"
    )
    settings = {"max_prepared_transactions": "2", "wal_level": "logical"}
    with alone(PostgresServer, settings) as server:
        place = server.home / "space"
        place.mkdir()
        shutil.chown(place, (server.home / "data").owner())
        server.psql("postgres", f"CREATE TABLESPACE far LOCATION '{place}'; CREATE DATABASE shop TABLESPACE far IS_TEMPLATE true")
        server.psql("shop", "CREATE TABLE t (a int); CREATE TABLE near (a int) TABLESPACE pg_default")
        shop = Shop(tmp_path / "env", server.url("shop"), schedule=FULL)
        made = shop.run()
        server.psql("shop", "SELECT pg_create_logical_replication_slot('reader', 'pgoutput')")
        server.psql("shop", "BEGIN; INSERT INTO t VALUES (1); PREPARE TRANSACTION 'held'")
        with pytest.raises(BackupError, match="prepared transaction 'held'"):
            shop.restore(server.url("shop"), replaces=True)
        server.psql("shop", "ROLLBACK PREPARED 'held'")
        for name in ("shop", "new"):
            warnings = shop.restore(server.url(name), replaces=True).restored.warnings
            assert ["reader" in one for one in warnings] == [True] * (name == "shop")
            assert server.rows("postgres", asked, (name,)) == [(True, "far")]
            assert server.dump(name) == server.dump("shop")
        assert server.rows("postgres", f"SELECT 1 FROM pg_database WHERE datname ~ '^{PREFIX}'") == []
        server.psql("postgres", "ALTER DATABASE shop IS_TEMPLATE false; ALTER DATABASE new IS_TEMPLATE false")
        server.psql("postgres", "DROP DATABASE shop; DROP DATABASE new; DROP TABLESPACE far")
        [warning] = shop.restore(server.url("new"), word=made.id).restored.warnings
        assert "that server lacks the tablespace far" in warning
