"""Dumps made, restored, tried out, and refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dbops.errors import BackupError
from dbops.usecases.backup.verify import verify
from tests.databases import MysqlDatabase
from tests.engines.mysql.backup.shops import SCHEDULE, assert_equal, contents, fill
from tests.servers import MysqlServer
from tests.usecases.policies import Shop


@pytest.fixture
def shop(tmp_path: Path, my_database: MysqlDatabase, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "cache"))
    return Shop(tmp_path / "env", my_database.url, schedule=SCHEDULE)


@pytest.fixture
def new_name(mysql_server: MysqlServer) -> Iterator[str]:
    name = mysql_server.new_database("restored")
    mysql_server.drop_database(name)
    yield name
    mysql_server.drop_database(name)


def test_a_dump_restores_into_a_new_database(
    shop: Shop, my_database: MysqlDatabase, mysql_server: MysqlServer, new_name: str
) -> None:
    fill(mysql_server, my_database.name)
    made = shop.run()
    before = contents(mysql_server, my_database.name)
    shop.restore(mysql_server.url(new_name))
    assert_equal(mysql_server, my_database.name, new_name)
    assert contents(mysql_server, my_database.name) == before
    with shop.workspace() as workspace:
        assert [one.problems for one in verify(workspace, None, 3, shop.told.append)] == [()]
        assert [one.problems for one in verify(workspace, None, 2, shop.told.append)] == [()]
    assert made.schema_digest is not None
    assert leftovers(mysql_server) == []


def test_a_dump_takes_the_place_of_what_is_there(
    shop: Shop, my_database: MysqlDatabase, mysql_server: MysqlServer, new_name: str
) -> None:
    fill(mysql_server, my_database.name)
    made = shop.run()
    shop.restore(mysql_server.url(new_name), word=made.id)
    my_database.load(
        "DROP TABLE zero; CREATE TABLE another (a int); DELETE FROM everything; DROP VIEW av; DROP PROCEDURE fill;"
        " CREATE TRIGGER t BEFORE INSERT ON log FOR EACH ROW SET NEW.x = 'z'; ALTER DATABASE CHARACTER SET latin1;"
    )
    with pytest.raises(BackupError, match="it was left as it is"):
        shop.restore(my_database.url, word=made.id)
    shop.restore(my_database.url, word=made.id, replaces=True)
    assert_equal(mysql_server, new_name, my_database.name)
    assert leftovers(mysql_server) == []


def leftovers(server: MysqlServer) -> list[str]:
    return [name for (name,) in server.rows("mysql", "SHOW DATABASES") if name.startswith("dbops_re")]
