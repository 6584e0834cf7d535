"""Loading a source into a scratch database: statements in any order, each error at its place.

Run: everything that makes or changes schema, SET, and CALL (a procedure of the source that makes schema).
Noted, for the server's own lists must not know of a scratch: GRANT and REVOKE on this database and what is in it.
Skipped: rows (INSERT, UPDATE, ...), transactions, accounts, and what a client does around a dump (LOCK TABLES).
The database that USE or CREATE DATABASE names stands for the scratch, and so does the target's own name.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import field

from dbops.dataclass import dataclass
from dbops.engines.mysql.connect import MysqlConnection, quoted
from dbops.engines.mysql.errors import EMPTY_QUERY, number_of
from dbops.engines.mysql.qualifiers import Naming
from dbops.engines.mysql.tokens import Token, tokens
from dbops.errors import DbopsError, Problems, QueryError, SchemaError
from dbops.sql.splitter import SourceStatement

_log = logging.getLogger(__name__)

#: First words of statements about rows, transactions, accounts and maintenance.
_SKIPPED = frozenset(
    {
        *("INSERT", "REPLACE", "UPDATE", "DELETE", "TRUNCATE", "LOAD", "HANDLER"),
        *("SELECT", "WITH", "VALUES", "TABLE", "DO", "SHOW", "DESCRIBE", "DESC", "EXPLAIN", "HELP"),
        *("START", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE", "XA", "LOCK", "UNLOCK"),
        *("ANALYZE", "OPTIMIZE", "CHECK", "CHECKSUM", "REPAIR", "CACHE", "FLUSH", "RESET", "KILL", "CHANGE", "PURGE"),
        *("INSTALL", "UNINSTALL", "SHUTDOWN", "CLONE"),
    }
)
_ACCOUNTS = frozenset({"USER", "ROLE", "SERVER", "TABLESPACE", "LOGFILE", "RESOURCE", "INSTANCE"})
#: Errors that mean: something this statement needs is not there yet.
_NOT_YET = frozenset(
    {1005, 1049, 1072, 1054, 1091, 1109, 1146, 1176, 1215, 1304, 1305, 1356, 1360, 1452, 1822, 1824, 1832, 1833, 3734, 4089}
)
_FOREIGN_KEY = frozenset({1005, 1215, 1822, 1824, 3734})


@dataclass(slots=True)
class _Pending:
    """A statement as it is sent, with the SET statements of its file that stand before it."""

    source: SourceStatement
    sql: str
    settings: tuple[str, ...]
    error: QueryError | None = None


@dataclass(slots=True)
class _Names:
    """Names that mean the scratch: the target's own, and the one the source uses."""

    scratch: str
    own: set[str] = field(default_factory=set)
    used: str | None = None


def load(conn: MysqlConnection, statements: Sequence[SourceStatement]) -> None:
    """Run a source; see the port."""
    names = _Names(conn.database, {conn.stands_for} if conn.stands_for else set())
    problems: list[DbopsError] = []
    pending: list[_Pending] = []
    grants: list[SourceStatement] = []
    settings: dict[str, list[str]] = {}
    for statement in statements:
        try:
            sql = _prepared(statement, names)
        except SchemaError as error:
            problems.append(error)
            continue
        if sql is None:
            continue
        before = settings.setdefault(statement.at.file, [])
        if _first(sql) == "SET":
            before.append(sql)
        elif _first(sql) in ("GRANT", "REVOKE"):
            grants.append(statement)
        else:
            pending.append(_Pending(statement, sql, tuple(before)))
    problems += _temporary(pending)
    if not problems:
        try:
            problems += _run_all(conn, pending)
        finally:
            _reset(conn, ours=True)
    if not problems and grants:
        from dbops.engines.mysql.load_grants import note_grants

        problems += note_grants(conn, grants, names.own, statements)
    if problems:
        raise Problems(problems)


_TEMPORARY = re.compile(r"CREATE\s+(?:OR\s+REPLACE\s+)?TEMPORARY\s+(?:TABLE|SEQUENCE)\b", re.IGNORECASE)


def _temporary(pending: Sequence[_Pending]) -> list[DbopsError]:
    """Complain about temporary tables that stay: they hide tables of their names from the rest, and are no part of a database."""
    found: list[DbopsError] = []
    for place, item in enumerate(pending):
        if _TEMPORARY.match(item.sql) and (name := _target(item.sql)) is not None:
            later = (one.sql for one in pending[place + 1 :])
            if not any(_first(sql) == "DROP" and name in {token.identifier for token in tokens(sql)} for sql in later):
                message = f"the temporary table {name} is no part of a database"
                found.append(SchemaError(message, at=item.source.at, fix="take it out of the source, or drop it there"))
    return found


def _target(sql: str) -> str | None:
    """The name behind TABLE or SEQUENCE."""
    found = [token for token in tokens(sql) if token.kind != "space"]
    start = next((i for i, token in enumerate(found[:8]) if token.upper in ("TABLE", "SEQUENCE")), None)
    named = (token for token in found[start + 1 :] if token.upper not in ("IF", "NOT", "EXISTS")) if start is not None else ()
    return next((token.identifier for token in named), None)


