"""Databases with and without a binary log, a policy of dumps, and names for what is restored."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.databases import MysqlDatabase, fresh_mysql
from tests.engines.mysql.backup.shops import SCHEDULE
from tests.servers import MysqlServer
from tests.usecases.policies import Shop


@pytest.fixture
def logged(logging_mysql_server: MysqlServer) -> Iterator[MysqlDatabase]:
    with fresh_mysql(logging_mysql_server, "logged") as fresh:
        yield fresh


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let what a test's policies keep on this machine be its own."""
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def shop(tmp_path: Path, my_database: MysqlDatabase) -> Shop:
    return Shop(tmp_path / "env", my_database.url, schedule=SCHEDULE)


@pytest.fixture
def new_name(mysql_server: MysqlServer) -> Iterator[str]:
    """A name that needs quotes."""
    with _free_name(mysql_server) as name:
        yield name


@pytest.fixture
def logged_name(logging_mysql_server: MysqlServer) -> Iterator[str]:
    with _free_name(logging_mysql_server) as name:
        yield name


@contextmanager
def _free_name(server: MysqlServer) -> Iterator[str]:
    name = server.new_database("dash-ed")
    server.drop_database(name)
    yield name
    server.drop_database(name)
