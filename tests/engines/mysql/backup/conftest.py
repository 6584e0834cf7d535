"""A database with a binary log, and a name for what is restored."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.databases import MysqlDatabase, fresh_mysql
from tests.servers import MysqlServer


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