def _run_all(conn: MysqlConnection, pending: list[_Pending]) -> list[DbopsError]:
    """Run what can run until nothing more can; then let rings of foreign keys in; then say what is wrong."""
    session = _Session(conn)
    unchecked = False
    while pending:
        left = [item for item in pending if not session.run(item, unchecked)]
        if len(left) == len(pending) or any(item.error and number_of(item.error) not in _NOT_YET for item in left):
            hopeless = [item for item in left if item.error and number_of(item.error) not in _NOT_YET]
            if hopeless or unchecked or not any(item.error and number_of(item.error) in _FOREIGN_KEY for item in left):
                return [_at(item.source, item.error, conn) for item in (hopeless or left) if item.error]
            unchecked = True
        pending = left
    return _dangling(conn) if unchecked else []


class _Session:
    """The connection, with the settings of the file whose statement runs."""

    def __init__(self, conn: MysqlConnection) -> None:
        self.conn = conn
        self.settings: tuple[str, ...] | None = None

    def run(self, item: _Pending, unchecked: bool) -> bool:
        self._set(item)
        try:
            if unchecked:
                self.conn.execute("SET SESSION foreign_key_checks = 0")
            self.conn.execute(item.sql)
        except QueryError as error:
            item.error = error
            return number_of(error) == EMPTY_QUERY  # a version comment that is not for this server
        return True

    def _set(self, item: _Pending) -> None:
        """Bring the session to where it stands at this place of the file; going on in the same file costs nothing."""
        done = self.settings or ()
        if self.settings is None or item.settings[: len(done)] != done:
            _reset(self.conn)
            done = ()
        for sql in item.settings[len(done) :]:
            try:
                self.conn.execute(sql)
            except QueryError as error:
                raise _at(item.source, error, self.conn) from error
            if re.search(r"character_set|\bnames\b|\bcharset\b|character\s+set|collation", sql, re.IGNORECASE):
                self.conn.use_charset(self.conn.session_charset)  # the text reaches the server in UTF-8, whatever its file was in
        self.settings = item.settings


def _reset(conn: MysqlConnection, *, ours: bool = False) -> None:
    """Give the session the server's own settings, under which sources are written; or ours again when all is loaded."""
    from dbops.engines.mysql.connect import our_sql_mode

    mode = our_sql_mode(conn.server_sql_mode) if ours else conn.server_sql_mode
    conn.execute(
        f"SET SESSION sql_mode = '{mode}', SESSION foreign_key_checks = 1, SESSION unique_checks = 1, "
        "SESSION time_zone = DEFAULT, SESSION sql_notes = DEFAULT, SESSION default_storage_engine = DEFAULT"
    )
    conn.use_charset(conn.session_charset)


# --- one statement --------------------------------------------------------------------------------------------------------


def _prepared(statement: SourceStatement, names: _Names) -> str | None:
    """Return the statement as the scratch is to see it, None when it is to be skipped.

    Raises:
        SchemaError: it would leave the scratch, or cannot be understood.
    """
    found = [token for token in tokens(statement.text) if token.kind != "space"]
    first = found[0].upper if found else ""
    if statement.kind == "meta" and first != "USE":
        raise SchemaError(f"a line for the client program cannot be loaded: {statement.text.strip()}", at=statement.at)
    if not first:
        return None
    if first in ("USE",):
        _use(found[1].identifier if len(found) > 1 else None, statement, names)
        return None
    if first in _SKIPPED:
        return None
    if first in ("GRANT", "REVOKE"):
        return statement.text
    second = next((t.upper for t in found[1:4] if t.upper not in ("OR", "REPLACE", "DEFAULT", "GLOBAL", "UNDO")), "")
    if first in ("CREATE", "DROP", "ALTER") and second in ("DATABASE", "SCHEMA"):
        return _database(first, found, statement, names)
    if second in _ACCOUNTS and first in ("CREATE", "DROP", "ALTER", "RENAME", "SET"):
        _log.info("%s: skipped, accounts and servers are no part of a schema", statement.at)
        return None
    if first == "SET":
        return _setting(found, statement)
    return _mapped(statement, names)


def _use(name: str | None, statement: SourceStatement, names: _Names) -> None:
    if name is None:
        return
    if names.used not in (None, name):
        raise SchemaError(
            f"the source uses a second database, '{name}', after '{names.used}'",
            at=statement.at,
            fix="manage each database with a Schema manifest of its own",
        )
    names.used = name
    names.own.add(name)


def _database(first: str, found: list[Token], statement: SourceStatement, names: _Names) -> str | None:
    """CREATE and ALTER DATABASE give the scratch their character set; DROP DATABASE means nothing here."""
    if first == "DROP":
        return None
    words = [token for token in found[2:] if token.upper not in ("IF", "NOT", "EXISTS", "DATABASE", "SCHEMA", "REPLACE")]
    options = words
    if words and words[0].upper not in ("CHARACTER", "CHARSET", "COLLATE", "DEFAULT", "ENCRYPTION", "READ", "COMMENT"):
        names.own.add(words[0].identifier or "")
        options = words[1:]
    text = statement.text[options[0].start :] if options else ""
    kept = re.findall(r"(?:DEFAULT\s+)?(?:CHARACTER\s+SET|CHARSET|COLLATE)\s*=?\s*['\"]?\w+['\"]?", text, re.IGNORECASE)
    return f"ALTER DATABASE {quoted(names.scratch)} {' '.join(kept)}" if kept else None


