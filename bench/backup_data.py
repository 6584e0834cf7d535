"""Databases of a wished size for measurements of backups: text that repeats itself as an application's does, and random bytes."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from tests.servers import MysqlServer, PostgresServer

MIB = 1 << 20
_ROW = 330
"""Bytes of a row in a file of SQLite, about; the other engines need no more."""
_NOTE = "Order {n} of customer {c}: to be delivered to the back door, call before; paid by card, no invoice was asked for"


def rows_for(size: int) -> int:
    """Return how many rows make so many bytes."""
    return max(1000, size // _ROW)


def fill_sqlite(path: Path, size: int) -> None:
    """Make a file of about `size` bytes."""
    note = "'" + _NOTE.replace("{n}", "' || n || '").replace("{c}", "' || (n * 7919 % 100000) || '") + "'"
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("PRAGMA synchronous = OFF")
        conn.execute("CREATE TABLE items (id INTEGER PRIMARY KEY, code TEXT, note TEXT, amount REAL, body BLOB)")
        conn.execute(
            "WITH RECURSIVE numbers (n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM numbers WHERE n < ?) "
            f"INSERT INTO items SELECT n, hex(randomblob(16)), {note} || {note}, n % 100000 / 100.0, randomblob(32) FROM numbers",
            (rows_for(size),),
        )
        conn.execute("CREATE INDEX items_code ON items (code)")
        conn.commit()


def touch_sqlite(path: Path, turn: int, share: int) -> None:
    """Change one page in `share`, scattered over the file."""
    with closing(sqlite3.connect(path)) as conn:
        pages = conn.execute("PRAGMA page_count").fetchone()[0]
        rows = conn.execute("SELECT max(id) FROM items").fetchone()[0]
        step = max(1, rows * share // pages)
        conn.execute("UPDATE items SET amount = amount + 1 WHERE id % ? = ?", (step, turn % step))
        conn.commit()


def fill_postgresql(server: PostgresServer, database: str, size: int) -> None:
    """Fill a database with about `size` bytes."""
    note = "'" + _NOTE.replace("{n}", "' || n || '").replace("{c}", "' || (n * 7919 % 100000) || '") + "'"
    server.psql(
        database,
        "CREATE TABLE items (id bigint PRIMARY KEY, code text, note text, amount numeric(12,2), body bytea);"
        f"INSERT INTO items SELECT n, md5(n::text), {note} || {note}, n % 100000 / 100.0, "
        "decode(md5((n + 1)::text) || md5((n + 2)::text), 'hex') "
        f"FROM generate_series(1::bigint, {rows_for(size)}) n;"
        "CREATE INDEX items_code ON items (code); ANALYZE items;",
    )


def fill_mysql(server: MysqlServer, database: str, size: int) -> None:
    """Fill a database with about `size` bytes."""
    note = "CONCAT('" + _NOTE.replace("{n}", "', n, '").replace("{c}", "', n * 7919 % 100000, '") + "')"
    rows, numbers = rows_for(size), 1
    script = ["CREATE TABLE numbers (n bigint PRIMARY KEY); INSERT INTO numbers VALUES (1);"]
    while numbers < rows:
        script.append(f"INSERT INTO numbers SELECT n + {numbers} FROM numbers WHERE n <= {rows - numbers};")
        numbers *= 2
    script.append(
        "CREATE TABLE items (id bigint PRIMARY KEY, code varchar(40), note text, amount decimal(12,2), body blob);"
        f"INSERT INTO items SELECT n, MD5(n), CONCAT({note}, {note}), n % 100000 / 100, UNHEX(CONCAT(MD5(n + 1), MD5(n + 2))) "
        "FROM numbers; DROP TABLE numbers; CREATE INDEX items_code ON items (code);"
    )
    server.client(database, "\n".join(script))
