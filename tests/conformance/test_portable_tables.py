"""One manifest of portable tables on each engine, then changed with rows in place."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from dbops.errors import ApplyError, HazardError
from dbops.reconcile.plan import Plan
from dbops.usecases.apply import Consent, apply
from dbops.usecases.history import undo
from dbops.usecases.plan import plan
from dbops.usecases.runtime import open_workspace
from tests.databases import Database

MANIFEST = """\
apiVersion: dbops/v1
kind: Connection
metadata: {{name: library}}
spec: {{url: {url}}}
---
apiVersion: dbops/v1
kind: Schema
metadata: {{name: library}}
spec:
  connection: library
  source:
    tables:
"""

AUTHORS = """\
      - name: authors
        comment: who writes
        columns:
          - {name: id, type: bigint, primaryKey: true, autoIncrement: true}
          - {name: name, type: string(200), nullable: false}
          - {name: born, type: date}
          - {name: about, type: json}
        indexes:
          - {name: authors_name, columns: [name]}
"""
BOOKS = """\
      - name: books
        columns:
          - {name: id, type: bigint, primaryKey: true, autoIncrement: true}
          - {name: author_id, type: bigint, nullable: false}
          - {name: title, type: string(100), nullable: false}
          - {name: isbn, type: string(13), unique: true}
          - {name: price, type: "decimal(8, 2)", nullable: false, default: 0}
          - {name: is_lent, type: boolean, nullable: false, default: false}
          - {name: shelf, type: smallint}
          - {name: added, type: datetime}
        checks:
          - {name: books_price, expression: price >= 0}
        indexes:
          - {name: books_title, columns: [title]}
"""
TAGS = """\
      - name: tags
        primaryKey: [book_id, tag]
        columns:
          - {name: book_id, type: bigint, nullable: false}
          - {name: tag, type: string(30), nullable: false}
"""
LOANS = """\
      - name: loans
        columns:
          - {name: id, type: bigint, primaryKey: true, autoIncrement: true}
          - {name: book_id, type: bigint, nullable: false, references: books.id}
          - {name: author_id, type: bigint, references: authors.id}
          - {name: at, type: datetime, nullable: false}
