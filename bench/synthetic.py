"""A schema of any size for measurements: tables of 10 columns, 2 indexes, 1 foreign key and 1 check each.

Every tenth table is referenced by the ten behind it, as tables of real schemas share a few parents.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Flavour = Literal["postgresql", "mysql", "sqlite"]


@dataclass(frozen=True, slots=True)
class Words:
    """What the engines call types and table options."""

    number: str
    name: str
    text: str
    time: str
    now: str
    flag: str
    false: str
    options: str = ""


_WORDS: dict[Flavour, Words] = {
    "postgresql": Words("bigint", "varchar(100)", "text", "timestamptz", "now()", "boolean", "false"),
    "mysql": Words("bigint", "varchar(100)", "text", "datetime", "CURRENT_TIMESTAMP", "tinyint(1)", "0", " ENGINE=InnoDB"),
    "sqlite": Words("integer", "text", "text", "text", "CURRENT_TIMESTAMP", "integer", "0"),
}


def table_name(number: int) -> str:
    """Return the name of one table, which sorts by number."""
    return f"item_{number:05}"


def schema(flavour: Flavour, tables: int) -> list[str]:
    """Return the statements, three for each table, without terminators."""
    return [statement for number in range(tables) for statement in table(flavour, number)]


def table(flavour: Flavour, number: int, extra: str = "") -> list[str]:
    """Return the statements of one table; `extra` are more columns, each with a comma behind it."""
    word, name, parent = _WORDS[flavour], table_name(number), table_name(number - number % 10)
    return [
        f"CREATE TABLE {name} (\n"
        f"  id {word.number} NOT NULL,\n"
        f"  parent_id {word.number},\n"
        f"  code {word.name} NOT NULL,\n"
        f"  title {word.text},\n"
        f"  amount numeric(12,2) DEFAULT 0 NOT NULL,\n"
        f"  quantity integer DEFAULT 1 NOT NULL,\n"
        f"  is_active {word.flag} DEFAULT {word.false} NOT NULL,\n"
        f"  created_at {word.time} DEFAULT {word.now} NOT NULL,\n"
        f"  updated_at {word.time},\n"
        f"  note {word.text},\n"
        f"{extra}"
        f"  CONSTRAINT {name}_pkey PRIMARY KEY (id),\n"
        f"  CONSTRAINT {name}_parent_fkey FOREIGN KEY (parent_id) REFERENCES {parent} (id),\n"
        f"  CONSTRAINT {name}_quantity_check CHECK (quantity > 0)\n"
        f"){word.options}",
        f"CREATE UNIQUE INDEX {name}_code_idx ON {name} (code)",
        f"CREATE INDEX {name}_parent_idx ON {name} (parent_id, created_at)",
    ]


def script(statements: list[str]) -> str:
    """Return statements as one file."""
    return "".join(f"{statement};\n\n" for statement in statements)


MODELS = """\
import sqlalchemy as sa
from sqlalchemy.dialects import {dialect}

metadata = sa.MetaData()
for number in range({tables}):
    name, parent = f"item_{{number:05}}", f"item_{{number - number % 10:05}}"
    sa.Table(
        name,
        metadata,
        sa.Column("id", {number}, nullable=False, autoincrement=False),
        sa.Column("parent_id", {number}),
        sa.Column("code", {name}, nullable=False),
        sa.Column("title", sa.Text),
        sa.Column("amount", sa.Numeric(12, 2), nullable=False, server_default="0"),
        sa.Column("quantity", sa.Integer, nullable=False, server_default="1"),
        sa.Column("is_active", {flag}, nullable=False, server_default=sa.text("{false}")),
        sa.Column("created_at", {time}, nullable=False, server_default=sa.text("{now}")),
        sa.Column("updated_at", {time}),
        sa.Column("note", sa.Text),
        sa.PrimaryKeyConstraint("id", name=f"{{name}}_pkey"),
        sa.ForeignKeyConstraint(["parent_id"], [f"{{parent}}.id"], name=f"{{name}}_parent_fkey"),
        sa.CheckConstraint("quantity > 0", name=f"{{name}}_quantity_check"),
        sa.Index(f"{{name}}_code_idx", "code", unique=True),
        sa.Index(f"{{name}}_parent_idx", "parent_id", "created_at"),
    )
"""
"""The same schema as SQLAlchemy models, for the peers that want them."""

_MODEL_WORDS = {
    "postgresql": ("sa.BigInteger", "sa.String(100)", "sa.Boolean", "sa.DateTime(timezone=True)"),
    "mysql": ("sa.BigInteger", "sa.String(100)", "mysql.TINYINT(1)", "sa.DateTime"),
    "sqlite": ("sa.Integer", "sa.Text", "sa.Integer", "sa.Text"),
}


def models(flavour: Flavour, tables: int) -> str:
    """Return a Python module with `metadata`."""
    number, name, flag, time = _MODEL_WORDS[flavour]
    word = _WORDS[flavour]
    return MODELS.format(
        dialect=flavour, tables=tables, number=number, name=name, flag=flag, time=time, false=word.false, now=word.now
    )


def build_sqlite(path: Path, statements: Sequence[str]) -> None:
    """Write a database file that holds the empty tables and indexes of `statements`.

    CREATE costs the more the more tables there are, so the rows of the schema table are written as rows (SQLite manual, PRAGMA
    writable_schema), and their empty root pages by hand (SQLite manual, "Database File Format", B-tree pages).
    """
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        conn.executescript("CREATE TABLE seed (id integer); DROP TABLE seed; PRAGMA writable_schema = ON; BEGIN;")
        for place, statement in enumerate(statements):
            words = statement.replace("UNIQUE ", "").split()
            kind, name, table = words[1].lower(), words[2], words[2] if words[1] == "TABLE" else words[4]
            row = (kind, name, table, _FAR + place, statement)
            conn.execute("INSERT INTO sqlite_schema (type, name, tbl_name, rootpage, sql) VALUES (?, ?, ?, ?, ?)", row)
        pages, page_size = (conn.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
        conn.execute("UPDATE sqlite_schema SET rootpage = rootpage - ?", (_FAR - pages - 1,))
        conn.execute("COMMIT")
    with path.open("r+b") as file:
        file.seek(0, 2)
        for statement in statements:
            kind = 0x0D if statement.startswith("CREATE TABLE") else 0x0A
            file.write(bytes([kind, 0, 0, 0, 0, *page_size.to_bytes(2), 0]).ljust(page_size, b"\0"))
        file.seek(28)
        file.write((pages + len(statements)).to_bytes(4))


_FAR = 1_000_000
"""A page number beyond all that the rows of the schema table will need."""
