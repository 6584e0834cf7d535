"""Scripts for PostgreSQL: what refuses to run in a transaction, and many statements in one round trip."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from typing import TYPE_CHECKING, cast

from dbops.engines.base.connect import Connection
from dbops.engines.base.scripts import ALONE, PLAIN, Conduct
from dbops.engines.postgresql.connect import PostgresConnection, driver_connection, quoted
from dbops.engines.postgresql.statements import HARMLESS_CLIENT, bare, is_of_server
from dbops.errors import QueryError
from dbops.sql.splitter import SourceStatement

if TYPE_CHECKING:
    from sqlalchemy import Connection as SqlAlchemyConnection

    from dbops.catalog.model import Table, VirtualTable

_NAME = r'(?:"(?:[^"]|"")+"|[\w$]+)'
_DOTTED = rf"{_NAME}(?:\s*\.\s*{_NAME})?"
_BUILDS_INDEX = re.compile(
    rf"CREATE\s+(?:UNIQUE\s+)?INDEX\s+CONCURRENTLY\s+(?:IF\s+NOT\s+EXISTS\s+)?(?P<name>{_NAME})\s+ON\s+(?:ONLY\s+)?"
    rf"(?:(?P<schema>{_NAME})\s*\.\s*)?(?P<table>{_NAME})",
    re.IGNORECASE,
)
_DROPS_INDEX = re.compile(rf"DROP\s+INDEX\s+CONCURRENTLY\s+(?:IF\s+EXISTS\s+)?(?P<name>{_DOTTED})", re.IGNORECASE)
_ADDS_LABEL = re.compile(rf"ALTER\s+TYPE\s+(?P<name>{_DOTTED})\s+ADD\s+VALUE\b", re.IGNORECASE)
_OF_SERVER = re.compile(r"(?:CREATE|DROP)\s+(?P<kind>DATABASE|TABLESPACE|SUBSCRIPTION)\b", re.IGNORECASE)
#: What the manual says "cannot be executed inside a transaction block" of (PostgreSQL 18, SQL Commands); a label added to an
#: enum can be, but cannot be used there.
_ALONE = re.compile(
    r"(?:CREATE\s+(?:UNIQUE\s+)?INDEX\s+CONCURRENTLY|DROP\s+INDEX\s+CONCURRENTLY|VACUUM|REINDEX\b.*\bCONCURRENTLY"
    r"|REINDEX\s+(?:\([^)]*\)\s*)?(?:SCHEMA|DATABASE|SYSTEM)|(?:CREATE|DROP)\s+(?:DATABASE|TABLESPACE)|ALTER\s+SYSTEM"
    r"|(?:CREATE|ALTER|DROP)\s+SUBSCRIPTION|COMMIT\s+PREPARED|ROLLBACK\s+PREPARED|DISCARD\s+ALL|CLUSTER\s*\Z"
    rf"|ALTER\s+TABLE\b.*\bDETACH\s+PARTITION\s+{_DOTTED}\s+(?:CONCURRENTLY|FINALIZE)|ALTER\s+TYPE\s+{_DOTTED}\s+ADD\s+VALUE)\b",
    re.IGNORECASE | re.DOTALL,
)
#: Waits for transactions of others without holding up anybody (CREATE INDEX, Building Indexes Concurrently).
_WAITS = re.compile(r"(?:CREATE|DROP|REINDEX)\b.*\bCONCURRENTLY\b", re.IGNORECASE | re.DOTALL)
#: Those in capitals are settings of psql itself (manual, psql, Variables).
_OWN_VARIABLE = re.compile(r"\\set\s+(?![A-Z0-9_]+(?!\w))\w")
_PATIENT = Conduct(stands_alone=True, waits_long=True)
_BEGIN = re.compile(r"(?:BEGIN|START\s+TRANSACTION)\b(?!\s*ATOMIC)", re.IGNORECASE)
_COMMIT = re.compile(r"(?:COMMIT|END)\b(?!\s+PREPARED)", re.IGNORECASE)
_ROLLBACK = re.compile(
    r"(?:ROLLBACK|ABORT)\b(?!\s+(?:(?:WORK|TRANSACTION)\s+)?TO\b)(?!\s+PREPARED)|PREPARE\s+TRANSACTION\b", re.IGNORECASE
)
_SESSION = re.compile(
    r"SET\s+(?!LOCAL\b|CONSTRAINTS\b|TRANSACTION\b)|RESET\b|DISCARD\b|LISTEN\b|PREPARE\b|LOAD\b|DECLARE\b|LOCK\b"
    r"|CREATE\s+(?:LOCAL\s+|GLOBAL\s+)?TEMP(?:ORARY)?\b|CREATE\s+(?:OR\s+REPLACE\s+)?(?:RECURSIVE\s+)?TEMP(?:ORARY)?\b"
    r"|SELECT\b.*\bset_config\s*\(|DO\b|CALL\b|SELECT\b.*\bpg_(?:try_)?advisory_lock\s*\(",
    re.IGNORECASE | re.DOTALL,
)
_MAY_COMMIT = re.compile(r"(?:DO|CALL)\b", re.IGNORECASE)
_HAS_BODY = re.compile(r"(?:DO|SELECT|WITH)\b", re.IGNORECASE)
#: active_sql_transaction, invalid_transaction_termination (PostgreSQL manual, appendix A)
_ACTIVE_TRANSACTION, _TERMINATION = "25001", "2D000"
_MAY_TOUCH = re.compile(r"[SRDLPCsrdlpc]")
_TOGETHER, _TOGETHER_CHARACTERS = 500, 1_000_000
#: What is sent in one message is read in one go, before any of it runs (PostgreSQL manual, 55.2.2.1 Multiple Statements).
_CHANGES_READING = re.compile(
    r"(?:SET|RESET|SELECT)\b.{0,200}?\b(?:standard_conforming_strings|backslash_quote|client_encoding|ALL)\b",
    re.IGNORECASE | re.DOTALL,
)


class PostgresScripts:
    """Fills `engines.base.scripts.Scripts`."""

    def conduct(self, statement: SourceStatement) -> Conduct:
        text = statement.text
        if statement.kind == "meta":
            if _OWN_VARIABLE.match(text):
                return Conduct(refusal="variables of psql are put into statements by psql alone; write the value instead")
            if HARMLESS_CLIENT.match(text) and not re.match(r"\\(?:c|connect|copy)\b", text):
                return Conduct(is_skipped=True)
            return Conduct(refusal="a command of psql is no SQL")
        head = text[:200] if len(text) > _HEAD else text
        if _ALONE.match(head):
            return _PATIENT if _WAITS.match(head) else ALONE
        for pattern, control in ((_BEGIN, "begin"), (_COMMIT, "commit"), (_ROLLBACK, "rollback")):
            if pattern.match(head):
                return Conduct(control=control)  # type: ignore[arg-type]  # one of three words
        if not _MAY_TOUCH.match(head) or not _SESSION.match(head):
            return PLAIN
        return Conduct(touches_session=True, may_commit=_MAY_COMMIT.match(head) is not None)

    def is_given(self, sql: str) -> bool:
        return False

    def run(self, conn: Connection, statements: Sequence[SourceStatement]) -> tuple[int, QueryError | None]:
        session, done = cast("PostgresConnection", conn), 0
        for takes_rows, group in groupby(statements, key=lambda statement: statement.copy_data is not None):
            members = list(group)
            ran, error = _copied(session, members) if takes_rows else _together(session, members)
            done += ran
            if error is not None:
                return done, error
        return done, None

    def run_later(self, conn: Connection, statements: Sequence[SourceStatement]) -> int | None:
        if any(statement.copy_data is not None or _CHANGES_READING.match(statement.text) for statement in statements):
            return None
        return cast("PostgresConnection", conn).send_later([statement.text for statement in statements])

    def run_opaque(self, conn: Connection, statement: SourceStatement) -> tuple[bool, QueryError | None]:
        return True, self.run(conn, [statement])[1]  # inside a transaction block the server refuses to end it

    def is_refused_inside(self, statement: SourceStatement, error: QueryError) -> bool:
        """What a function or a block runs is refused outside, too."""
        return error.context.get("sqlstate") == _ACTIVE_TRANSACTION and _HAS_BODY.match(statement.text) is None

    def beyond(self, conn: Connection) -> Callable[[SourceStatement], bool]:
        return lambda statement: is_of_server(statement.text[:_HEAD])

    def rebuilds(self, text: str) -> bool:
        return False

    def going_with_tables(self, conn: Connection) -> list[str]:
        return []  # no rule asks for it here

    def literals(self, table: Table) -> str:
        """What `text` gives, the type's input takes back exactly (manual, 8.1.3 for floating-point numbers)."""
        names = [column.name for column in table.columns if column.generated is None]
        listed = ", ".join(f"pg_catalog.quote_nullable({quoted(name)}::text)" for name in names)
        return f"SELECT {listed} FROM ONLY {quoted(table.schema)}.{quoted(table.name)}"

    def of_module(self, conn: Connection, virtual: VirtualTable) -> list[str] | None:
        return None  # there are none here

    def counters(self, conn: Connection) -> list[str]:
        """A sequence that gave no number yet has no last value (manual, pg_sequences)."""
        return [
            f"SELECT pg_catalog.setval({literal}, {last})"
            for literal, last in conn.query(
                "SELECT pg_catalog.quote_literal(pg_catalog.format('%I.%I', schemaname, sequencename)), last_value"
                " FROM pg_catalog.pg_sequences WHERE last_value IS NOT NULL AND schemaname <> 'dbops' ORDER BY 1"
            )
        ]

    def trace(self, conn: Connection, statement: SourceStatement) -> str | None:
        text = statement.text
        if found := _BUILDS_INDEX.match(text):
            return f"valid: {_index_state(conn, found) == 'valid'}"
        if found := _DROPS_INDEX.match(text):
            return f"there: {conn.query('SELECT pg_catalog.to_regclass(?) IS NOT NULL', (found['name'],))[0][0]}"
        if found := _ADDS_LABEL.match(text):
            return str(conn.query("SELECT enumlabel FROM pg_catalog.pg_enum WHERE enumtypid = ?::regtype", (found["name"],)))
        if re.match(r"VACUUM|REINDEX|CLUSTER|DISCARD|ALTER\s+SYSTEM", text, re.IGNORECASE):
            return None
        if found := _OF_SERVER.match(text):
            catalog = {"database": "pg_database", "tablespace": "pg_tablespace", "subscription": "pg_subscription"}
            return str(conn.query(f"SELECT oid FROM pg_catalog.{catalog[found['kind'].lower()]} ORDER BY 1"))
        from dbops.engines.postgresql.fingerprint import fingerprint

        return fingerprint(conn)

    def mend(self, conn: Connection, statement: SourceStatement) -> str | None:
        """A concurrent build that was cut off leaves an invalid index behind (CREATE INDEX, Building Indexes Concurrently)."""
        found = _BUILDS_INDEX.match(statement.text)
        if found is None or _index_state(conn, found) != "invalid":
            return None
        schema = conn.query(_SCHEMA_OF_INDEX, (bare(found["name"]), _table(found)))[0][0]
        conn.execute(f"DROP INDEX CONCURRENTLY {quoted(schema)}.{quoted(bare(found['name']))}")
        return f"the invalid index {bare(found['name'])} that an earlier build left was dropped"

    @contextmanager
    def sqlalchemy(self, conn: Connection) -> Iterator[SqlAlchemyConnection]:
        from sqlalchemy import create_engine
        from sqlalchemy.pool import NullPool

        target = cast("PostgresConnection", conn).target
        made = create_engine("postgresql+psycopg://", creator=lambda: driver_connection(target), poolclass=NullPool)
        with made.connect() as session:
            yield session

    def remember(self, conn: Connection, text: str) -> Callable[[], None]:
        session = cast("PostgresConnection", conn)

        def bring_back() -> None:
            session.reset()
            session.execute("DISCARD TEMP; DEALLOCATE ALL; UNLISTEN *; CLOSE ALL")

        return bring_back

    @contextmanager
    def aside(self, conn: Connection) -> Iterator[None]:
        [(user, role)] = conn.query(_WHO)
        conn.execute("RESET SESSION AUTHORIZATION; RESET ROLE")
        yield
        if conn.query(_WHO) != [(user, role)]:
            become = "SELECT pg_catalog.set_config('session_authorization', ?, false), pg_catalog.set_config('role', ?, false)"
            conn.query(become, (user, role))


