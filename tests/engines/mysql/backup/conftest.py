"""Backups are made by the programs of the server's make; a database with a binary log, and a name for what is restored."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.databases import MysqlDatabase, fresh_mysql
from tests.servers import MysqlServer
from tests.servers.mysql_makes import MYSQL_FOLDER


@pytest.fixture(autouse=True)
def programs_of_the_make(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put MySQL's programs first where the tests run on MySQL."""
    if folder := os.environ.get(MYSQL_FOLDER):
        monkeypatch.setenv("PATH", os.pathsep.join((os.path.realpath(folder), os.environ["PATH"])))


@pytest.fixture
def logged(logging_mysql_server: MysqlServer) -> Iterator[MysqlDatabase]:
    with fresh_mysql(logging_mysql_server, "logged") as fresh:
        yield fresh


@pytest.fixture
def new_name(logging_mysql_server: MysqlServer) -> Iterator[str]:
    name = logging_mysql_server.new_database("restored")
    logging_mysql_server.drop_database(name)
    yield name
    logging_mysql_server.drop_database(name)
