"""Sessions of dbops's own engine on a test database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

from dbops.catalog.catalog import Catalog
from dbops.engines.base.connect import Connection, Row, Server, Target, Timeouts
from dbops.engines.base.url import parse_url
from dbops.engines.postgresql.connect import PostgresConnection, connect
from dbops.engines.postgresql.engine import PostgresEngine
from dbops.sql.splitter import split
from dbops.sql.statement import Parameter
from tests.databases import PostgresDatabase

ENGINE = PostgresEngine()


def target_of(database: PostgresDatabase, **settings: float) -> Target:
    """The target of a test database, as superuser over the socket."""
    return Target("test", parse_url(database.url), timeouts=Timeouts(**({"lock_s": 2} | settings)), attempts=1)


@contextmanager
def session(database: PostgresDatabase, **settings: float) -> Iterator[PostgresConnection]:
    with closing(connect(target_of(database, **settings))) as conn:
        yield conn


def loaded(target: Target, *files: str) -> Catalog:
    """What a source declares; files are called 1.sql, 2.sql, ..."""
    statements = [s for i, text in enumerate(files, 1) for s in split(text, ENGINE.dialect, f"{i}.sql")]
    with ENGINE.scratch(target) as scratch:
        ENGINE.load(scratch, statements)
        return ENGINE.inspect(scratch, declared=True)


@dataclass(slots=True)
class Counting:
    """A connection that remembers what was asked."""

    inner: Connection
    asked: list[str] = field(default_factory=list)

    @property
    def server(self) -> Server:
        return self.inner.server

    def query(self, sql: str, parameters: Sequence[Parameter] = ()) -> list[Row]:
        self.asked.append(sql)
        return self.inner.query(sql, parameters)

    def execute(self, sql: str, parameters: Sequence[Parameter] = ()) -> int:
        self.asked.append(sql)
        return self.inner.execute(sql, parameters)
