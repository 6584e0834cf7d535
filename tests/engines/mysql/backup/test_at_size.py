"""300 MB of nasty content, backed up by every kind while somebody writes, and back again from links and moments."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from dbops.usecases.backup.restore import point_of
from tests.databases import MysqlDatabase
from tests.engines.mysql.backup.shops import OF_FILES, WITH_LOGS, contents, fill
from tests.engines.mysql.backup.test_logs import clock
from tests.servers import MysqlServer
from tests.usecases.policies import Shop
from tests.usecases.writers import PROMISE, TABLES, Writers, keeps_promise, still

pytestmark = pytest.mark.campaign
_BULK = TABLES + (
    "CREATE TABLE large (id int PRIMARY KEY, b longblob);"
    "INSERT INTO large VALUES (1, REPEAT(UNHEX('00ff270a5c1a0d22e5f09f98'), 8400000));"
    "CREATE TABLE bulk (id int PRIMARY KEY, code varchar(32), note text) CHARACTER SET utf8mb4;"
    "INSERT INTO bulk VALUES (0, '', '');"
    + (
        "INSERT INTO bulk SELECT id + (SELECT MAX(id) + 1 FROM bulk), MD5(id),"
        " CONCAT('order ', id, ' 😀 ', REPEAT(MD5(id * 7), 25)) FROM bulk;"
    )
    * 18
    + "CREATE TABLE marks (name text);"
)


@pytest.fixture
def filled(logged: MysqlDatabase, logging_mysql_server: MysqlServer) -> Iterator[MysqlDatabase]:
    server = logging_mysql_server
    [(usual,)] = server.rows("mysql", "SELECT @@GLOBAL.max_allowed_packet")
    server.rows("mysql", f"SET GLOBAL max_allowed_packet = {1 << 29}")
    fill(server, logged.name)
    logged.load(_BULK)
    yield logged
    server.rows("mysql", f"SET GLOBAL max_allowed_packet = {usual}")


@contextmanager
def at_work(database: MysqlDatabase) -> Iterator[Writers]:
    with closing(database.server.connect(database.name)) as conn, conn.cursor() as cursor:

        def transact(statements: tuple[str, str]) -> None:
            conn.begin()
            for sql in statements:
                cursor.execute(sql)
            conn.commit()

        with Writers(transact).at_work() as writers:
            yield writers


def state_of(database: MysqlDatabase, name: str | None = None) -> tuple[str, dict[str, str]]:
    name = name or database.name
    return database.server.dump(name).replace(f"`{name}`", "`db`"), contents(database.server, name)


def mark(database: MysqlDatabase, name: str, number: int) -> None:
    database.load(f"INSERT INTO marks VALUES ('{name}'); UPDATE bulk SET note = 'changed' WHERE id % 1000 = {number}")


@pytest.mark.parametrize(
    ("schedule", "kinds"),
    [
        (WITH_LOGS, ("full",)),
        pytest.param(
            OF_FILES,
            ("full", "incremental", "differential"),
            marks=pytest.mark.skipif(shutil.which("mariadb-backup") is None, reason="mariadb-backup is not installed"),
        ),
    ],
    ids=["dump", "files"],
)
def test_every_link_and_moment_comes_back_as_it_was(
    filled: MysqlDatabase,
    logged_name: str,
    tmp_path: Path,
    schedule: str,
    kinds: tuple[str, ...],
) -> None:
    shop, server = Shop(tmp_path / "env", filled.url, schedule=schedule), filled.server
    made, expected = [], []
    with at_work(filled) as writers:
        for number, kind in enumerate(kinds):
            with writers.paused():
                mark(filled, kind, number)
                expected.append(state_of(filled))
            made.append(shop.run(kind))
        with writers.paused():
            mark(filled, "before the drop", 3)
            moment, before = clock(server), state_of(filled)
            time.sleep(1.1)  # a log knows seconds
            filled.load("DROP TABLE bulk; UPDATE large SET b = '';")
        shop.run("log")
    filled.load("INSERT INTO marks VALUES ('the end')")
    after = state_of(filled)
    shop.run("log")
    for one, (schema, hashes) in zip(made, expected, strict=True):
        shop.restore(server.url(logged_name), word=one.id)
        found = state_of(filled, logged_name)
        assert (found[0], still(found[1])) == (schema, still(hashes)), one.kind
        assert keeps_promise(list(server.rows(logged_name, PROMISE)))
        server.drop_database(logged_name)
    shop.restore(server.url(logged_name), word=None, point=point_of(at=moment))
    assert state_of(filled, logged_name) == before
    server.drop_database(logged_name)
    shop.restore(server.url(logged_name))
    assert state_of(filled, logged_name) == after
