"""Scripts for MySQL and MariaDB: what commits by itself, what statements are about to change, many in one round trip."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice, pairwise
from typing import TYPE_CHECKING, cast

from dbops.engines.base.connect import Connection, Row
from dbops.engines.base.scripts import ALONE, PLAIN, Conduct
from dbops.engines.mysql.connect import MysqlConnection, driver_connection, quoted
from dbops.engines.mysql.tokens import words
from dbops.errors import LostConnectionError, QueryError
from dbops.sql.splitter import SourceStatement

if TYPE_CHECKING:
    from sqlalchemy import Connection as SqlAlchemyConnection

    from dbops.catalog.model import Column, Table, VirtualTable

_OPENING = r"(?:/\*M?!\d*\s*)?"
#: What can be rolled back; everything else commits what ran before it (MySQL 8.4 manual, 15.3.3).
_IN_TRANSACTION = re.compile(
    rf"{_OPENING}\(?\s*(?:INSERT|UPDATE|DELETE|REPLACE|SELECT|WITH|VALUES|DO|SHOW|EXPLAIN|DESC(?:RIBE)?|SET|CALL|USE|PREPARE"
    r"|EXECUTE|DEALLOCATE|SAVEPOINT|RELEASE|ROLLBACK\s+(?:WORK\s+)?TO|HANDLER|LOAD\s+(?:DATA|XML))\b",
    re.IGNORECASE,
)
_BEGIN = re.compile(rf"{_OPENING}(?:BEGIN\s*(?:WORK)?\s*(?:\*/)?\Z|START\s+TRANSACTION\b)", re.IGNORECASE)
_COMMIT = re.compile(rf"{_OPENING}COMMIT\b", re.IGNORECASE)
_ROLLBACK = re.compile(rf"{_OPENING}(?:ROLLBACK\b(?!\s+(?:WORK\s+)?TO\b)|XA\b)", re.IGNORECASE)
_TABLE_LOCKS = re.compile(rf"{_OPENING}(?:UN)?LOCK\s+(?:TABLES?|INSTANCE)\b", re.IGNORECASE)
#: Types whose values are bytes, not text.
_BYTES = re.compile(r"(?:var)?binary|(?:tiny|medium|long)?blob|bit|(?:multi)?(?:point|linestring|polygon)|geom", re.IGNORECASE)
_AUTOCOMMIT = re.compile(rf"{_OPENING}SET\s+(?:@@|SESSION\s+|@@session\s*\.\s*)?autocommit\b", re.IGNORECASE)
_SESSION = re.compile(rf"{_OPENING}(?:SET|USE|PREPARE|CALL|CREATE\s+TEMPORARY)\b", re.IGNORECASE)
#: What runs statements that stand elsewhere, any of which may commit.
_MAY_COMMIT = re.compile(rf"{_OPENING}(?:CALL|EXECUTE)\b", re.IGNORECASE)
_HARMLESS = re.compile(
    rf"{_OPENING}(?:ANALYZE|OPTIMIZE|CHECK|REPAIR|FLUSH|GRANT|REVOKE|ALTER\s+USER|SET\s+PASSWORD)\b", re.IGNORECASE
)
_QUOTED_OR_BARE = r"`(?:[^`]|``)+`|[\w$]+"
_TEMPORARY = re.compile(
    rf"\bCREATE\s+(?:OR\s+REPLACE\s+)?TEMPORARY\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?((?:{_QUOTED_OR_BARE})(?:\.(?:{_QUOTED_OR_BARE}))?)",
    re.IGNORECASE,
)
_USER_VARIABLE = re.compile(rf"(?<![@\w'\"`])@({_QUOTED_OR_BARE})\s*:?=")
_OF_SERVER = re.compile(
    rf"{_OPENING}(?:(?:CREATE|ALTER|DROP|RENAME)\s+(?:OR\s+REPLACE\s+)?(?:USER|ROLE|DATABASE|SCHEMA|SERVER|TABLESPACE|LOGFILE)"
    r"|GRANT|REVOKE|SET\s+(?:@@)?(?:GLOBAL|PERSIST\w*|PASSWORD|DEFAULT\s+ROLE)|USE|INSTALL|UNINSTALL|FLUSH|RESET|PURGE|KILL"
    r"|SHUTDOWN|(?:START|STOP)\s+(?:SLAVE|REPLICA|GROUP_REPLICATION)|CHANGE\s+(?:MASTER|REPLICATION)|LOAD\s+INDEX)\b",
    re.IGNORECASE,
)
_ACCOUNTS = re.compile(rf"{_OPENING}(?:CREATE|DROP|RENAME)\s+(?:OR\s+REPLACE\s+)?(?:USER|ROLE)\b", re.IGNORECASE)
_MOVES_ROWS = re.compile(
    rf"{_OPENING}(?:RENAME\s+TABLES?|TRUNCATE|ALTER\s+TABLE\b.*\bEXCHANGE\s+PARTITION)\b", re.IGNORECASE | re.DOTALL
)
_MOST_WORDS, _HEAD = 60, 4000
_TOGETHER, _TOGETHER_CHARACTERS = 200, 500_000


class MysqlScripts:
    """Fills `engines.base.scripts.Scripts`."""

    def conduct(self, statement: SourceStatement) -> Conduct:
        text = statement.text
        if statement.kind == "meta":
            return Conduct(refusal="a command of the client is no SQL")
        if _TABLE_LOCKS.match(text) or _AUTOCOMMIT.match(text):
            return Conduct(is_skipped=True)  # they are for files that are read by the client; here they would end transactions
        for pattern, control in ((_BEGIN, "begin"), (_COMMIT, "commit"), (_ROLLBACK, "rollback")):
            if pattern.match(text):
                return Conduct(control=control)  # type: ignore[arg-type]  # one of three words
        touches = _SESSION.match(text) is not None
        if _MAY_COMMIT.match(text):
            return Conduct(touches_session=touches, may_commit=True)
        if _IN_TRANSACTION.match(text):
            return Conduct(touches_session=True) if touches else PLAIN
        return Conduct(stands_alone=True, touches_session=True) if touches else ALONE

    def is_given(self, sql: str) -> bool:
        return False

    def run(self, conn: Connection, statements: Sequence[SourceStatement]) -> tuple[int, QueryError | None]:
        session, start = cast("MysqlConnection", conn), 0
        while start < len(statements):
            end, size = start, 0
            while end < len(statements) and end - start < _TOGETHER and (size == 0 or size < _TOGETHER_CHARACTERS):
                size += len(statements[end].text)
                end += 1
            ran, error = session.run_each([statement.text for statement in statements[start:end]])
            if error is not None:
                return start + ran, error
            start = end
        return len(statements), None

    def run_later(self, conn: Connection, statements: Sequence[SourceStatement]) -> int | None:
        return None

    def run_opaque(self, conn: Connection, statement: SourceStatement) -> tuple[bool, QueryError | None]:
        """A procedure that commits and leaves a transaction of its own open is taken for one that did not commit."""
        _, error = self.run(conn, [statement])
        if isinstance(error, LostConnectionError):
            return True, error
        return cast("MysqlConnection", conn).is_in_transaction(), error

    def is_refused_inside(self, statement: SourceStatement, error: QueryError) -> bool:
        return False

    def beyond(self, conn: Connection) -> Callable[[SourceStatement], bool]:
        """What is about accounts or the server, and what names another database that there is."""
        own, harmless = cast("MysqlConnection", conn).database, ("information_schema", "performance_schema")
        others = {name for (name,) in conn.query("SHOW DATABASES") if name not in (own, *harmless)}
        named = re.compile(rf"(?:{'|'.join(map(re.escape, others))})`?\s*\.", re.IGNORECASE) if others else None

        def reaches(statement: SourceStatement) -> bool:
            text = statement.text
            if _OF_SERVER.match(text):
                return True
            return named is not None and named.search(text) is not None and _names_one_of(text, others)

        return reaches

    def rebuilds(self, text: str) -> bool:
        return False

    def going_with_tables(self, conn: Connection) -> list[str]:
        return []  # no rule asks for it here

    def literals(self, table: Table) -> str:
        """Bytes come as hexadecimal literals, which take no character set (reference manual, 9.1.4)."""

        def literal(column: Column) -> str:
            name = quoted(column.name)
            if _BYTES.match(column.type):
                return f"IF({name} IS NULL, 'NULL', CONCAT('X''', HEX({name}), ''''))"
            return f"QUOTE(CAST({name} AS CHAR))"

        listed = ", ".join(literal(column) for column in table.columns if column.generated is None)
        return f"SELECT {listed} FROM {quoted(table.name)}"

    def of_module(self, conn: Connection, virtual: VirtualTable) -> list[str] | None:
        return None  # there are none here

    def counters(self, conn: Connection) -> list[str]:
        """AUTO_INCREMENT follows the rows; MariaDB's sequences do not."""
        found = conn.query(
            "SELECT table_name FROM information_schema.tables"
            " WHERE table_schema = DATABASE() AND table_type = 'SEQUENCE' ORDER BY 1"
        )
        stands = "SELECT next_not_cached_value FROM"
        return [f"SELECT SETVAL({quoted(name)}, {conn.query(f'{stands} {quoted(name)}')[0][0]}, 0)" for (name,) in found]

    def trace(self, conn: Connection, statement: SourceStatement) -> str | None:
        """Return a hash of what the server shows of every object whose name stands before the statement's first parenthesis.

        Of statements that may leave two definitions as they are, and their rows in other places, the storage's numbers too.
        """
        session, text = cast("MysqlConnection", conn), statement.text
        if _HARMLESS.match(text):
            return None
        if _MAY_COMMIT.match(text):
            from dbops.engines.mysql.fingerprint import fingerprint

            return fingerprint(session)
        names = _names(text)
        shown: list[object] = []
        if names:
            for kind, schema, name, token in _objects(conn, names, "." in text[:_HEAD]):
                shown.append((kind, schema, name, _definition(conn, schema, name) if kind == "table" else token))
        if _ACCOUNTS.match(text):
            shown += _asked(conn, "SELECT user, host FROM mysql.user ORDER BY 1, 2")
        if _MOVES_ROWS.match(text):
            shown += _storage(session, names)
        return hashlib.sha256(repr(shown).encode()).hexdigest()

    def mend(self, conn: Connection, statement: SourceStatement) -> str | None:
        return None

    @contextmanager
    def sqlalchemy(self, conn: Connection) -> Iterator[SqlAlchemyConnection]:
        from sqlalchemy import create_engine
        from sqlalchemy.pool import NullPool

        target = cast("MysqlConnection", conn).target
        made = create_engine("mysql+pymysql://", creator=lambda: driver_connection(target), poolclass=NullPool)
        with made.connect() as session:
            yield session

    def remember(self, conn: Connection, text: str) -> Callable[[], None]:
        """Nothing lists temporary tables and variables of the user everywhere, so the text of the script names them."""
        session = cast("MysqlConnection", conn)
        temporary = list(dict.fromkeys(_TEMPORARY.findall(text)))
        variables = list(dict.fromkeys(_USER_VARIABLE.findall(text)))
        before, database = _variables(conn), session.database

        def bring_back() -> None:
            if temporary:
                conn.execute(f"DROP TEMPORARY TABLE IF EXISTS {', '.join(temporary)}")
            if variables:
                conn.execute(f"SET {', '.join(f'@{name} = NULL' for name in variables)}")
            after = _variables(conn)
            moved = [name for name, value in before.items() if after.get(name, value) != value]
            if moved:
                settings = ", ".join(f"SESSION {name} = {_value(before[name])}" for name in moved)
                conn.execute(f"SET {settings}")
            if database and conn.query("SELECT DATABASE()") != [(database,)]:
                conn.execute(f"USE `{database.replace('`', '``')}`")

        return bring_back

    @contextmanager
    def aside(self, conn: Connection) -> Iterator[None]:
        own, current = cast("MysqlConnection", conn).database, conn.query("SELECT DATABASE()")[0][0]
        if not own or current == own:
            yield
            return
        conn.execute(f"USE {quoted(own)}")
        yield
        if current is not None:
            conn.execute(f"USE {quoted(current)}")