_WHO = "SELECT pg_catalog.current_setting('session_authorization'), pg_catalog.current_setting('role')"
_HEAD = 4000

_SCHEMA_OF_INDEX = """
SELECT n.nspname::text FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_index AS i ON i.indexrelid = c.oid WHERE c.relname = ? AND i.indrelid = pg_catalog.to_regclass(?)"""
_INDEX_STATE = """
SELECT i.indisvalid FROM pg_catalog.pg_class AS c JOIN pg_catalog.pg_index AS i ON i.indexrelid = c.oid
WHERE c.relname = ? AND i.indrelid = pg_catalog.to_regclass(?)"""


def _table(found: re.Match[str]) -> str:
    return f"{found['schema']}.{found['table']}" if found["schema"] else str(found["table"])


def _index_state(conn: Connection, found: re.Match[str]) -> str:
    rows = conn.query(_INDEX_STATE, (bare(found["name"]), _table(found)))
    return "absent" if not rows else "valid" if rows[0][0] else "invalid"


#: The context of an error in the rows of COPY (copyfromparse.c, CopyFromErrorCallback), whose words are the server's language.
_WRONG_ROW = re.compile(r"^COPY .+?, \w+ (\d+)(?:[,:]|$)", re.MULTILINE)


def _copied(session: PostgresConnection, statements: Sequence[SourceStatement]) -> tuple[int, QueryError | None]:
    for place, statement in enumerate(statements):
        try:
            session.copy_in(statement.text, statement.copy_data or "")
        except QueryError as error:
            if found := _WRONG_ROW.search(str(error.context.get("where", ""))):
                error.context["row"] = int(found[1])
            return place, error
    return len(statements), None


def _together(session: PostgresConnection, statements: Sequence[SourceStatement]) -> tuple[int, QueryError | None]:
    """Send statements in chunks, of which one that changes how text is to be read is the last."""
    start = 0
    while start < len(statements):
        end, size = start, 0
        while end < len(statements) and end - start < _TOGETHER and (size == 0 or size < _TOGETHER_CHARACTERS):
            size += len(statements[end].text)
            end += 1
            if _CHANGES_READING.match(statements[end - 1].text):
                break
        ran, error = session.run_together([statement.text for statement in statements[start:end]])
        if error is not None:
            if error.context.get("sqlstate") == _TERMINATION:
                error.fix = "it commits by itself: -- dbops:transaction off at the head of the file lets it"
            _move(error, [statement.text for statement in statements[start : start + ran]])
            return start + ran, error
        start = end
    return len(statements), None


def _move(error: QueryError, before: Sequence[str]) -> None:
    """Let the position of an error count from the beginning of its own statement."""
    if (position := error.context.get("position")) is not None:
        error.context["position"] = position - sum(len(text) + 2 for text in before)
