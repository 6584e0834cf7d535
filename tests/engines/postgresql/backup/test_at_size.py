"""300 MB of nasty content, backed up by every kind while somebody writes, and back again from links and moments."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dbops.usecases.backup.restore import point_of
from tests.databases import PostgresDatabase, fresh_postgres
from tests.engines.postgresql.backup.nasty import NASTY, OWNER, content
from tests.engines.postgresql.backup.test_physical import now, rows_of
from tests.servers import PostgresServer
from tests.usecases.policies import Shop
from tests.usecases.writers import PROMISE, TABLES, Writers, keeps_promise, still

pytestmark = pytest.mark.campaign
_ALL = (
    """[{type: full, cron: "0 3 * * 0", method: physical}, {type: incremental, cron: "0 * * * *"},"""
    """ {type: differential, cron: "0 3 * * *"}, {type: log, cron: "* * * * *"}]"""
)
_DUMPS = """[{type: full, cron: "0 3 * * *"}]"""
_SEED = "decode(string_agg(md5(n::text || random()), ''), 'hex')"
_BULK = TABLES + (
    "CREATE TABLE large (id int PRIMARY KEY, b bytea); ALTER TABLE large ALTER b SET STORAGE EXTERNAL;"
    f"INSERT INTO large SELECT 1, {_SEED} FROM generate_series(1, 6250000) AS n;"
    "CREATE TABLE bulk (id int PRIMARY KEY, code text, note text);"
    "INSERT INTO bulk SELECT n, md5(n::text), 'order ' || n || ' 😀 ' || repeat(md5((n * 7)::text), 25)"
    " FROM generate_series(1, 210000) AS n;"
    "CREATE TABLE marks (name text);"
)


@pytest.fixture
def filled(own_server: PostgresServer) -> Iterator[PostgresDatabase]:
    own_server.psql("postgres", f"DROP ROLE IF EXISTS {OWNER}; CREATE ROLE {OWNER}")
    with fresh_postgres(own_server) as fresh:
        fresh.load(NASTY + "RESET search_path;" + _BULK)
        assert int(str(fresh.rows("SELECT pg_database_size(current_database())")[0][0])) > 300_000_000
        yield fresh
        for (slot,) in own_server.rows("postgres", "SELECT slot_name FROM pg_replication_slots"):
            own_server.rows("postgres", f"SELECT pg_drop_replication_slot('{slot}')")
    own_server.psql("postgres", f"DROP ROLE {OWNER}")


@contextmanager
def at_work(database: PostgresDatabase) -> Iterator[Writers]:
    with database.server.connect(database.name) as conn:

        def transact(statements: tuple[str, str]) -> None:
            with conn.transaction():
                for sql in statements:
                    conn.execute(sql.encode())

        with Writers(transact).at_work() as writers:
            yield writers


def state_of(database: PostgresDatabase) -> tuple[str, dict[str, str]]:
    return database.dump(), rows_of(content(database.server, database.name))


def mark(database: PostgresDatabase, name: str, number: int) -> None:
    database.load(f"INSERT INTO marks VALUES ('{name}'); UPDATE bulk SET note = 'changed' WHERE id % 1000 = {number}")


@contextmanager
def restored(shop: Shop, source: PostgresDatabase, **wish: object) -> Iterator[PostgresDatabase]:
    back = PostgresDatabase(source.server, f"{source.name}_back")
    shop.restore(back.url, **wish)
    try:
        assert keeps_promise(back.rows(PROMISE))
        yield back
    finally:
        back.server.drop_database(back.name)


def test_every_link_and_moment_comes_back_as_it_was(filled: PostgresDatabase, tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop", filled.url, schedule=_ALL)
    made, expected = [], []
    with at_work(filled) as writers:
        for number, kind in enumerate(("full", "incremental", "differential")):
            with writers.paused():
                mark(filled, kind, number)
                expected.append(state_of(filled))
            made.append(shop.run(kind))
        with writers.paused():
            mark(filled, "before the drop", 3)
            moment, before = now(filled), state_of(filled)
            filled.load("SELECT pg_sleep(1); DROP TABLE bulk; UPDATE large SET b = '\\x00'")
        shop.run("log")
    filled.load("INSERT INTO marks VALUES ('the end')")
    after = state_of(filled)
    shop.run("log")
    for one, (schema, hashes) in zip(made, expected, strict=True):
        with restored(shop, filled, word=one.id) as back:
            assert (back.dump(), still(rows_of(content(back.server, back.name)))) == (schema, still(hashes)), one.kind
    with restored(shop, filled, word=None, point=point_of(at=moment)) as back:
        assert state_of(back) == before
    with restored(shop, filled) as back:
        assert state_of(back) == after


def test_a_dump_comes_back_as_it_was(filled: PostgresDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_KEY", "5e" * 32)
    shop = Shop(tmp_path / "shop", filled.url, "  encryption: {key: {env: SHOP_KEY}}\n", schedule=_DUMPS)
    schema, hashes = filled.dump(), content(filled.server, filled.name)
    with at_work(filled):
        shop.run("full")
    with restored(shop, filled) as back:
        assert (back.dump(), still(content(back.server, back.name))) == (schema, still(hashes))