# SHA2() is what every release has: MD5() and SHA1() went into a component that MySQL 9.7 does not install by itself.
_OBJECTS = """
SELECT 'table', table_schema, table_name, '' FROM information_schema.tables
WHERE table_schema IN ({schemas}) AND table_name IN ({marks})
UNION ALL SELECT routine_type, routine_schema, routine_name,
  SHA2(CONCAT_WS(' ', routine_definition, sql_mode, routine_comment, last_altered), 256)
FROM information_schema.routines WHERE routine_schema IN ({schemas}) AND routine_name IN ({marks})
UNION ALL SELECT 'trigger', trigger_schema, trigger_name,
  SHA2(CONCAT_WS(' ', event_object_table, action_timing, event_manipulation, action_statement), 256)
FROM information_schema.triggers WHERE trigger_schema IN ({schemas}) AND trigger_name IN ({marks})
UNION ALL SELECT 'event', event_schema, event_name, SHA2(CONCAT_WS(' ', event_definition, status, last_altered), 256)
FROM information_schema.events WHERE event_schema IN ({schemas}) AND event_name IN ({marks})
UNION ALL SELECT 'schema', schema_name, '', default_collation_name
FROM information_schema.schemata WHERE schema_name IN ({marks})"""


def _objects(conn: Connection, names: Sequence[str], is_dotted: bool) -> list[Row]:
    """Return the objects that have one of the names, in this database, or in one that the names may mean."""
    marks = ", ".join("?" * len(names))
    schemas = f"DATABASE(), {marks}" if is_dotted else "DATABASE()"
    values = (*names, *names) if is_dotted else tuple(names)
    return sorted(conn.query(_OBJECTS.format(marks=marks, schemas=schemas), (*values * 4, *names)))


