"""A schema in the engine's own words, apart from the order of what has none, and without owners.

Grants on the schema that every PostgreSQL database has are left out, too: a source that is silent about them leaves them alone.

PostgreSQL and SQLite append columns, so their order within a table counts for nothing here; in MySQL and MariaDB it counts.
"""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from difflib import unified_diff

from tests.databases import Database, MysqlDatabase, PostgresDatabase, SqliteDatabase
from tests.servers.programs import mariadb_program, run
from tests.servers.releases import programs

_PG_TABLE = re.compile(r"(CREATE (?:UNLOGGED |FOREIGN )?TABLE [^\n]+\(\n)(.*?)(\n\).*)", re.DOTALL)
_PG_NOISE = re.compile(
    r"(?m)^(SET .*|SELECT pg_catalog\.set_config.*|ALTER .* OWNER TO .*|(GRANT|REVOKE) .* ON SCHEMA public .*;)$"
)


_PG_MADE_NAME = re.compile(r" CONSTRAINT \w+_not_null\d* NOT NULL")
"""The server names a NOT NULL after the table that had it first, with a number where that name was taken."""


def reading(database: Database) -> frozenset[str]:
    """Return the statements that make the schema."""
    if isinstance(database, SqliteDatabase):
        return frozenset(_sqlite(database))
    text = database.dump()
    if database.engine == "postgresql":
        return frozenset(_ordered(part.strip()) for part in re.split(r";\n", _PG_NOISE.sub("", text)) if part.strip())
    return frozenset(_keys_ordered(part) for part in text.split(";\n\n"))


def dumped(database: Database) -> str:
    """Return what the engine's own client writes of a database, rows included."""
    match database:
        case PostgresDatabase(server, name):
            program = str(programs(server.major).clients / "pg_dump")
            place = ["-h", str(server.home), "-p", str(server.port), "-U", server.user]
            return run([program, *place, "--exclude-schema=dbops", "-d", name])
        case MysqlDatabase(server, name):
            what = ["--routines", "--events", "--triggers", "--default-character-set=utf8mb4"]
            place = [f"--socket={server.socket}", f"--user={server.user}"]
            return run([mariadb_program("mariadb-dump"), "--no-defaults", *place, *what, name])
        case _:
            assert isinstance(database, SqliteDatabase)
            with closing(sqlite3.connect(database.path)) as conn:
                return "\n".join(conn.iterdump())


def difference(have: frozenset[str], want: frozenset[str]) -> str | None:
    """Return what only one of two readings holds, None when they are equal; of an object in both only the lines that differ."""
    if have == want:
        return None
    only_live, only_wanted = ({text.split("\n")[0]: text for text in sorted(side)} for side in (have - want, want - have))
    lines = []
    for head in sorted({*only_live, *only_wanted}):
        pair = [only_live.get(head, "").split("\n"), only_wanted.get(head, "").split("\n")]
        lines.append(head[:100])
        lines += [
            line for line in unified_diff(*pair, "live", "wanted", lineterm="", n=0) if not line.startswith(("---", "+++", "@@"))
        ]
    return "\n".join(lines)


def _ordered(statement: str) -> str:
    if not (table := _PG_TABLE.match(statement)):
        return statement
    lines = sorted(_PG_MADE_NAME.sub(" NOT NULL", line.strip().rstrip(",")) for line in table[2].split("\n"))
    return table[1] + "\n".join(lines) + table[3]


def _keys_ordered(statement: str) -> str:
    """Sort the keys and constraints of a table; its columns, which begin with a quoted name, stay as they are."""
    lines = re.sub(r",(?=\n)", "", statement).split("\n")
    if not statement.startswith("TABLE"):  # code keeps its author's blanks and quotes, which mean nothing
        return re.sub(r"\s+", " ", statement.replace("`", "")).lower()
    is_column = [line.startswith("  `") for line in lines]
    last = max((place for place, it in enumerate(is_column) if it), default=0)
    return "\n".join([*lines[: last + 1], *sorted(lines[last + 1 :])])


def _sqlite(database: SqliteDatabase) -> list[str]:
    found = database.rows(
        "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite~_%' ESCAPE '~'"
        " AND tbl_name NOT LIKE 'dbops~_%' ESCAPE '~'"
    )
    return [
        _sqlite_table(database, name, sql)
        if kind == "table" and not sql.upper().startswith("CREATE VIRTUAL")
        else f"{kind} {name} on {table}: {_squeezed(sql)}"
        for kind, name, table, sql in found
    ]


def _sqlite_table(database: SqliteDatabase, name: str, sql: str) -> str:
    columns = sorted(str(row[1:]) for row in database.rows("SELECT * FROM pragma_table_xinfo(?)", (name,)))
    keys = sorted(str(row[2:]) for row in database.rows("SELECT * FROM pragma_foreign_key_list(?)", (name,)))
    indexes = sorted(
        str(
            (
                index if origin == "c" else "",
                unique,
                origin,
                partial,
                database.rows("SELECT * FROM pragma_index_xinfo(?)", (index,)),
            )
        )
        for _, index, unique, origin, partial in database.rows("SELECT * FROM pragma_index_list(?)", (name,))
        if origin != "c"  # those stand beside the table, with their SQL
    )
    squeezed = _squeezed(sql)
    checks = sorted(re.findall(r"check\(.*?\)(?=[,)]|$)", squeezed))
    tail = squeezed.rsplit(")", 1)[-1]
    return "\n".join(
        [f"table {name} {tail}", *columns, *keys, *[re.sub(r"\(\d+, -?\d+, ", "(", item) for item in indexes], *checks]
    )


def _squeezed(sql: str) -> str:
    bare = re.sub(r"--[^\n]*|/\*.*?\*/", "", sql, flags=re.DOTALL)
    return re.sub(r"\s*([(),])\s*", r"\1", re.sub(r"\s+", " ", re.sub(r'["`\[\]]', "", bare))).strip().lower()
