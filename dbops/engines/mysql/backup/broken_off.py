"""A mark in a database that is being restored, so that a restore that was killed is known for what it is.

It is a table, made before anything else and dropped when everything is there; dumps leave it out.
"""

from __future__ import annotations

from dbops.engines.mysql.connect import MysqlConnection, quoted

MARK = "dbops_restoring"


def begin(conn: MysqlConnection, database: str, what: str) -> None:
    """Mark a database; `what` tells whoever finds the mark what was being done, and where things are."""
    place = f"{quoted(database)}.{MARK}"
    conn.execute(f"DROP TABLE IF EXISTS {place}")
    # with a key, for some servers take no table without one (innodb_force_primary_key, sql_require_primary_key)
    columns = "what text CHARACTER SET utf8mb4 NOT NULL, at datetime NOT NULL PRIMARY KEY"
    conn.execute(f"CREATE TABLE {place} ({columns}) ENGINE=InnoDB")
    conn.execute(f"INSERT INTO {place} VALUES (?, UTC_TIMESTAMP())", (what,))


def end(conn: MysqlConnection, database: str) -> None:
    """Take the mark away."""
    conn.execute(f"DROP TABLE IF EXISTS {quoted(database)}.{MARK}")


def broken_off(conn: MysqlConnection, database: str) -> str | None:
    """Return what a restore was doing that did not end, None where none is known."""
    known = "SELECT 1 FROM information_schema.tables WHERE table_schema = ? AND table_name = ?"
    if not conn.query(known, (database, MARK)):
        return None
    rows = conn.query(f"SELECT what, at FROM {quoted(database)}.{MARK}")
    return f"a restore that began at {rows[0][1]}Z did not end: {rows[0][0]}" if rows else "a restore did not end"
