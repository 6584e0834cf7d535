"""300 MB of nasty content, backed up by every kind while somebody writes, and back again from every link."""

from __future__ import annotations

import hashlib
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.databases import SqliteDatabase
from tests.usecases.policies import Shop
from tests.usecases.writers import PROMISE, TABLES, Writers, keeps_promise, still

pytestmark = pytest.mark.campaign
_BLOB, _ROWS = 100_000_000, 200_000
_NASTY = r"""
PRAGMA journal_mode = WAL;
CREATE TABLE everything (
  id integer PRIMARY KEY AUTOINCREMENT, i int, r real, t text COLLATE NOCASE, b blob, n numeric, untyped, "odd "" name" text,
  doubled int GENERATED ALWAYS AS (i * 2) STORED, shown text AS (coalesce(t, '') || '!') VIRTUAL, CHECK (i < 1000)
);
INSERT INTO everything (i, r, t, b, n, untyped) VALUES
  (1, 9e999, 'emoji 😀 漢字' || char(0) || 'behind a NUL', x'00ff270a00', 1.5, x''), (NULL, -0.0, '', zeroblob(0), '7', 'seven'),
  (-9223372036854775808, 5e-324, char(10, 13, 9, 39, 34, 92, 127), NULL, 9223372036854775807, 1e300);
CREATE TABLE strict_one (a int PRIMARY KEY, b any) STRICT, WITHOUT ROWID;
INSERT INTO strict_one VALUES (1, 'x'), (2, x'00'), (3, 4.5);
CREATE TABLE parent (id integer PRIMARY KEY); INSERT INTO parent VALUES (1);
CREATE TABLE child (id integer REFERENCES parent ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED); INSERT INTO child VALUES (1);
CREATE UNIQUE INDEX partly ON everything (t) WHERE i > 0; CREATE INDEX computed ON everything (lower(t), doubled DESC);
CREATE TABLE log (what text);
CREATE TRIGGER told AFTER INSERT ON child BEGIN INSERT INTO log VALUES ('a;b ' || NEW.id); END;
CREATE VIEW seen AS SELECT id, shown FROM everything;
CREATE VIRTUAL TABLE words USING fts5 (body); INSERT INTO words VALUES ('some words 😀');
CREATE TABLE large (id integer PRIMARY KEY, b blob);
CREATE TABLE bulk (id integer PRIMARY KEY, code text, note text);
CREATE TABLE marks (name text);
"""


def _content(path: Path) -> dict[str, str]:
    """Return a hash of the rows of each table, and of the schema."""
    with closing(sqlite3.connect(path)) as conn:
        conn.execute("PRAGMA query_only = ON")
        names = [str(name) for (name,) in conn.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")]
        found = {"schema": _hash(conn, "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name")}
        return found | {name: _hash(conn, f'SELECT * FROM "{name}"') for name in names}


def _hash(conn: sqlite3.Connection, sql: str) -> str:
    digest = hashlib.sha256()
    for row in conn.execute(sql):
        for value in row:
            digest.update(f"{type(value).__name__} ".encode() + (value if isinstance(value, bytes) else repr(value).encode()))
    return digest.hexdigest()


@pytest.mark.parametrize("more", ["", "  encryption: {key: {env: SHOP_KEY}}\n"], ids=["open", "encrypted"])
def test_every_link_comes_back_as_it_was(
    sqlite_database: SqliteDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: str
) -> None:
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("SHOP_KEY", "5e" * 32)
    path = Path(sqlite_database.path)
    sqlite_database.load(_NASTY + TABLES)
    sqlite_database.load(
        f"INSERT INTO large VALUES (1, randomblob({_BLOB})); INSERT INTO bulk SELECT n, hex(randomblob(16)),"
        f" 'order ' || n || ' 😀 ' || hex(randomblob(400)) FROM (WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s"
        f" WHERE n < {_ROWS}) SELECT n FROM s);"
    )
    assert path.stat().st_size > 270_000_000
    shop = Shop(tmp_path / "env", sqlite_database.url, more)
    made, expected = [], []
    with closing(sqlite3.connect(path, timeout=60, isolation_level=None, check_same_thread=False)) as conn:

        def transact(statements: tuple[str, str]) -> None:
            conn.execute("BEGIN IMMEDIATE")
            for sql in statements:
                conn.execute(sql)
            conn.execute("COMMIT")

        with Writers(transact).at_work() as writers:
            for number, kind in enumerate(("full", "incremental", "differential", "incremental")):
                with writers.paused():
                    sqlite_database.load(
                        f"INSERT INTO marks VALUES ('{kind} {number}');"
                        f"UPDATE bulk SET note = 'changed' WHERE id % 1000 = {number};"
                    )
                    expected.append(_content(path))
                made.append(shop.run(kind))
            with writers.paused():
                sqlite_database.load("DROP TABLE bulk; UPDATE large SET b = randomblob(1000);")
                expected.append(_content(path))
                made.append(shop.run("incremental"))
    assert [one.stored_size * 10 < made[0].stored_size for one in made] == [False, True, True, True, True]
    for one, before in zip(made, expected, strict=True):
        back = tmp_path / f"{one.id}.db"
        shop.restore(f"sqlite:///{back}", word=one.id)
        assert still(_content(back)) == still(before), one.kind
        with closing(sqlite3.connect(back)) as conn:
            assert keeps_promise(conn.execute(PROMISE).fetchall())
        if one is made[-1]:
            assert _content(back) == before
        back.unlink()
