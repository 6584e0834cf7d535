"""A few rows for every table that its constraints let in: values by type, parents first, and another try where one is refused.

Nothing here proves that a row is valid: the engine is asked, and what it refuses is tried again with other values.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import closing
from typing import Any

import psycopg

from bench.chains.contents import Column, Key, Table
from tests.databases import Database, PostgresDatabase

_ROWS = 3
_TRIES = 8

_PG_COLUMNS = """
SELECT c.oid::regclass::text, a.attname, format_type(a.atttypid, a.atttypmod),
  NOT a.attnotnull AND NOT coalesce(t.typnotnull, false),
  a.atthasdef OR a.attidentity <> '', a.attgenerated <> '' OR a.attidentity = 'a',
  (SELECT string_agg(e.enumlabel, E'\\x01' ORDER BY e.enumsortorder) FROM pg_enum AS e
   WHERE e.enumtypid IN (t.oid, t.typbasetype)),
  (SELECT string_agg(pg_get_constraintdef(k.oid), ' ') FROM pg_constraint AS k
   WHERE k.contype = 'c' AND (k.contypid = t.oid OR k.conrelid = c.oid AND a.attnum = ANY (k.conkey))),
  CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod) ELSE t.typtype::text END
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped JOIN pg_type AS t ON t.oid = a.atttypid
WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'dbops')
  AND NOT EXISTS (SELECT FROM pg_depend AS d WHERE d.objid = c.oid AND d.deptype = 'e')
ORDER BY c.oid::regclass::text, a.attnum"""
_PG_KEYS = """
SELECT k.conrelid::regclass::text, k.confrelid::regclass::text,
  ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY AS u (n, i)
        JOIN pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = u.n ORDER BY u.i),
  ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY AS u (n, i)
        JOIN pg_attribute AS a ON a.attrelid = k.confrelid AND a.attnum = u.n ORDER BY u.i)
FROM pg_constraint AS k WHERE k.contype = 'f' AND k.conparentid = 0"""
_MY_COLUMNS = """
SELECT c.table_name, c.column_name, c.column_type, c.is_nullable = 'YES',
  c.column_default IS NOT NULL OR c.extra LIKE '%auto_increment%',
  c.extra LIKE '%GENERATED%', c.column_type
