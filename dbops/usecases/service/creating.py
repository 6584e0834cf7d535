"""Databases and tables that are missing, made; what is there is never changed here, which is for plans and migrations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from dbops.usecases.runtime import connected, engine_for
from dbops.usecases.service.places import is_file

if TYPE_CHECKING:
    from sqlalchemy import Connection as SqlAlchemyConnection
    from sqlalchemy import MetaData

    from dbops.engines.base.connect import Target

_LOCK, _PATIENCE_S = "service", 60.0


def create_database(target: Target) -> None:
    """Make a database that is not there, with the folder of its file.

    Raises:
        ConnectError: the server or the file system refuses.
    """
    if is_file(target.url):
        Path(str(target.url.database)).parent.mkdir(parents=True, exist_ok=True)
    engine_for(target.url).create_database(target)


@contextmanager
def session_on(target: Target) -> Iterator[SqlAlchemyConnection]:
    """Open SQLAlchemy's own session on a database, while no other program makes tables or migrates there.

    Raises:
        ConnectError: the database cannot be reached.
        LockTimeoutError: another program was at it all the time.
    """
    with (
        connected(target, readonly=False) as (engine, conn),
        engine.lock(conn, _LOCK, _PATIENCE_S),
        engine.scripts.sqlalchemy(conn) as session,
    ):
        yield session


def create_tables(target: Target, metadata: Sequence[MetaData]) -> list[str]:
    """Make the tables that are missing, with their keys and indexes, and return their names.

    Raises:
        QueryError: the database refuses one; on engines with transactional DDL none is made then.
    """
    from sqlalchemy import inspect
    from sqlalchemy.exc import DBAPIError

    from dbops.errors import QueryError

    with session_on(target) as session:
        there = set(inspect(session).get_table_names())
        missing = [table.name for item in metadata for table in item.sorted_tables if table.name not in there]
        try:
            for item in metadata:
                item.create_all(session, checkfirst=True)
            session.commit()
        except DBAPIError as error:
            raise QueryError(f"the tables of {target.name!r} cannot be made: {error.orig}") from error
    return missing
