"""Copies of a server's files: full, incremental, differential, with logs behind them."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest

from dbops.errors import BackupError
from dbops.usecases.backup.verify import verify
from tests.databases import MysqlDatabase
from tests.engines.mysql.backup.shops import OF_FILES, assert_equal, fill
from tests.servers import MysqlServer
from tests.usecases.policies import Shop

pytestmark = pytest.mark.skipif(shutil.which("mariadb-backup") is None, reason="the package mariadb-backup is not installed")


@pytest.fixture
def shop(tmp_path: Path, logged: MysqlDatabase) -> Shop:
    if logged.server.make.name != "mariadb":
        pytest.skip("what copies the files of MySQL's server, XtraBackup, is not driven")
    return Shop(tmp_path / "env", logged.url, schedule=OF_FILES)


def test_files_and_the_log_behind_them_restore(
    shop: Shop, logged: MysqlDatabase, logging_mysql_server: MysqlServer, logged_name: str
) -> None:
    server = logging_mysql_server
    fill(server, logged.name)
    full = shop.run()
    logged.load("INSERT INTO zero VALUES (10); CREATE TABLE more (a int); INSERT INTO more VALUES (1);")
    incremental = shop.run("incremental")
    logged.load("INSERT INTO more VALUES (2); CREATE USER someone@localhost; GRANT SELECT ON *.* TO someone@localhost;")
    log = shop.run("log")
    server.client("mysql", "DROP USER someone@localhost")
    assert [one.parent_id for one in (incremental, log)] == [full.id, incremental.id]
    assert incremental.plain_size < full.plain_size
    shop.restore(server.url(logged_name))
    assert_equal(server, logged.name, logged_name)


class Meddling(list[str]):
    """Hears what a run tells, and changes the schema as soon as the run copies files."""

    def __init__(self, database: MysqlDatabase) -> None:
        self.database = database

    def append(self, text: str) -> None:
        super().append(text)
        if text.startswith("copying the files"):
            self.database.load("CREATE TABLE meanwhile (a int)")


def test_files_that_were_copied_while_the_schema_changed_are_proven(shop: Shop, logged: MysqlDatabase) -> None:
    logged.load("CREATE TABLE t (a int); INSERT INTO t VALUES (1);")
    shop.told = Meddling(logged)
    assert shop.run().schema_digest is None
    shop.told = []
    assert shop.verify(3).problems == ()
    assert shop.run().schema_digest is not None


@pytest.mark.campaign
def test_a_differential_and_what_follows_become_a_folder(
    shop: Shop, logged: MysqlDatabase, logging_mysql_server: MysqlServer
) -> None:
    fill(logging_mysql_server, logged.name)
    full = shop.run()
    for number, kind in enumerate(("incremental", "differential", "incremental", "log")):
        logged.load(f"CREATE TABLE more_{number} (a int); INSERT INTO zero VALUES ({100 + number});")
        made = shop.run(kind)
        assert (made.parent_id == full.id) is (number < 2)
    with tempfile.TemporaryDirectory(prefix="dbops-") as place:
        Path(place).chmod(0o755)
        result = shop.restore(f"file://{place}/data")
        assert all((Path(place) / "data" / logged.name / f"more_{number}.ibd").exists() for number in range(4))
        with pytest.raises(BackupError, match="is not empty"):
            shop.restore(f"file://{place}/data")
    assert result.restored.reached["gtid"] == made.end["gtid"]


@pytest.mark.campaign
def test_files_are_tried_out_on_a_server_of_their_own(
    shop: Shop, logged: MysqlDatabase, logging_mysql_server: MysqlServer
) -> None:
    fill(logging_mysql_server, logged.name)
    shop.run()
    logged.load("CREATE TABLE more (a int); INSERT INTO more VALUES (1);")
    shop.run("incremental")
    with shop.workspace() as workspace:
        assert [one.problems for one in verify(workspace, None, 3, shop.told.append)] == [(), ()]
        assert [one.problems for one in verify(workspace, None, 2, shop.told.append)] == [(), ()]
