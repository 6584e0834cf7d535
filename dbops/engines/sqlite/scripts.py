"""Scripts for SQLite: what refuses to run in a transaction, and many statements in a row."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, cast

from dbops.engines.base.connect import Connection
from dbops.engines.base.scripts import ALONE, PLAIN, Conduct
from dbops.engines.sqlite.connect import SqliteConnection
from dbops.engines.sqlite.tokens import quote
from dbops.errors import QueryError
from dbops.sql.splitter import SourceStatement

if TYPE_CHECKING:
    from sqlalchemy import Connection as SqlAlchemyConnection

    from dbops.catalog.model import Table, VirtualTable

#: Refused inside a transaction, or without effect there (https://www.sqlite.org/pragma.html, lang_vacuum.html).
_ALONE = re.compile(
    r"VACUUM\b|PRAGMA\s+(?:\w+\s*\.\s*)?(?:journal_mode|synchronous|wal_checkpoint|auto_vacuum|page_size|encoding|locking_mode)\b",
    re.IGNORECASE,
)
_SESSION = re.compile(r"PRAGMA\b|CREATE\s+TEMP(?:ORARY)?\b|INSERT\s+INTO\s+temp\s*\.", re.IGNORECASE)
_BEGIN = re.compile(r"BEGIN\b", re.IGNORECASE)
_COMMIT = re.compile(r"(?:COMMIT|END)\b", re.IGNORECASE)
_ROLLBACK = re.compile(r"ROLLBACK\b(?!\s+(?:TRANSACTION\s+)?TO\b)", re.IGNORECASE)
_OTHERS = re.compile(r"(?:ATTACH|DETACH)\b", re.IGNORECASE)
#: Dropping a table deletes the rows that refer to it, where foreign keys are enforced (lang_foreignkeys.html, section 5).
_REBUILDS = re.compile(r"\bDROP\s+TABLE\b|\bPRAGMA\s+foreign_keys\b", re.IGNORECASE)
_ON_TABLES = "SELECT sql FROM sqlite_schema WHERE type IN ('index', 'trigger') AND sql IS NOT NULL"
_MAY_BE_SPECIAL = re.compile(r"[VPCIBERADvpciberad]")
#: Pragmas of a session that change what statements mean or do.
_PRAGMAS = (
    *("case_sensitive_like", "cell_size_check", "checkpoint_fullfsync", "count_changes", "defer_foreign_keys"),
    *("foreign_keys", "ignore_check_constraints", "legacy_alter_table", "query_only", "recursive_triggers"),
    *(
        "reverse_unordered_selects",
        "synchronous",
        "temp_store",
        "trusted_schema",
        "writable_schema",
        "busy_timeout",
        "cache_size",
    ),
)


class SqliteScripts:
    """Fills `engines.base.scripts.Scripts`."""

    def conduct(self, statement: SourceStatement) -> Conduct:
        text = statement.text
        if statement.kind == "meta":
            return Conduct(refusal="a command of the sqlite3 shell is no SQL")
        if not _MAY_BE_SPECIAL.match(text):
            return PLAIN
        if _ALONE.match(text):
            return Conduct(stands_alone=True, touches_session=True) if text[:1] in "Pp" else ALONE
        if _BEGIN.match(text):
            return Conduct(control="begin")
        if _COMMIT.match(text):
            return Conduct(control="commit")
        if _ROLLBACK.match(text):
            return Conduct(control="rollback")
        if _OTHERS.match(text):
            return Conduct(refusal="a migration is about one database")
        return Conduct(touches_session=True) if _SESSION.match(text) else PLAIN

    def is_given(self, sql: str) -> bool:
        """What drops tables runs with foreign keys off; inside a transaction the pragma has no effect (pragma.html)."""
        from dbops.engines.sqlite.rebuild import FOREIGN_KEYS_OFF

        return sql == FOREIGN_KEYS_OFF

    def run(self, conn: Connection, statements: Sequence[SourceStatement]) -> tuple[int, QueryError | None]:
        return cast("SqliteConnection", conn).run_each([statement.text for statement in statements])

    def run_later(self, conn: Connection, statements: Sequence[SourceStatement]) -> int | None:
        return None

    def run_opaque(self, conn: Connection, statement: SourceStatement) -> tuple[bool, QueryError | None]:
        return True, self.run(conn, [statement])[1]

    def is_refused_inside(self, statement: SourceStatement, error: QueryError) -> bool:
        return False

    def beyond(self, conn: Connection) -> Callable[[SourceStatement], bool]:
        return lambda statement: False  # ATTACH is refused anyway

    def rebuilds(self, text: str) -> bool:
        return any(_REBUILDS.search(piece) for piece in _pieces(text) if "drop" in (lower := piece.lower()) or "pragma" in lower)

    def going_with_tables(self, conn: Connection) -> list[str]:
        return [sql for (sql,) in conn.query(_ON_TABLES)]

    def literals(self, table: Table) -> str:
        listed = ", ".join(f"quote({quote(column.name)})" for column in table.columns if column.generated is None)
        return f"SELECT {listed} FROM {quote(table.name)}"

    def of_module(self, conn: Connection, virtual: VirtualTable) -> list[str] | None:
        from dbops.engines.sqlite.virtual_rows import statements

        return statements(conn, virtual)

    def counters(self, conn: Connection) -> list[str]:
        return []  # sqlite_sequence follows the rows

    def trace(self, conn: Connection, statement: SourceStatement) -> str | None:
        return None  # VACUUM and pragmas: once more does no harm

    def mend(self, conn: Connection, statement: SourceStatement) -> str | None:
        return None

    @contextmanager
    def sqlalchemy(self, conn: Connection) -> Iterator[SqlAlchemyConnection]:
        """The driver of the standard library leaves transactions to us (isolation_level None), so BEGIN is said here.

        Foreign keys are off, as around every script that may drop a table; what violates them then is not committed.
        """
        from sqlalchemy import create_engine, event
        from sqlalchemy.pool import StaticPool

        from dbops.engines.sqlite.foreign_keys import refuse_new, violations

        raw, enforced = cast("SqliteConnection", conn).raw, bool(conn.query("PRAGMA foreign_keys")[0][0])
        made = create_engine(
            "sqlite://", creator=lambda: raw, poolclass=StaticPool
        )  # never disposed of: the session is not its own
        event.listen(made, "begin", lambda session: session.exec_driver_sql("BEGIN"))
        if not enforced:
            with made.connect() as session:
                yield session
            return
        before = violations(conn.query)
        event.listen(made, "commit", lambda session: refuse_new(before, violations(conn.query)))
        conn.execute("PRAGMA foreign_keys = OFF")
        try:
            with made.connect() as session:
                yield session
        finally:
            conn.execute("PRAGMA foreign_keys = ON")

    def remember(self, conn: Connection, text: str) -> Callable[[], None]:
        before = _values(conn)

        def bring_back() -> None:
            for kind, name in conn.query("SELECT type, name FROM sqlite_temp_schema WHERE type IN ('table', 'view', 'trigger')"):
                conn.execute(f"DROP {kind} IF EXISTS temp.{quote(name)}")
            for name, value in _values(conn).items():
                if value != before.get(name):
                    conn.query(f"PRAGMA {name} = {before[name]}")

        return bring_back

    def aside(self, conn: Connection) -> AbstractContextManager[None]:
        return nullcontext()


def _pieces(text: str) -> Iterator[str]:
    """Yield a text in pieces that overlap: a search without regard to case is slow on large scripts, `lower` is not."""
    for start in range(0, len(text), _PIECE):
        yield text[start : start + _PIECE + _OVERLAP]


_PIECE, _OVERLAP = 1 << 20, 1000


def _values(conn: Connection) -> dict[str, object]:
    found = {}
    for name in _PRAGMAS:
        if rows := conn.query(f"PRAGMA {name}"):
            found[name] = rows[0][0]
    return found