FROM information_schema.columns AS c JOIN information_schema.tables AS t USING (table_schema, table_name)
WHERE c.table_schema = DATABASE() AND t.table_type IN ('BASE TABLE', 'SYSTEM VERSIONED') AND c.table_name NOT LIKE 'dbops\\_%'
ORDER BY c.table_name, c.ordinal_position"""
_MY_KEYS = """
SELECT table_name, constraint_name, column_name, referenced_table_name, referenced_column_name
FROM information_schema.key_column_usage WHERE table_schema = DATABASE() AND referenced_table_name IS NOT NULL
ORDER BY table_name, constraint_name, ordinal_position"""


def tables(database: Database) -> list[Table]:
    """Return the tables of a database, those that others refer to first."""
    match database.engine:
        case "postgresql":
            found = _postgresql(database)
        case "mysql":
            found = _mysql(database)
        case _:
            found = _sqlite(database)
    return _parents_first(found)


def fill(database: Database, found: list[Table]) -> int:
    """Put rows into the tables that are empty and return how many went in."""
    count = 0
    for _ in range(2):  # once more for what waited for a row of a ring
        for table in found:
            if not database.rows(f"SELECT 1 FROM {table.name} LIMIT 1"):
                count += sum(_insert(database, table, number) for number in range(1, _ROWS + 1))
    return count


def refusal(database: Database, table: Table, row: Mapping[str, object]) -> str | None:
    """Ask a table whether it would hold a row, and return why not, None where it would; nothing is left of the question.

    That a like row is there is no reason. Other engines than PostgreSQL are not asked: their tables hold what they held.
    """
    if not isinstance(database, PostgresDatabase) or not row:
        return None
    names, marks = ", ".join(f'"{name}"' for name in row), ", ".join(["%s"] * len(row))
    sql = f"INSERT INTO {table.name} ({names}) OVERRIDING SYSTEM VALUE VALUES ({marks})"
    with closing(database.server.connect(database.name)) as conn:
        conn.autocommit = False
        try:
            conn.execute(sql.encode(), list(row.values()))
        except (psycopg.errors.UniqueViolation, psycopg.ProgrammingError):
            return None
        except psycopg.Error as error:
            return str(error)
        finally:
            conn.rollback()
    return None


def _insert(database: Database, table: Table, number: int) -> bool:
    for attempt in range(_TRIES):
        values = _values(database, table, number, attempt)
        if values is None:
            return False
        quote = "`" if database.engine == "mysql" else '"'
        names = ", ".join(f"{quote}{name}{quote}" for name in values)
        empty = "() VALUES ()" if database.engine == "mysql" else "DEFAULT VALUES"
        sql = (
            f"INSERT INTO {table.name} ({names}) VALUES ({', '.join(values.values())})"
            if values
            else f"INSERT INTO {table.name} {empty}"
        )
        try:
            database.rows(sql)
        except Exception:  # each driver has errors of its own, and any of them means: not this row
            continue
        return True
    return False


def _values(database: Database, table: Table, number: int, attempt: int) -> dict[str, str] | None:
    """Return literals by column; None when a parent is needed and has no rows."""
    values: dict[str, str] = {}
    for column in table.columns:
        if column.is_generated or (column.has_default and attempt % 2 == 0 and column.is_nullable):
            continue
        if column.is_nullable and attempt >= _TRIES - 2:
            continue
        if column.has_default and attempt in (2, 3, 7):
            continue
        values[column.name] = _literal(column, number, attempt)
    for key in table.keys:
        if key.table == table.name and not any(c.name in key.columns and not c.is_nullable for c in table.columns):
            values |= dict.fromkeys(key.columns, "NULL")
        elif (parent := _parent(database, key, number)) is not None:
            values |= dict(zip(key.columns, parent, strict=True))
        elif all(c.is_nullable for c in table.columns if c.name in key.columns):
            values |= dict.fromkeys(key.columns, "NULL")
        elif key.table != table.name:
            return None
    return values


def _parent(database: Database, key: Key, number: int) -> list[str] | None:
    quote = "`" if database.engine == "mysql" else '"'
    names = [f"{quote}{name}{quote}" for name in key.referenced]
    if database.engine == "postgresql":
        names = [f"{name}::text" for name in names]
    found = database.rows(f"SELECT {', '.join(names)} FROM {key.table} ORDER BY 1 LIMIT {_ROWS}")
    return [_quoted(value) for value in found[number % len(found)]] if found else None


def _quoted(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        return "X'" + value.hex() + "'"
    return "'" + str(value).replace("\\", "\\\\").replace("'", "''") + "'" if not isinstance(value, int | float) else str(value)


# --- values


def _literal(column: Column, number: int, attempt: int) -> str:
    kind = column.type.lower()
    if column.literals:
        return _quoted(column.literals[(number + attempt) % len(column.literals)])
    if kind.endswith("[]"):
        return "'{}'"
    for pattern, make in _MAKERS:
        if re.search(pattern, kind):
            return make(kind, number, attempt)
    return f"'{number}'"


def _text(kind: str, number: int, attempt: int) -> str:
    length = int(match[1]) if (match := re.search(r"\((\d+)", kind)) else 40
    return "'" + f"{number}{'abcdefgh'[attempt]}{' rows of text' if attempt < 2 else ''}"[: max(length, 1)] + "'"


def _number(kind: str, number: int, attempt: int) -> str:
    match = re.search(r"\((\d+)\s*,\s*(\d+)\)", kind)
    is_fraction = match and int(match[1]) <= int(match[2])
    return f"0.{number}" if is_fraction else str(number + (attempt // 2) * 10)


_MAKERS: list[tuple[str, Any]] = [
    (r"tsvector|tsquery", lambda kind, n, a: f"'word{n}'"),
    (r"multirange", lambda kind, n, a: "'{}'"),
    (r"(int|num)\d?range", lambda kind, n, a: f"'[{n},{n + 1})'"),
    (r"range", lambda kind, n, a: f"'[2024-0{n}-01,2024-0{n}-02)'"),
    (r"^bool", lambda kind, n, a: "true" if (n + a) % 2 else "false"),
    (r"tinyint\(1\)", lambda kind, n, a: str((n + a) % 2)),
    (r"interval", lambda kind, n, a: f"'{n} days'"),
    (r"point", lambda kind, n, a: f"'({n},{n})'"),
    (
        r"bit",
        lambda kind, n, a: (
            f"b'{n % 2}'"
            if "(" not in kind or "(1)" in kind
            else f"b'{'01' * 40}'"[: 2 + int(re.findall(r"\((\d+)", kind)[0])] + "'"
        ),
    ),
    (r"serial|int|decimal|numeric|number|money|real|float|double", _number),
    (r"timestamp|datetime", lambda kind, n, a: f"'2024-0{n}-1{a} 12:00:00'"),
    (r"^year", lambda kind, n, a: f"'202{n}'"),
    (r"date", lambda kind, n, a: f"'2024-0{n}-1{a}'"),
    (r"^time", lambda kind, n, a: f"'12:0{n}:00'"),
    (r"uuid", lambda kind, n, a: f"'00000000-0000-0000-0000-0000000000{n}{a}'"),
    (r"json", lambda kind, n, a: f"'{{\"n\": {n}}}'"),
    (r"xml", lambda kind, n, a: f"'<n>{n}</n>'"),
    (r"inet|cidr", lambda kind, n, a: f"'10.0.{a}.{n}'"),
    (r"macaddr8", lambda kind, n, a: f"'08:00:2b:01:02:03:0{a}:0{n}'"),
    (r"macaddr", lambda kind, n, a: f"'08:00:2b:01:0{a}:0{n}'"),
    (r"bytea", lambda kind, n, a: f"'\\x0{n}'"),
    (r"blob|binary", lambda kind, n, a: f"X'0{n}'"),
    (r"hstore", lambda kind, n, a: f"'a=>{n}'"),
    (r"ltree", lambda kind, n, a: f"'top.n{n}'"),
    (r"char|text|clob|string|name|^$", _text),
]

_WORDS = re.compile(r"'((?:[^']|'')*)'")


def _literals(enum: str | None, check: str | None) -> tuple[str, ...]:
    if enum:
        return tuple(enum.split("\x01"))
    words = [word.replace("''", "'") for word in _WORDS.findall(check or "")]
    is_list = re.search(r"\bIN\b|= ANY|=", check or "", re.IGNORECASE) and not re.search(r"~|LIKE", check or "", re.IGNORECASE)
    return tuple(words) if is_list else ()


# --- tables


def _postgresql(database: Database) -> list[Table]:
    columns: dict[str, list[Column]] = {}
    for table, name, kind, nullable, default, generated, enum, check, base in database.rows(_PG_COLUMNS):
        shown = base if len(base) > 1 else kind  # a domain is filled as what it stands for
        columns.setdefault(table, []).append(Column(name, shown, nullable, default, generated, _literals(enum, check)))
    keys: dict[str, list[Key]] = {}
    for table, parent, own, referenced in database.rows(_PG_KEYS):
        keys.setdefault(table, []).append(Key(tuple(own), parent, tuple(referenced)))
    return [Table(name, tuple(found), tuple(keys.get(name, ()))) for name, found in columns.items()]


def _mysql(database: Database) -> list[Table]:
    columns: dict[str, list[Column]] = {}
    for table, name, kind, nullable, default, generated, declared in database.rows(_MY_COLUMNS):
        labels = tuple(_WORDS.findall(declared)) if re.match(r"enum|set", declared) else ()
        columns.setdefault(table, []).append(Column(name, kind, bool(nullable), bool(default), bool(generated), labels))
    parts: dict[tuple[str, str], list[tuple[str, str, str]]] = {}
    for table, constraint, column, parent, referenced in database.rows(_MY_KEYS):
        parts.setdefault((table, constraint), []).append((column, parent, referenced))
    keys: dict[str, list[Key]] = {}
    for (table, _), found in parts.items():
        keys.setdefault(table, []).append(Key(tuple(p[0] for p in found), f"`{found[0][1]}`", tuple(p[2] for p in found)))
    return [Table(f"`{name}`", tuple(found), tuple(keys.get(name, ()))) for name, found in columns.items()]


def _sqlite(database: Database) -> list[Table]:
    found = []
    names = database.rows(
        "SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite~_%' ESCAPE '~'"
        " AND name NOT LIKE 'dbops~_%' ESCAPE '~' AND sql NOT LIKE 'CREATE VIRTUAL%' AND name NOT IN"
        " (SELECT name FROM pragma_table_list WHERE type IN ('shadow', 'virtual'))"
    )
    for name, sql in names:
        columns = tuple(
            Column(
                column,
                kind,
                not (notnull or pk),
                default is not None or (pk == 1 and "int" in kind.lower()),
                hidden in (2, 3),
                _checked(sql, column),
            )
            for _, column, kind, notnull, default, pk, hidden in database.rows("SELECT * FROM pragma_table_xinfo(?)", (name,))
        )
        keys: dict[int, list[tuple[str, str, str | None]]] = {}
        for number, _, parent, own, referenced, *_ in database.rows("SELECT * FROM pragma_foreign_key_list(?)", (name,)):
            keys.setdefault(number, []).append((parent, own, referenced))
        found.append(
            Table(_sqlite_name(name), columns, tuple(key for parts in keys.values() if (key := _sqlite_key(database, parts))))
        )
    return found


def _sqlite_name(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _sqlite_key(database: Database, parts: list[tuple[str, str, str | None]]) -> Key | None:
    parent = parts[0][0]
    primary = [name for (name,) in database.rows("SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk", (parent,))]
    referenced = tuple(part[2] or primary[place] for place, part in enumerate(parts) if part[2] or place < len(primary))
    return Key(tuple(part[1] for part in parts), _sqlite_name(parent), referenced) if len(referenced) == len(parts) else None


def _checked(sql: str, column: str) -> tuple[str, ...]:
    found = re.search(rf"(?i)check\s*\(\s*[\"`\[]?{re.escape(column)}[\"`\]]?\s+in\s*\(([^)]*)\)", sql)
    return tuple(_WORDS.findall(found[1])) if found else ()


def _parents_first(found: list[Table]) -> list[Table]:
    left = {table.name: table for table in found}
    ordered: list[Table] = []
    while left:
        ready = [t for t in left.values() if all(key.table not in left or key.table == t.name for key in t.keys)]
        for table in ready or list(left.values())[:1]:
            ordered.append(left.pop(table.name))
    return ordered