def _setting(found: list[Token], statement: SourceStatement) -> str | None:
    upper = {token.upper for token in found}
    if upper & {"GLOBAL", "PERSIST", "PERSIST_ONLY"} or any("@@GLOBAL" in token.upper for token in found[1:2]):
        raise SchemaError(
            "a schema source cannot change the server's global settings", at=statement.at, fix="take the statement out"
        )
    if found[1].upper in ("PASSWORD", "ROLE", "DEFAULT", "TRANSACTION"):
        return None
    return statement.text


def _mapped(statement: SourceStatement, names: _Names) -> str:
    """Let every qualifier that means this database mean the scratch; refuse to write into another one."""
    sql = statement.text
    for own in sorted(names.own):
        sql = _requalified(sql, own, names.scratch)
    if foreign := _foreign_target(sql, names.scratch):
        raise SchemaError(
            f"the statement writes into another database, '{foreign}'",
            at=statement.mark(max(0, statement.text.find(foreign))),
            expected="objects of the connection's own database, which need no database name",
            fix=f"remove '{foreign}.', or manage that database with a Schema manifest of its own",
        )
    return sql


def _requalified(sql: str, own: str, scratch: str) -> str:
    """Replace the qualifier `own` where it names the database, and not a table, alias or variable that is called so too."""
    naming = Naming(own)
    if not naming.may_be_in(sql):
        return sql
    found = list(tokens(sql))
    chosen = set(naming.qualifiers(found))
    return "".join(quoted(scratch) if place in chosen else token.text for place, token in enumerate(found))


_TARGET_KINDS = frozenset(["TABLE", "VIEW", "TRIGGER", "PROCEDURE", "FUNCTION", "EVENT", "SEQUENCE", "INDEX"])


def _foreign_target(sql: str, scratch: str) -> str | None:
    """Return the other database whose object the statement makes, changes or drops."""
    found = [token for token in tokens(sql) if token.kind != "space"]
    if found[0].upper not in ("CREATE", "ALTER", "DROP", "RENAME"):
        return None
    kind = next((i for i, token in enumerate(found[:20]) if token.upper in _TARGET_KINDS), None)
    if kind is None:
        return None
    starts = [kind + 1]
    if found[kind].upper in ("INDEX", "TRIGGER"):
        starts = [i + 1 for i, token in enumerate(found[: kind + 20]) if token.upper == "ON" and i > kind][:1]
    for start in starts:
        while start < len(found) and found[start].upper in ("IF", "NOT", "EXISTS"):
            start += 1
        if start + 1 < len(found) and found[start + 1].text == "." and found[start].identifier not in (None, scratch):
            return found[start].identifier
    return None


def _first(sql: str) -> str:
    return next((token.upper for token in tokens(sql) if token.kind != "space"), "")


# --- what went wrong ------------------------------------------------------------------------------------------------------

_NEAR = re.compile(r"near '(.*)' at line (\d+)$", re.DOTALL)


def _at(source: SourceStatement, error: QueryError, conn: MysqlConnection) -> SchemaError:
    """Return the server's error at the place in the file that it speaks of, without the scratch's name."""
    message = error.message.replace(f"`{conn.database}`.", "").replace(f"{conn.database}.", "")
    offset = _offset(source.text, message)
    return SchemaError(message, dict(error.context), at=source.mark(offset) if offset > 0 else source.at, fix=error.fix)


def _offset(text: str, message: str) -> int:
    """Where the text after `near` stands, or the name the message quotes; 0 when it tells neither."""
    if near := _NEAR.search(message):
        return text.find(near[1][:60]) if near[1] else len(text)
    quoted_name = re.search(r"['`]([^'`]+)['`]", message)
    name = quoted_name[1].rpartition(".")[2] if quoted_name else ""
    found = re.search(rf"(?<!\w){re.escape(name)}(?!\w)", text) if name else None
    return found.start() if found else 0


_DANGLING = """
SELECT DISTINCT k.table_name, k.constraint_name, k.referenced_table_schema, k.referenced_table_name
FROM information_schema.key_column_usage AS k
LEFT JOIN information_schema.tables AS t ON t.table_schema = k.referenced_table_schema AND t.table_name = k.referenced_table_name
WHERE k.table_schema = DATABASE() AND k.referenced_table_name IS NOT NULL AND t.table_name IS NULL"""


def _dangling(conn: MysqlConnection) -> list[DbopsError]:
    """Foreign keys let in without checks whose table nobody made."""
    return [
        SchemaError(f"foreign key {key} of table {table} refers to table {referenced}, which the source does not make")
        for table, key, _, referenced in conn.query(_DANGLING)
    ]
