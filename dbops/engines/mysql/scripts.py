"""Scripts for MySQL and MariaDB: what commits by itself, what statements are about to change, many in one round trip."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import cast

from dbops.engines.base.connect import Connection
from dbops.engines.base.scripts import ALONE, PLAIN, Conduct
from dbops.engines.mysql.connect import MysqlConnection, quoted
from dbops.engines.mysql.tokens import words
from dbops.errors import LostConnectionError, QueryError
from dbops.sql.splitter import SourceStatement

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
_AUTOCOMMIT = re.compile(rf"{_OPENING}SET\s+(?:@@|SESSION\s+|@@session\s*\.\s*)?autocommit\b", re.IGNORECASE)
_SESSION = re.compile(rf"{_OPENING}(?:SET|USE|PREPARE|CALL|CREATE\s+TEMPORARY)\b", re.IGNORECASE)
#: What runs statements that stand elsewhere, any of which may commit.
_MAY_COMMIT = re.compile(rf"{_OPENING}(?:CALL|EXECUTE)\b", re.IGNORECASE)
_HARMLESS = re.compile(
    rf"{_OPENING}(?:TRUNCATE|ANALYZE|OPTIMIZE|CHECK|REPAIR|FLUSH|GRANT|REVOKE|ALTER\s+USER|SET\s+PASSWORD)\b", re.IGNORECASE
)
_QUOTED_OR_BARE = r"`(?:[^`]|``)+`|[\w$]+"
_TEMPORARY = re.compile(
    rf"\bCREATE\s+(?:OR\s+REPLACE\s+)?TEMPORARY\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?((?:{_QUOTED_OR_BARE})(?:\.(?:{_QUOTED_OR_BARE}))?)",
    re.IGNORECASE,
)
_USER_VARIABLE = re.compile(rf"(?<![@\w'\"`])@({_QUOTED_OR_BARE})\s*:?=")
_MOST_WORDS = 60
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

    def run_opaque(self, conn: Connection, statement: SourceStatement) -> tuple[bool, QueryError | None]:
        """A savepoint is gone when the transaction that it was set in is (MySQL 8.4 manual, 15.3.4)."""
        conn.execute("SAVEPOINT dbops_opaque")
        _, error = self.run(conn, [statement])
        if isinstance(error, LostConnectionError):
            return True, error
        try:
            conn.execute("RELEASE SAVEPOINT dbops_opaque")
        except QueryError as gone:
            if isinstance(gone, LostConnectionError):
                raise
            return False, error
        return True, error

    def is_refused_inside(self, statement: SourceStatement, error: QueryError) -> bool:
        return False

    def rebuilds(self, text: str) -> bool:
        return False

    def trace(self, conn: Connection, statement: SourceStatement) -> str | None:
        """Return a hash of what the server shows of every object whose name stands before the statement's first parenthesis."""
        if _HARMLESS.match(statement.text):
            return None
        if _MAY_COMMIT.match(statement.text):
            from dbops.engines.mysql.fingerprint import fingerprint

            return fingerprint(cast("MysqlConnection", conn))
        names = _names(statement.text)
        found = conn.query(_OBJECTS.format(marks=", ".join("?" * len(names))), tuple(names) * 4) if names else []
        shown = []
        for kind, name, token in sorted(found):
            if kind == "table":
                quoted = name.replace("`", "``")
                token = conn.query(f"SHOW CREATE TABLE `{quoted}`")[0][1]
                token = re.sub(r" AUTO_INCREMENT=\d+", "", token, count=1)
            shown.append((kind, name, token))
        return hashlib.sha256(repr(shown).encode()).hexdigest()

    def mend(self, conn: Connection, statement: SourceStatement) -> str | None:
        return None

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


_OBJECTS = """
SELECT 'table', table_name, '' FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name IN ({marks})
UNION ALL SELECT routine_type, routine_name, MD5(CONCAT_WS(' ', routine_definition, sql_mode, routine_comment, last_altered))
FROM information_schema.routines WHERE routine_schema = DATABASE() AND routine_name IN ({marks})
UNION ALL SELECT 'trigger', trigger_name, MD5(CONCAT_WS(' ', event_object_table, action_timing, event_manipulation,
  action_statement)) FROM information_schema.triggers WHERE trigger_schema = DATABASE() AND trigger_name IN ({marks})
UNION ALL SELECT 'event', event_name, MD5(CONCAT_WS(' ', event_definition, status, last_altered))
FROM information_schema.events WHERE event_schema = DATABASE() AND event_name IN ({marks})"""

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


def _names(text: str) -> list[str]:
    """Return the names that stand before the first parenthesis, as far as a statement says what it is about."""
    found: dict[str, None] = {}
    for token in islice(words(text[:4000]), _MOST_WORDS):
        if token.text == "(":
            break
        if (name := token.identifier) is not None:
            found[name] = None
    return list(found)
