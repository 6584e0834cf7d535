"""Sessions of MySQL and MariaDB for SQL of other programs."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, cast
from uuid import UUID

from dbops.engines.base.connect import Target
from dbops.engines.base.driver import Answer, TableColumn, unsendable
from dbops.engines.mysql.connect import FOUR_BYTES, MysqlConnection, connect
from dbops.engines.mysql.errors import query_error
from dbops.errors import QueryError
from dbops.sql.marks import Style

_TABLES = r"""
SELECT table_name FROM information_schema.tables
WHERE table_schema = DATABASE() AND table_type IN ('BASE TABLE', 'SYSTEM VERSIONED') AND table_name NOT LIKE 'dbops\_%'
ORDER BY 1"""
_COLUMNS = """
SELECT column_name, column_type, is_nullable = 'NO', column_default, column_key = 'PRI'
FROM information_schema.columns WHERE table_schema = DATABASE() AND table_name = %s ORDER BY ordinal_position"""
_SIZE = """
SELECT COALESCE(SUM(COALESCE(data_length, 0) + COALESCE(index_length, 0)), 0)
FROM information_schema.tables WHERE table_schema = DATABASE()"""
_SEVERAL_OFF = 1
"""MYSQL_OPTION_MULTI_STATEMENTS_OFF of COM_SET_OPTION: one text is one statement, so that none can be smuggled behind it."""


class MysqlSession:
    """See the port."""

    def __init__(self, conn: MysqlConnection) -> None:
        self._conn = conn
        self._raw = conn.driver
        if conn.session_charset != FOUR_BYTES:
            conn.use_charset(FOUR_BYTES)
        self.is_mariadb: bool = conn.server.flavour == "mariadb"
        self.version_text: str = conn.server.version_text
        self._raw.encoders = _encoders(self._raw)
        self._allow_one_statement()

    def run(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> Answer:
        with self._translated(), self._raw.cursor() as cursor:
            cursor.execute(sql, tuple(parameters) or None)
            if cursor.description is None:
                answer = Answer((), [], max(cursor.rowcount, 0))
            else:
                columns = tuple(column[0] for column in cursor.description)
                answer = Answer(columns, list(cursor.fetchall()), max(cursor.rowcount, 0))
            while cursor.nextset():  # the status of a procedure
                pass
            return answer

    def run_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> int:
        own = not self.is_in_transaction()
        if own:
            self.begin()
        try:
            with self._translated(), self._raw.cursor() as cursor:
                count = cursor.executemany(sql, rows)
            if own:
                self.commit()
        except BaseException:
            if own:
                self.rollback()
            raise
        return int(count or 0)

    def begin(self) -> None:
        with self._translated():
            self._raw.begin()

    def commit(self) -> None:
        with self._translated():
            self._raw.commit()

    def rollback(self) -> None:
        if self.is_in_transaction():
            with self._translated():
                self._raw.rollback()

    def is_in_transaction(self) -> bool:
        from pymysql.constants import SERVER_STATUS

        return bool(self._raw.open and cast(Any, self._raw).server_status & SERVER_STATUS.SERVER_STATUS_IN_TRANS)

    def close(self) -> None:
        with suppress(QueryError), self._translated():
            self._conn.close()

    def _allow_one_statement(self) -> None:
        """dbops's own sessions send several at once; programs do not need that."""
        from pymysql.constants import COMMAND

        raw = cast(Any, self._raw)
        with self._translated():
            raw._execute_command(COMMAND.COM_SET_OPTION, struct.pack("<H", _SEVERAL_OFF))
            raw._read_packet()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        import pymysql

        try:
            yield
        except pymysql.Error as error:
            raise query_error(error, self._conn.target.secrets) from error
        except UnicodeEncodeError as error:
            raise unsendable(error) from error


def _encoders(raw: Any) -> dict[type, Callable[..., str]]:
    """Return how values are written: as PyMySQL does, and what it does not know.

    It writes what has no encoder as text does, so that an object of any type would go as the object's own name.
    """

    def other(value: Any, mapping: object = None) -> str:
        if isinstance(value, int):
            return str(int(value))
        if isinstance(value, float):
            return cast(str, raw.escape(float(value)))
        if isinstance(value, str):  # in a list, which PyMySQL 1.1 looks up item by item
            return cast(str, raw.escape(value))
        raise QueryError(f"a value of type {type(value).__name__} cannot be a parameter")

    return {
        **raw.encoders,
        str: other,
        dict: lambda value, mapping=None: cast(str, raw.escape(json.dumps(value, ensure_ascii=False))),
        UUID: lambda value, mapping=None: f"'{value}'",
    }


class MysqlDriver:
    """See the port."""

    style: Style = "%s"

    def is_private(self, target: Target) -> bool:
        return False

    def open(self, target: Target) -> MysqlSession:
        return MysqlSession(connect(target))

    def version(self, session: Any) -> str:
        return str(session.version_text)

    def size_bytes(self, session: Any) -> int:
        return int(session.run(_SIZE).rows[0][0])

    def tables(self, session: Any) -> list[str]:
        return [name for (name,) in session.run(_TABLES).rows]

    def advance(self, session: Any, table: str, column: str) -> None:
        """Nothing is to be done: the engine looks at the rows."""

    def columns(self, session: Any, table: str) -> list[TableColumn]:
        found = session.run(_COLUMNS, (table,)).rows
        return [
            TableColumn(place, name, kind, bool(required), _default(default, session.is_mariadb), bool(key))
            for place, (name, kind, required, default, key) in enumerate(found)
        ]


def _default(text: str | None, is_mariadb: bool) -> str | None:
    """MariaDB shows SQL, and NULL as a word (Knowledge Base, Information Schema COLUMNS Table); MySQL a bare value."""
    return None if is_mariadb and text == "NULL" else text