def _definition(conn: Connection, schema: str, name: str) -> str:
    text = conn.query(f"SHOW CREATE TABLE {quoted(schema)}.{quoted(name)}")[0][1]
    return re.sub(r" AUTO_INCREMENT=\d+", "", text, count=1)


def _storage(session: MysqlConnection, names: Sequence[str]) -> list[object]:
    """Return the numbers of tables and partitions in the storage: a new one where a table was emptied, swapped where two were.

    Where the account may not see them, the times of creation stand for them.
    """
    view = "innodb_sys_tables" if session.server.flavour == "mariadb" else "innodb_tables"
    patterns = [f"{session.database}/{name}" for name in names]
    places = " OR ".join(["name = ? OR name LIKE ?"] * len(patterns))
    values = [value for pattern in patterns for value in (pattern, pattern.replace("_", r"\_") + "#%")]
    found = _asked(session, f"SELECT name, table_id FROM information_schema.{view} WHERE {places} ORDER BY 1", values)
    if found:
        return found
    marks = ", ".join("?" * len(names))
    times = "SELECT table_name, create_time FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name IN"
    return _asked(session, f"{times} ({marks}) ORDER BY 1", names)


def _asked(conn: Connection, sql: str, parameters: Sequence[str] = ()) -> list[object]:
    """Return rows, none where the account may not read them."""
    try:
        return list(conn.query(sql, tuple(parameters)))
    except LostConnectionError:
        raise
    except QueryError:
        return []


