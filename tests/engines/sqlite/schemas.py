"""Random SQLite schemas as SQL: every object kind, odd names and spellings, half of it shared between two schemas of a pair."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

TABLES = ["a", "B", "order", "x y", "c"]
COLUMNS = ["id", "n", "Name", "t", "select", "q z", "rowid"]
TYPES = ["", "INTEGER", "int", "TEXT", "varchar(10)", "REAL", "blob", "NUMERIC(10, 2)", "[my type]", "unsigned big int"]
STRICT_TYPES = ["INTEGER", "int", "TEXT", "real", "blob", "any"]
DEFAULTS = ["1", "'x'", "(1+1)", "CURRENT_TIMESTAMP", "-1.5", "+2", "x'00'", "NULL", '"dq"', "(lower('A') /* c */)", "true", "''"]
CONFLICTS = ["", "", "", " ON CONFLICT REPLACE", " ON CONFLICT IGNORE", " on conflict fail"]
ACTIONS = ["", " ON DELETE CASCADE", " ON UPDATE SET NULL", " on delete set default on update restrict"]
DEFERRALS = ["", " DEFERRABLE INITIALLY DEFERRED", " NOT DEFERRABLE", " deferrable"]


@st.composite
def names(draw: DrawFn, name: str) -> str:
    """A name in one of the ways SQLite lets it be written."""
    ways = [f'"{name}"', f"[{name}]", f"`{name}`"]
    if name.isalpha() and name not in ("order", "select"):
        ways += [name, name]
    return draw(st.sampled_from(ways))


def maybe(text: str) -> st.SearchStrategy[str]:
    return st.sampled_from(["", "", text])


@st.composite
def tables(draw: DrawFn, name: str) -> str:
    """A CREATE TABLE, mostly valid."""
    columns = draw(st.lists(st.sampled_from(COLUMNS), min_size=1, max_size=4, unique=True))
    options = draw(st.sampled_from(["", "", "", "STRICT", "WITHOUT ROWID", "without rowid, strict"]))
    types = STRICT_TYPES if "strict" in options.lower() else TYPES
    key = draw(st.sampled_from(["none", "column", "table", "alias"])) if "rowid" not in options.lower() else "table"
    parts = []
    for place, column in enumerate(columns):
        if place == 0 and key == "alias":
            parts.append(_alias(draw, column))
            continue
        parts.append(draw(_columns(column, columns[:place], types, key == "column" and place == 0)))
    if key == "table":
        listed = ", ".join([draw(names(column)) + draw(maybe(" DESC")) for column in columns[:2]])
        parts.append(f"{draw(maybe('CONSTRAINT pk '))}PRIMARY KEY ({listed}){draw(st.sampled_from(CONFLICTS))}")
    parts += draw(st.lists(_table_constraints(columns), max_size=2))
    gap = draw(st.sampled_from([" ", "\n", " /* gap */ ", " -- gap\n "]))
    return f"CREATE TABLE {draw(names(name))}{gap}(" + f",{gap}".join(parts) + f") {options}"


def _alias(draw: DrawFn, column: str) -> str:
    return f"{draw(names(column))} INTEGER PRIMARY KEY{draw(st.sampled_from(['', ' AUTOINCREMENT', ' DESC', ' NOT NULL']))}"


@st.composite
def _columns(draw: DrawFn, name: str, earlier: list[str], types: list[str], is_key: bool) -> str:
    text = f"{draw(names(name))} {draw(st.sampled_from(types))}"
    if earlier and draw(st.integers(0, 5)) == 0:
        return (
            f"{text} GENERATED ALWAYS AS ({draw(names(earlier[0]))} || 'x'){draw(st.sampled_from(['', ' STORED', ' virtual']))}"
        )
    text += " PRIMARY KEY" if is_key else ""
    text += draw(maybe(f" {draw(maybe('constraint nn '))}not null{draw(st.sampled_from(CONFLICTS))}"))
    text += draw(maybe(f" DEFAULT {draw(st.sampled_from(DEFAULTS))}"))
    text += draw(maybe(draw(st.sampled_from([" COLLATE NOCASE", " collate rtrim", " COLLATE binary"]))))
    text += draw(maybe(f" UNIQUE{draw(st.sampled_from(CONFLICTS))}"))
    text += draw(maybe(f" CHECK ({draw(_conditions([name]))})"))
    return text + draw(maybe(draw(_references())))


@st.composite
def _references(draw: DrawFn) -> str:
    other = draw(names(draw(st.sampled_from(TABLES))))
    column = draw(st.sampled_from(["", f" ({draw(names('id'))})"]))
    return f" REFERENCES {other}{column}{draw(st.sampled_from(ACTIONS))}{draw(st.sampled_from(DEFERRALS))}"


@st.composite
def _conditions(draw: DrawFn, columns: list[str]) -> str:
    column = draw(names(draw(st.sampled_from(columns))))
    return draw(
        st.sampled_from(
            [
                f"{column} > 0",
                f"{column}>0",
                f"Length({column})<9 OR {column} is NULL",
                f"{column} IN ('a','B') OR 1",
                f'{column} <> "dq"',
            ]
        )
    )


@st.composite
def _table_constraints(draw: DrawFn, columns: list[str]) -> str:
    named = draw(st.sampled_from(["", "", 'CONSTRAINT "k 1" ', "constraint k2 "]))
    some = draw(st.lists(st.sampled_from(columns), min_size=1, max_size=2, unique=True))
    listed = ", ".join([draw(names(column)) for column in some])
    kind = draw(st.sampled_from(["unique", "check", "foreign"]))
    if kind == "unique":
        return f"{named}UNIQUE ({listed}{draw(maybe(' COLLATE nocase'))}){draw(st.sampled_from(CONFLICTS))}"
    if kind == "check":
        return f"{named}CHECK({draw(_conditions(columns))})"
    return f"{named}FOREIGN KEY ({draw(names(some[0]))}){draw(_references())}"


@st.composite
def attachments(draw: DrawFn) -> str:
    """An index, view, trigger or virtual table over some table of the pool; often refused for want of it."""
    table = draw(st.sampled_from(TABLES))
    column, other = (draw(names(draw(st.sampled_from(COLUMNS)))) for _ in range(2))
    number = draw(st.integers(0, 2))
    quoted = draw(names(table))
    kind = draw(st.sampled_from(["index", "index", "view", "trigger", "instead", "virtual"]))
    if kind == "index":
        keys = draw(
            st.sampled_from(
                [column, f"{column} DESC, {other}", f"lower({column})", f"{column} COLLATE nocase asc", f"({column}||'x')"]
            )
        )
        where = draw(maybe(f" WHERE {other} IS NOT NULL"))
        return f"CREATE {draw(maybe('UNIQUE '))}INDEX i{number} ON {quoted} ({keys}){where}"
    if kind == "view":
        query = draw(
            st.sampled_from(
                [
                    f"select {column} from {quoted}",
                    f"SELECT * FROM {quoted}",
                    f'SELECT count(*) AS "n n" FROM {quoted}',
                    "SELECT n FROM v0",
                ]
            )
        )
        return f"CREATE VIEW v{number} {draw(maybe('(p) '))}AS {query}"
    if kind == "trigger":
        event = draw(st.sampled_from(["INSERT", "DELETE", f"UPDATE OF {column}", "UPDATE"]))
        act = draw(
            st.sampled_from(
                [
                    f"UPDATE {quoted} SET {other} = 1 WHERE 0",
                    "SELECT 1",
                    "DELETE FROM c WHERE 0",
                    "insert into f0(w) select 'w' where 0",
                ]
            )
        )
        return f"CREATE TRIGGER t{number} {draw(st.sampled_from(['BEFORE', 'AFTER', '']))} {event} ON {quoted} BEGIN {act}; END"
    if kind == "instead":
        body = "SELECT 1; SELECT CASE WHEN 1 THEN 2 END;"
        return f"CREATE TRIGGER t{number} INSTEAD OF INSERT ON v{draw(st.integers(0, 2))} BEGIN {body} END"
    return draw(
        st.sampled_from(
            ["CREATE VIRTUAL TABLE f0 USING fts5(w, tokenize = 'porter')", "CREATE VIRTUAL TABLE f0 USING fts5(w,v)",
             "CREATE VIRTUAL TABLE f0 USING fts5(n, content='a')", "CREATE VIRTUAL TABLE r0 USING rtree(id, lo, hi)"]
        )
    )  # fmt: skip


@st.composite
def pairs(draw: DrawFn) -> tuple[str, str]:
    """Two valid schemas that have much in common."""
    first = [draw(tables(name)) for name in draw(st.lists(st.sampled_from(TABLES), max_size=4, unique=True))]
    first += draw(st.lists(attachments(), max_size=6))
    second = [draw(tables(name)) for name in draw(st.lists(st.sampled_from(TABLES), max_size=3, unique=True))]
    second += draw(st.lists(attachments(), max_size=4))
    kept = [statement for statement in first if draw(st.booleans())]
    return valid(first), valid([*kept, *second])


def valid(statements: list[str]) -> str:
    """Leave out what SQLite refuses."""
    accepted = []
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as conn:
        for statement in statements:
            try:
                conn.execute(statement)
            except sqlite3.Error:
                continue
            accepted.append(statement)
    return "".join(f"{statement};\n" for statement in accepted)
