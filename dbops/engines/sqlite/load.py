"""Running a source on a scratch database: what makes the schema, in whatever order it stands.

Left out, since a schema does not consist of them: rows (INSERT, UPDATE, DELETE, SELECT), pragmas, transactions, and the
internal tables that the sqlite3 shell writes into its dumps; the virtual tables that those write into sqlite_schema are made.
Refused, since they cannot be left out or run: ATTACH, commands of the shell, extensions, other writes into sqlite_schema,
temporary objects that stay.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from dbops.engines.sqlite.connect import SqliteConnection
from dbops.engines.sqlite.tokens import Token, tokenize
from dbops.errors import DbopsError, Mark, Problems, QueryError, SchemaError
from dbops.sql.splitter import SourceStatement

_ROWS = frozenset(
    ("INSERT", "REPLACE", "UPDATE", "DELETE", "SELECT", "VALUES", "WITH", "EXPLAIN", "ANALYZE", "VACUUM", "REINDEX")
)
_SESSION = frozenset(("PRAGMA", "BEGIN", "COMMIT", "END", "ROLLBACK", "SAVEPOINT", "RELEASE"))
_SCHEMA_TABLES = frozenset(("sqlite_master", "sqlite_schema", "sqlite_temp_master", "sqlite_temp_schema"))
_MAY_COME_LATER = ("no such table", "no such column", "no such index", "no such view", "has no column named")


def load(conn: SqliteConnection, statements: Sequence[SourceStatement]) -> None:
    """Run the statements of a source; what fails for want of something else waits until that is there.

    Raises:
        Problems: of SchemaError, each with its place.
    """
    problems: list[DbopsError] = []
    waiting: list[SourceStatement] = []
    for statement in statements:
        try:
            if _part(statement) == "schema":
                waiting.append(statement)
        except SchemaError as error:
            problems.append(error)
    with conn.transaction(schema_change=True):
        problems += _run(conn, waiting)
    problems += _temporary(conn, statements)
    if problems:
        raise Problems(problems)


def _run(conn: SqliteConnection, waiting: list[SourceStatement]) -> list[DbopsError]:
    """Run rounds until one brings nothing new; return the errors of the last."""
    final: list[DbopsError] = []
    while waiting:
        later: list[SourceStatement] = []
        errors: list[DbopsError] = []
        for statement in waiting:
            try:
                conn.execute(_written_in(statement) or statement.text)
            except QueryError as error:
                if _makes_a_shadow(statement, error, conn):
                    continue
                if any(reason in error.message for reason in _MAY_COME_LATER) and statement.text[:4].upper() != "DROP":
                    later.append(statement)
                    errors.append(_problem(statement, error))
                else:
                    final.append(_problem(statement, error))
        if len(later) == len(waiting):
            return [*final, *errors]
        waiting = later
    return final


_WRITTEN = re.compile(
    r"INSERT\s+INTO\s+sqlite_(?:master|schema)\s*\(\s*type\s*,\s*name\s*,\s*tbl_name\s*,\s*rootpage\s*,\s*sql\s*\)\s*VALUES\s*"
    r"\(\s*'table'\s*,\s*'(?:[^']|'')*'\s*,\s*'(?:[^']|'')*'\s*,\s*0\s*,\s*'(?P<sql>CREATE\s+VIRTUAL\s+TABLE\s(?:[^']|'')*)'\s*\)",
    re.IGNORECASE,
)


def _written_in(statement: SourceStatement) -> str | None:
    """Return the virtual table that a dump writes into sqlite_schema (shell.c, dump_callback; Python's iterdump)."""
    found = _WRITTEN.fullmatch(statement.text)
    return found["sql"].replace("''", "'") if found else None


def _makes_a_shadow(statement: SourceStatement, error: QueryError, conn: SqliteConnection) -> bool:
    """A dump also holds the shadow tables, which a virtual table has brought along when their turn comes."""
    if "already exists" not in error.message:
        return False
    names = {token.name for token in tokenize(statement.text[:_HEAD])[:6] if token.is_name}
    return any(name in names for (name,) in conn.query("SELECT name FROM pragma_table_list WHERE type = 'shadow'"))


def _problem(statement: SourceStatement, error: QueryError) -> SchemaError:
    return SchemaError(error.message, dict(error.context), at=_place(statement, error.message), fix=_fix(error.message))


def _fix(message: str) -> str | None:
    if "no such module" in message or "no such tokenizer" in message:
        return "this Python's SQLite lacks it; use an SQLite that has it, or leave the table out with exclude"
    if "no such function" in message:
        return "a function that only the application knows can stand in views and triggers, not in tables and indexes"
    return None


def _place(statement: SourceStatement, message: str) -> Mark:
    """Point at the word SQLite stumbled over, when it stands only once in the statement."""
    _, near, rest = message.partition('near "')
    word = rest.rpartition('": ')[0]
    if near and word and statement.text.count(word) == 1:
        return statement.mark(statement.text.index(word))
    return statement.at


def _part(statement: SourceStatement) -> Literal["schema", "rest"]:
    if statement.kind == "meta":
        raise SchemaError("commands of the sqlite3 shell are not SQL", at=statement.at, fix="take the line out of the source")
    head = tokenize(statement.text if len(statement.text) < _HEAD else statement.text[:_HEAD])
    first = head[0].word if head else ""
    if first in ("ATTACH", "DETACH"):
        raise SchemaError(f"{first} has no place in a schema: it is about one database", at=statement.at)
    if any(token.word == "LOAD_EXTENSION" for token in head):
        raise SchemaError("a schema loads no extensions", at=statement.at)
    if _written_in(statement):
        return "schema"
    if first in ("INSERT", "REPLACE", "UPDATE", "DELETE") and any(token.name.lower() in _SCHEMA_TABLES for token in head):
        raise SchemaError("this writes into SQLite's own schema table", at=statement.at, fix="write the CREATE statement itself")
    if first in _ROWS or first in _SESSION or _is_internal(head):
        return "rest"
    return "schema"


_HEAD = 1000
"""Characters enough to tell what a statement is about, however many rows it holds."""


def _is_internal(head: Sequence[Token]) -> bool:
    """`CREATE TABLE sqlite_sequence(name,seq)` and the like in what `.schema` prints."""
    names = [token.name.lower() for token in head[:8] if token.is_name]
    return names[:2] == ["create", "table"] and any(name.startswith("sqlite_") for name in names[2:3])


def _temporary(conn: SqliteConnection, statements: Sequence[SourceStatement]) -> list[DbopsError]:
    found: list[DbopsError] = []
    for kind, name in conn.query("SELECT type, name FROM sqlite_temp_schema WHERE sql IS NOT NULL"):
        at = next((item.at for item in statements if _is_temporary(item, name)), None)
        found.append(SchemaError(f"the temporary {kind} {name} is no part of a database", at=at, fix="take it out of the source"))
    return found


def _is_temporary(statement: SourceStatement, name: str) -> bool:
    head = tokenize(statement.text[:_HEAD])
    return (
        len(head) > 3 and head[1].word in ("TEMP", "TEMPORARY") and any(token.name.lower() == name.lower() for token in head[2:8])
    )