#: Session variables that scripts set, and that can be set back.
_SET_BY_SCRIPTS = (
    *("foreign_key_checks", "unique_checks", "sql_mode", "sql_notes", "time_zone", "character_set_client", "sql_safe_updates"),
    *("character_set_results", "character_set_connection", "collation_connection", "sql_log_bin", "sql_big_selects"),
    *("sql_quote_show_create", "group_concat_max_len", "lock_wait_timeout", "innodb_lock_wait_timeout", "max_statement_time"),
    *("system_versioning_alter_history", "default_storage_engine", "sql_auto_is_null", "auto_increment_increment"),
    *("auto_increment_offset", "lc_time_names", "sql_select_limit", "tx_isolation", "transaction_isolation"),
)


def _variables(conn: Connection) -> dict[str, str]:
    names = ", ".join(f"'{name}'" for name in _SET_BY_SCRIPTS)
    return dict(conn.query(f"SHOW SESSION VARIABLES WHERE Variable_name IN ({names})"))


def _value(text: str) -> str:
    if re.fullmatch(r"-?\d+(?:\.\d+)?", text):
        return text
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def _names_one_of(text: str, databases: set[str]) -> bool:
    """Tell whether a name before a dot is one of `databases`."""
    found = words(text)
    return any(one.identifier in databases and two.text == "." for one, two in pairwise(found))


def _names(text: str) -> list[str]:
    """Return the names that stand before the first parenthesis, as far as a statement says what it is about."""
    found: dict[str, None] = {}
    for token in islice(words(text[:_HEAD]), _MOST_WORDS):
        if token.text == "(":
            break
        if (name := token.identifier) is not None:
            found[name] = None
    return list(found)
