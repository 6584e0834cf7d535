"""init: a new environment with commented manifests that plan cleanly."""

from __future__ import annotations

import re
from pathlib import Path

from dbops.errors import PlanError
from dbops.resources.migrations.lock_file import FILE_NAME, lock_text

_API = re.compile(rb"^apiVersion:\s*[\"']?dbops/", re.MULTILINE)
_CONNECTION = {
    "connection.yaml": """\
# Where the database is. `${NAME:-default}` reads a variable; passwords belong there, never in this file.
#   postgresql://user@host/shop   mysql://user@host/shop   sqlite:///relative/to/this/folder.db
apiVersion: dbops/v1
kind: Connection
metadata:
  name: main
spec:
  url: ${DATABASE_URL:-sqlite:///main.db}
""",
}
_MIGRATIONS = {
    "migrations.yaml": """\
# Files that run once each, in order: dbops migrate new NAME writes the next one, dbops migrate up runs what is pending.
apiVersion: dbops/v1
kind: MigrationSet
metadata:
  name: main
spec:
  connection: main
  directory: migrations
  outOfOrder: false       # if-independent lets a late one run that touches other tables than those applied since
""",
}
_SCHEMA = {
    "schema.yaml": """\
# What the database should contain. dbops loads the SQL below into a scratch database and compares catalogs.
apiVersion: dbops/v1
kind: Schema
metadata:
  name: main
spec:
  connection: main
  source:
    sql: [schema/]        # every *.sql file below this folder, in any order
  policy:
    unmanaged: report     # objects that no file names: ignore, report or drop
""",
    "schema/example.sql": """\
-- One statement per object; files and statements may stand in any order. Take the marks away to begin:
--
-- CREATE TABLE customers (
--   id    integer PRIMARY KEY,
--   email varchar(320) NOT NULL UNIQUE
-- );
""",
}


def scaffold(directory: Path, *, migrations: bool = False) -> list[Path]:
    """Write a new environment, about a schema or about migrations, and return its files.

    Raises:
        PlanError: one of the files is there already, or a manifest, which would be of the same environment; nothing is written.
    """
    files = _CONNECTION | (_MIGRATIONS if migrations else _SCHEMA)
    if migrations and not (directory / "migrations").exists():
        files = files | {f"migrations/{FILE_NAME}": lock_text(())}  # git keeps no empty folder
    there = [name for name in files if (directory / name).exists()] or _manifests(directory)
    if there:
        raise PlanError(f"{directory} already holds {', '.join(there)}", fix="choose another folder")
    written = []
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        written.append(path)
    return written


def _manifests(directory: Path) -> list[str]:
    """The files below a folder that are manifests to whoever opens it as an environment."""
    files = (path for suffix in ("yaml", "yml") for path in directory.rglob(f"*.{suffix}") if path.is_file())
    return sorted(str(path.relative_to(directory)) for path in files if _API.search(path.read_bytes()))