"""
FIRST = AUTHORS + BOOKS + TAGS

ROWS = (
    """INSERT INTO authors (id, name, born, about) VALUES (1, 'Ada', '1815-12-10', '{"a": 1}'), (2, 'Émile', NULL, NULL)""",
    "INSERT INTO books (id, author_id, title, isbn, price, is_lent, shelf, added) VALUES"
    " (10, 1, 'Notes', '9780000000001', 12.50, true, 3, '2025-01-31 12:00:00'),"
    " (11, 2, 'Germinal', NULL, 0, false, NULL, NULL)",
    "INSERT INTO tags (book_id, tag) VALUES (10, 'engines'), (11, 'mines')",
)

FOREIGN_KEY = """\
        foreignKeys:
          - {name: books_author, columns: [author_id], references: {table: authors, columns: [id]}, onDelete: cascade}
        checks:
          - {name: books_price"""

#: Each change of the manifest: what it replaces, the renames it needs, and a query with its rows afterwards.
CHANGES: dict[str, tuple[tuple[tuple[str, str], ...], str, str, list[tuple[Any, ...]]]] = {
    "a column is added": (
        (
            (
                "          - {name: shelf,",
                "          - {name: pages, type: integer, nullable: false, default: 1}\n          - {name: shelf,",
            ),
        ),
        "",
        "SELECT id, title, pages, shelf FROM books ORDER BY id",
        [(10, "Notes", 1, 3), (11, "Germinal", 1, None)],
    ),
    "a column is altered": (
        (("title, type: string(100)", "title, type: string(300)"), ("shelf, type: smallint", "shelf, type: bigint, default: 7")),
        "",
        "SELECT id, title, shelf FROM books ORDER BY id",
        [(10, "Notes", 3), (11, "Germinal", None)],
    ),
    "a column is dropped": (
        (("          - {name: shelf, type: smallint}\n", ""),),
        "",
        "SELECT id, title, isbn FROM books ORDER BY id",
        [(10, "Notes", "9780000000001"), (11, "Germinal", None)],
    ),
    "a column is renamed": (
        (("{name: title,", "{name: heading,"), ("columns: [title]", "columns: [heading]")),
        "[{column: books.title, to: heading}]",
        "SELECT id, heading FROM books ORDER BY id",
        [(10, "Notes"), (11, "Germinal")],
    ),
    "a table is renamed": (
        (("- name: authors\n", "- name: writers\n"),),
        "[{table: authors, to: writers}]",
        "SELECT id, name, born FROM writers ORDER BY id",
        [(1, "Ada", date(1815, 12, 10)), (2, "Émile", None)],
    ),
    "a foreign key is added": (
        (("        checks:\n          - {name: books_price", FOREIGN_KEY),),
        "",
        "SELECT id, author_id FROM books ORDER BY id",
        [(10, 1), (11, 2)],
    ),
    "an index is changed": (
        (("{name: books_title, columns: [title]}", "{name: books_title, columns: [author_id, title], unique: true}"),),
        "",
        "SELECT id, author_id, title FROM books ORDER BY id",
        [(10, 1, "Notes"), (11, 2, "Germinal")],
    ),
    "a check is changed": (
        (("expression: price >= 0}", "expression: price >= 0 AND price < 1000}"),),
        "",
        "SELECT id, price FROM books ORDER BY id",
        [(10, Decimal("12.50")), (11, Decimal(0))],
    ),
    "a table is added that refers to two": (
        ((TAGS, TAGS + LOANS),),
        "",
        "SELECT id, title, added FROM books ORDER BY id",
        [(10, "Notes", datetime(2025, 1, 31, 12)), (11, "Germinal", None)],
    ),
    "a primary key is changed": (
        (("primaryKey: [book_id, tag]", "primaryKey: [tag, book_id]"),),
        "",
        "SELECT book_id, tag FROM tags ORDER BY book_id",
        [(10, "engines"), (11, "mines")],
    ),
}

ALL = Consent(lambda plan: True, allow=frozenset({"all"}))
NOTHING_ALLOWED = Consent(lambda plan: True)

Write = Callable[..., Path]


@pytest.fixture
def environment(tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write the manifest and return its folder."""
    monkeypatch.setenv("DBOPS_CACHE_DIR", str(tmp_path / "cache"))

    def write(tables: str, renames: str = "") -> Path:
        folder = tmp_path / "env"
        folder.mkdir(exist_ok=True)
        tail = f"  renames: {renames}\n" if renames else ""
        (folder / "library.yaml").write_text(MANIFEST.format(url=json.dumps(database.url)) + tables + tail)
        return folder

    return write


def applied(folder: Path, consent: Consent = ALL) -> str | None:
    with open_workspace(folder) as workspace:
        return apply(workspace, consent).apply_id


def planned(folder: Path) -> Plan:
    with open_workspace(folder) as workspace:
        return plan(workspace)


def with_rows(database: Database) -> None:
    database.load(";\n".join(ROWS) + ";")


def plain(rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """Numbers, days and times as every driver can tell them."""
    return [tuple(_plain(value) for value in row) for row in rows]


def _plain(value: Any) -> Any:
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, Decimal):
        return float(value)
    return str(value) if isinstance(value, date) else value


def everything(database: Database) -> list[list[tuple[Any, ...]]]:
    queries = (
        "SELECT id, name, born FROM authors ORDER BY id",
        "SELECT id, author_id, title, isbn, price, is_lent, shelf, added FROM books ORDER BY id",
        "SELECT book_id, tag FROM tags ORDER BY book_id",
    )
    return [plain(database.rows(query)) for query in queries]


def changed(name: str) -> tuple[str, str]:
    text = FIRST
    for old, new in CHANGES[name][0]:
        assert old in text
        text = text.replace(old, new)
    return text, CHANGES[name][1]


@pytest.mark.parametrize("name", CHANGES)
def test_rows_stay_when(name: str, environment: Write, database: Database) -> None:
    applied(environment(FIRST), NOTHING_ALLOWED)
    assert planned(environment(FIRST)).is_empty
    with_rows(database)
    rows = everything(database)
    tables, renames = changed(name)
    apply_id = applied(environment(tables, renames))
    assert apply_id
    _, _, query, wanted = CHANGES[name]
    assert plain(database.rows(query)) == plain(wanted)
    assert planned(environment(tables, renames)).is_empty
    with open_workspace(environment(FIRST)) as workspace:
        undo(workspace, apply_id, ALL)
    assert everything(database) == rows
    assert not [entry for entry in planned(environment(FIRST)).entries if "position" not in entry.change.reason]


def test_all_changes_go_together(environment: Write, database: Database) -> None:
    applied(environment(FIRST))
    with_rows(database)
    tables, renames = FIRST, []
    for edits, rename, _, _ in CHANGES.values():
        for old, new in edits:
            tables = tables.replace(old, new)
        renames += [rename.strip("[]")] if rename else []
    tables = tables.replace("columns: [author_id, title]", "columns: [author_id, heading]")
    tables = tables.replace("{table: authors,", "{table: writers,").replace("references: authors.id", "references: writers.id")
    folder = environment(tables, f"[{', '.join(renames)}]")
    applied(folder)
    assert planned(folder).is_empty
    query = "SELECT b.id, heading, pages, price, name FROM books b JOIN writers w ON w.id = b.author_id ORDER BY b.id"
    assert plain(database.rows(query)) == [(10, "Notes", 1, 12.5, "Ada"), (11, "Germinal", 1, 0.0, "Émile")]


def test_a_foreign_key_over_rows_without_parent_is_refused(environment: Write, database: Database) -> None:
    applied(environment(FIRST))
    with_rows(database)
    database.load("INSERT INTO books (id, author_id, title) VALUES (12, 99, 'Nobody''s');")
    before, rows = database.dump(), everything(database)
    tables, _ = changed("a foreign key is added")
    with pytest.raises((ApplyError, HazardError)) as caught:
        applied(environment(tables), NOTHING_ALLOWED)
    assert "books" in caught.value.explain()
    assert (database.dump(), everything(database)) == (before, rows)
