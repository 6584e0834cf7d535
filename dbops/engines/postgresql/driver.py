"""Sessions of PostgreSQL for SQL of other programs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from itertools import chain
from typing import Any, cast

from dbops.engines.base.connect import Target
from dbops.engines.base.driver import Answer, TableColumn, unsendable
from dbops.engines.postgresql.connect import PostgresConnection, connect, quoted
from dbops.engines.postgresql.errors import query_error
from dbops.errors import QueryError
from dbops.sql.marks import Style

_IDLE = 0
"""PQTRANS_IDLE of libpq (manual, 34.2 Connection Status Functions)."""

_NAME = """CASE WHEN pg_catalog.pg_table_is_visible(c.oid) THEN c.relname ELSE n.nspname || '.' || c.relname END"""
_TABLES = rf"""
SELECT {_NAME}
FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'f') AND n.nspname NOT IN ('information_schema', 'dbops')
  AND (n.nspname NOT LIKE 'pg\_%' OR n.oid = pg_catalog.pg_my_temp_schema())
  AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend AS d WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid
                  AND d.deptype = 'e')
ORDER BY 1"""
#: A name as `tables` gives it, and the way SQL would write it.
_COLUMNS = f"""
SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull,
       CASE WHEN a.attgenerated = '' THEN pg_catalog.pg_get_expr(d.adbin, d.adrelid) END,
       EXISTS (SELECT FROM pg_catalog.pg_index AS i WHERE i.indrelid = c.oid AND i.indisprimary AND a.attnum = ANY (i.indkey))
FROM pg_catalog.pg_class AS c
JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = c.oid AND d.adnum = a.attnum
WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm') AND ({_NAME} = %s OR n.nspname || '.' || c.relname = %s)
ORDER BY a.attnum"""


class PostgresSession:
    """See the port."""

    def __init__(self, conn: PostgresConnection) -> None:
        self._conn = conn
        self._raw = conn.driver
        self.version_text: str = conn.server.version_text

    def run(self, sql: str, parameters: Sequence[Any] | Mapping[str, Any] = ()) -> Answer:
        if "\0" in sql:  # libpq takes what stands before it for the whole statement
            raise QueryError("a statement cannot have a NUL in it")
        with self._translated():
            cursor = self._raw.execute(cast(Any, sql), [_sent(value) for value in parameters] or None)
            while cursor.nextset():  # of several statements the last one counts
                pass
            if cursor.description is None:
                return Answer((), [], max(cursor.rowcount, 0))
            return Answer(tuple(column.name for column in cursor.description), cursor.fetchall(), max(cursor.rowcount, 0))

    def run_many(self, sql: str, rows: Sequence[Sequence[Any]]) -> int:
        if dict in map(type, chain.from_iterable(rows)):
            rows = [[_sent(value) for value in row] for row in rows]
        with self._translated(), self._raw.transaction(), self._raw.cursor() as cursor:
            cursor.executemany(cast(Any, sql), rows)
            return max(cursor.rowcount, 0)

    def begin(self) -> None:
        self.run("BEGIN")

    def commit(self) -> None:
        """Commit; of a transaction that failed the server makes a ROLLBACK, without a word (manual, COMMIT)."""
        from psycopg.pq import TransactionStatus

        failed = self._raw.pgconn.transaction_status == TransactionStatus.INERROR
        self.run("COMMIT")
        if failed:
            raise QueryError("a statement of this transaction failed, so the server rolled it back")

    def rollback(self) -> None:
        if self.is_in_transaction():
            self.run("ROLLBACK")

    def is_in_transaction(self) -> bool:
        return not self._raw.closed and self._raw.pgconn.transaction_status != _IDLE

    def close(self) -> None:
        with suppress(QueryError), self._translated():
            self._conn.close()

    @contextmanager
    def _translated(self) -> Iterator[None]:
        import psycopg

        try:
            yield
        except psycopg.Error as error:
            raise query_error(error, self._conn.target.secrets) from error
        except UnicodeEncodeError as error:
            raise unsendable(error) from error


def _sent(value: Any) -> Any:
    """Dictionaries go as JSON, which psycopg wants to be told."""
    if type(value) is dict:
        from psycopg.types.json import Json

        return Json(value)
    return value


class PostgresDriver:
    """See the port."""

    style: Style = "%s"

    def is_private(self, target: Target) -> bool:
        return False

    def open(self, target: Target) -> PostgresSession:
        return PostgresSession(connect(target))

    def version(self, session: Any) -> str:
        return str(session.version_text)

    def size_bytes(self, session: Any) -> int:
        return int(session.run("SELECT pg_catalog.pg_database_size(pg_catalog.current_database())").rows[0][0])

    def tables(self, session: Any) -> list[str]:
        return [name for (name,) in session.run(_TABLES).rows]

    def advance(self, session: Any, table: str, column: str) -> None:
        session.run(
            "SELECT pg_catalog.setval(found.name, found.highest) FROM"
            f" (SELECT pg_catalog.pg_get_serial_sequence(%s, %s) AS name, max({quoted(column)}) AS highest FROM {table}) AS found"
            " WHERE found.name IS NOT NULL AND found.highest IS NOT NULL",
            (table, column),
        )

    def columns(self, session: Any, table: str) -> list[TableColumn]:
        found = session.run(_COLUMNS, (table, table)).rows
        return [TableColumn(place, *column) for place, column in enumerate(found)]
