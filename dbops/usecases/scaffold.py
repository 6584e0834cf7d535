"""init: a new environment with commented manifests that plan cleanly."""

from __future__ import annotations

import re
from pathlib import Path

from dbops.errors import PlanError

_API = re.compile(rb"^apiVersion:\s*[\"']?dbops/", re.MULTILINE)
_FILES = {
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


def scaffold(directory: Path) -> list[Path]:
    """Write a new environment and return its files.

    Raises:
        PlanError: one of the files is there already, or a manifest, which would be of the same environment; nothing is written.
    """
    there = [name for name in _FILES if (directory / name).exists()] or _manifests(directory)
    if there:
        raise PlanError(f"{directory} already holds {', '.join(there)}", fix="choose another folder")
    written = []
    for name, text in _FILES.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        written.append(path)
    return written


def _manifests(directory: Path) -> list[str]:
    """The files below a folder that are manifests to whoever opens it as an environment."""
    files = (path for suffix in ("yaml", "yml") for path in directory.rglob(f"*.{suffix}") if path.is_file())
    return sorted(str(path.relative_to(directory)) for path in files if _API.search(path.read_bytes()))
